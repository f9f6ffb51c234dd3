// Hints name our scripts; pasted, they must be about the cluster that the run was about.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { forCluster } from '../../../tasks/core/command.ts'

const test = suite('command')

test('a hint is about the cluster of the run', () => {
  assert.is(
    forCluster('Replace it: scripts/replace.ts master03 does.', 'prod2'),
    'Replace it: npx zx scripts/replace.ts --cluster prod2 master03 does.',
  )
  assert.is(
    forCluster('Go on: npx zx scripts/up.ts, then npx zx scripts/rotate-ca.ts --back', 'b'),
    'Go on: npx zx scripts/up.ts --cluster b, then npx zx scripts/rotate-ca.ts --cluster b --back',
  )
})

test('what names a cluster already, and the default cluster, stay as they are', () => {
  const named = 'Next: npx zx scripts/down.ts --cluster other --purge'
  assert.is(forCluster(named, 'prod2'), named)
  assert.is(forCluster('npx zx scripts/up.ts', 'etcd-cluster-1'), 'npx zx scripts/up.ts')
})

test.run()
