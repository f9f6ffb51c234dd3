// Which upgrades are possible, what must be done before them, and what a person should know.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { downgradePath, upgradePath } from '../../../tasks/etcd/upgrade-path.ts'

const firstOf = (from: string, to: string, environment: Record<string, string> = {}): string =>
  upgradePath(from, to, environment).first.join('\n')

test('a step within a minor version, or to the next one, needs nothing first', () => {
  for (const [from, to] of [
    ['3.4.23', '3.4.34'],
    ['3.4.23', '3.5.30'],
    ['3.5.30', '3.5.33'],
    ['3.5.32', '3.6.14'],
    ['3.6.0', '3.6.6'],
    ['3.5.33', '3.6.14'],
    ['3.6.11', '3.7.1'],
    ['3.5.30', '3.5.30'],
  ])
    assert.equal(upgradePath(from ?? '', to ?? '', { ETCD_SNAPSHOT_COUNT: '5000' }).first, [], `${from} → ${to}`)
})

test('an older version, another major version, and the releases with known faults are impossible', () => {
  for (const [from, to, reason] of [
    ['3.5.30', '3.4.23', /verb downgrade/],
    ['3.5.30', '3.5.29', /verb downgrade/],
    ['3.4.23', '3.5.1', /corrupt.*Take 3\.5\.33 or a later 3\.5\.$/],
    ['3.4.23', '3.5.16', /corrupt.*20271.*Take 3\.5\.33 or a later 3\.5\.$/],
    ['3.5.33', '3.6.0', /corrupt.*Take 3\.6\.14 or a later 3\.6\.$/],
    ['3.6.1', '3.6.4', /corrupt.*Take 3\.6\.14 or a later 3\.6\.$/],
    ['3.6.1', '3.6.5', /--force-new-cluster.*Take 3\.6\.14 or a later 3\.6\.$/],
    ['3.6.14', '4.0.0', /major/],
  ] as const)
    assert.match(upgradePath(from, to, {}).impossible ?? '', reason)
})

test('a minor version is not skipped', () => {
  const whyNot = (from: string, to: string): string => upgradePath(from, to, {}).impossible ?? ''
  assert.match(whyNot('3.4.23', '3.6.14'), 'Upgrade to etcd 3.5 first')
  assert.match(whyNot('3.5.33', '3.7.1'), 'Upgrade to etcd 3.6 first')
  assert.match(whyNot('3.6.14', '3.8.0'), 'Upgrade to etcd 3.7 first')
})

test('3.6 needs 3.5.32 before it, and 3.7 needs 3.6.11', () => {
  const whyNot = (from: string, to: string): string => upgradePath(from, to, {}).impossible ?? ''
  for (const from of ['3.5.16', '3.5.30', '3.5.31']) assert.match(whyNot(from, '3.6.14'), '3.5.32 or later first')
  for (const from of ['3.6.0', '3.6.10']) assert.match(whyNot(from, '3.7.1'), '3.6.11 or later first')
  for (const [from = '', to = ''] of [
    ['3.5.16', '3.5.30'],
    ['3.6.0', '3.6.10'],
  ])
    assert.equal(upgradePath(from, to, {}), { first: [], beware: [] })
})

test('settings that the new version no longer has are taken out first, and only those', () => {
  assert.match(
    firstOf('3.4.23', '3.5.30', { ETCD_DEBUG: 'true', ETCD_LOG_OUTPUT: 'stderr', ETCD_LOG_OUTPUTS: 'stderr' }),
    /^Take ETCD_DEBUG, ETCD_LOG_OUTPUT out/,
  )
  assert.match(firstOf('3.4.23', '3.5.30', { ETCD_LOGGER: 'capnslog' }), 'Take ETCD_LOGGER out')
  assert.is(firstOf('3.4.23', '3.5.30', { ETCD_LOGGER: 'zap', ETCD_ENABLE_V2: 'true' }), '')
  assert.match(
    firstOf('3.5.33', '3.6.14', { ETCD_ENABLE_V2: 'true', ETCD_PROXY_READ_TIMEOUT: '0', ETCD_SNAPSHOT_COUNT: '1' }),
    /^Take ETCD_ENABLE_V2, ETCD_PROXY_READ_TIMEOUT out/,
  )
  assert.match(
    firstOf('3.6.14', '3.7.1', {
      ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED: 'true',
      ETCD_EXPERIMENTAL_MEMORY_MLOCK: 'true',
      ETCD_DISCOVERY_PROXY: 'x',
    }),
    /^Take ETCD_EXP.*PROXY out.* Set instead: ETCD_FEATURE_GATES: CompactHashCheck=true, ETCD_MEMORY_MLOCK\.$/,
  )
  assert.match(firstOf('3.5.33', '3.6.14', { ETCD_V2_DEPRECATION: 'not-yet' }), 'Take ETCD_V2_DEPRECATION out')
  assert.is(firstOf('3.5.33', '3.6.14', { ETCD_V2_DEPRECATION: 'write-only' }), '')
  assert.is(firstOf('3.5.30', '3.5.33', { ETCD_ENABLE_V2: 'true', ETCD_V2_DEPRECATION: 'not-yet' }), '')
})

test('what stands in no way but must be known is said', () => {
  const bewareOf = (from: string, to: string): string => upgradePath(from, to, {}).beware.join('\n')
  assert.match(bewareOf('3.4.23', '3.5.32'), 'auth enabled')
  assert.match(bewareOf('3.7.1', '3.8.0'), 'etcd 3.8 is newer than what is known here')
  assert.is(bewareOf('3.5.30', '3.5.32') + bewareOf('3.5.32', '3.6.14') + bewareOf('3.6.11', '3.7.1'), '')
})

test('a downgrade goes down within a minor version, or one from 3.6 on, to no release with a grave fault', () => {
  for (const [from = '', to = ''] of [
    ['3.7.1', '3.6.14'],
    ['3.6.14', '3.5.33'],
    ['3.6.16', '3.6.14'],
    ['3.4.27', '3.4.23'],
    ['3.6.14', '3.6.14'],
  ])
    assert.equal(downgradePath(from, to, { ETCD_SNAPSHOT_COUNT: '5000' }), { first: [], beware: [] }, `${from} → ${to}`)
  for (const [from, to, reason] of [
    ['3.5.33', '3.4.23', /no way down: only 3\.6/],
    ['3.6.14', '3.7.1', /verb upgrade/],
    ['3.6.14', '3.5.16', /20271/],
  ] as const)
    assert.match(downgradePath(from, to, {}).impossible ?? '', reason)
  assert.match(downgradePath('3.7.1', '3.5.33', {}).impossible ?? '', 'Go down to etcd 3.6 first')
})

test('before a downgrade the settings that the older version lacks are taken out, with the names that it has', () => {
  const { first } = downgradePath('3.6.14', '3.5.33', {
    ETCD_FEATURE_GATES: 'CompactHashCheck=true',
    ETCD_MEMORY_MLOCK: 'true',
    ETCD_SNAPSHOT_COUNT: '5',
    ETCD_DISCOVERY_SRV: 'x',
  })
  assert.is(first.length, 2)
  assert.match(first[0] ?? '', /^Take ETCD_FEATURE_GATES out .* does not know it\.$/)
  assert.match(first[1] ?? '', /^Take ETCD_MEMORY_MLOCK out .* There it is ETCD_EXPERIMENTAL_MEMORY_MLOCK\.$/)
  assert.equal(downgradePath('3.7.1', '3.6.14', { ETCD_MEMORY_MLOCK: 'true' }).first, [])
})

test.run()
