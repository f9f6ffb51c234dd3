// Which upgrades are possible, what must be done before them, and what a person should know.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { refusalOfMix, upgradePath } from '../../../tasks/etcd/upgrade-path.ts'

const firstOf = (from: string, to: string, environment: string[] = []): string => upgradePath(from, to, environment).first.join('\n')

test('a step within a minor version, or to the next one, needs nothing first', () => {
  for (const [from, to] of [
    ['3.4.23', '3.4.34'],
    ['3.4.23', '3.5.30'],
    ['3.5.30', '3.5.33'],
    ['3.5.32', '3.6.14'],
    ['3.5.33', '3.6.14'],
    ['3.6.14', '3.7.1'],
    ['3.5.30', '3.5.30'],
  ])
    assert.equal(upgradePath(from ?? '', to ?? '', ['ETCD_SNAPSHOT_COUNT']), { first: [], beware: [] }, `${from} → ${to}`)
})

test('a downgrade, another major version, and the releases that corrupt data are impossible', () => {
  for (const [from, to, reason] of [
    ['3.5.30', '3.4.23', /no way back/],
    ['3.5.30', '3.5.29', /no way back/],
    ['3.4.23', '3.5.1', /corrupt/],
    ['3.6.14', '4.0.0', /major/],
  ] as const)
    assert.match(upgradePath(from, to, []).impossible ?? '', reason)
})

test('a minor version is not skipped', () => {
  assert.match(firstOf('3.4.23', '3.6.14'), 'Upgrade to etcd 3.5 first')
  assert.match(firstOf('3.5.33', '3.7.1'), 'Upgrade to etcd 3.6 first')
})

test('3.6 needs 3.5.32 before it', () => {
  for (const from of ['3.5.16', '3.5.30', '3.5.31']) assert.match(firstOf(from, '3.6.14'), '3.5.32 or later first')
})

test('settings that the new version no longer has are taken out first', () => {
  assert.match(firstOf('3.5.33', '3.6.14', ['ETCD_ENABLE_V2', 'ETCD_SNAPSHOT_COUNT']), /^Take ETCD_ENABLE_V2 out/)
  assert.match(firstOf('3.6.14', '3.7.1', ['ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED']), 'EXPERIMENTAL')
  assert.is(firstOf('3.5.30', '3.5.33', ['ETCD_ENABLE_V2']), '')
  assert.match(firstOf('3.4.23', '3.5.30', ['ETCD_DEBUG']), 'ETCD_DEBUG')
})

test('a release that cannot promote learners is possible, and said', () => {
  assert.match(upgradePath('3.4.23', '3.5.16', []).beware[0] ?? '', 'etcd-io/etcd#19557')
  assert.equal(upgradePath('3.4.23', '3.5.20', []).beware, [])
})

test('members may run the old or the new version, and no third one', () => {
  assert.is(refusalOfMix(['3.4.23', '3.5.30', '3.4.23'], '3.4.23', '3.5.30'), '')
  assert.match(refusalOfMix(['3.4.23', '3.4.27'], '3.4.23', '3.5.30'), '3.4.27')
})

test.run()
