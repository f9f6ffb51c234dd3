// Which settings a version of etcd no longer has, and what they are called there.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { removedSettings } from '../../../tasks/etcd/settings.ts'

const gone = (environment: Record<string, string>, version: string): string =>
  removedSettings(environment, version)
    .map(({ name, now }) => `${name}: ${now}`)
    .join('\n')

test('what 3.7 no longer has is named with what it became', () => {
  const environment = {
    ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK: 'true',
    ETCD_EXPERIMENTAL_WARNING_APPLY_DURATION: '1s',
    ETCD_EXPERIMENTAL_NONSENSE: '1',
    ETCD_SNAPSHOT_COUNT: '5000',
    ETCD_WARNING_APPLY_DURATION: '1s',
  }
  assert.is(
    gone(environment, '3.7.1'),
    [
      'ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK: ETCD_FEATURE_GATES: InitialCorruptCheck=true',
      'ETCD_EXPERIMENTAL_WARNING_APPLY_DURATION: ETCD_WARNING_APPLY_DURATION',
      'ETCD_EXPERIMENTAL_NONSENSE: ',
    ].join('\n'),
  )
  assert.is(gone(environment, '3.6.14'), '')
})

test('what an earlier version removed stays removed, and a value may be what is refused', () => {
  assert.is(gone({ ETCD_ENABLE_V2: 'true', ETCD_DEBUG: 'true' }, '3.7.1'), 'ETCD_ENABLE_V2: \nETCD_DEBUG: ')
  assert.is(gone({ ETCD_ENABLE_V2: 'true' }, '3.5.33'), '')
  assert.is(gone({ ETCD_ENABLE_V2: 'true' }, '3.6.0'), 'ETCD_ENABLE_V2: ')
  assert.is(gone({ ETCD_LOGGER: 'capnslog' }, '3.5.33'), 'ETCD_LOGGER: ')
  assert.is(gone({ ETCD_LOGGER: 'zap' }, '3.5.33'), '')
})

test.run()
