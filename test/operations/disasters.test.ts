// Disasters: all data gone, a quorum lost for good. What a snapshot or a surviving member has comes back, though a run
// was killed; and a client with a cache is told, since the revision never goes back. test/long/disasters-killed.test.ts
// kills at each step, and recovers; test/long/revision-killed.test.ts restores again and again.
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { put } from '../../tasks/etcd/etcdctl.ts'
import {
  allKeys,
  etcdctlView,
  type Kept,
  recordOf,
  refused,
  requireRestored,
  upWithBackup,
} from '../support/disasters.ts'
import { whileHolding } from '../support/folder.ts'
import { memberPids, whileFrozen } from '../support/load.ts'
import { done, snapshotOf, testHome } from '../support/verbs.ts'
import { newer, requireTold } from '../support/watchers.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const kept = join(home.path, 'kept')
const snapshot = join(kept, 'snapshot.db')

let backup: Kept
/** An etcd before 3.6 raises no revision: there nobody is told. */
const told = <T>(act: () => Promise<T>): Promise<T> => (newer ? requireTold(home, act) : act())

test.before(async () => {
  if (newer) writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${newer.folder} }\n`)
  backup = await upWithBackup(home)
})

test('a snapshot that is damaged, or of a newer etcd, is refused, and nothing is changed', async () => {
  const spoilt = join(home.path, 'spoilt.db')
  const content = readFileSync(snapshot)
  const sealed = (database: Buffer): Buffer => Buffer.concat([database, createHash('sha256').update(database).digest()])
  const changed = (from: string | RegExp, to: string): Buffer =>
    sealed(Buffer.from(content.subarray(0, -32).toString('latin1').replaceAll(from, to), 'latin1'))
  const flipped = Buffer.from(content)
  flipped[9001] = (flipped[9001] ?? 0) ^ 1
  const [pids, files] = [memberPids(home), snapshotOf(join(home.path, 'certs'))]
  for (const [bad, code, reason] of [
    [flipped, 2, /does not match its own checksum/],
    [content.subarray(0, -512), 2, /not a whole snapshot/],
    [content.subarray(0, -32), 2, /a member's own database, not a snapshot(.|\n)*spoilt\.db --skip-hash-check/],
    [changed(/(clusterVersion|storageVersion)3\.\d/g, '$13.9'), 1, /is of etcd 3\.9, and etcd-cluster-1 runs/],
  ] as const) {
    writeFileSync(spoilt, bad)
    await refused(home, code, reason, 'restore', spoilt, '--yes')
  }
  mkdirSync(join(home.path, 'other'))
  copyFileSync(join(kept, 'metadata.json'), join(home.path, 'other/metadata.json'))
  writeFileSync(join(home.path, 'other/snapshot.db'), changed('value 19', 'value 91'))
  await refused(home, 2, /has changed since its backup/, 'restore', join(home.path, 'other'), '--yes')
  assert.equal([memberPids(home), snapshotOf(join(home.path, 'certs')), recordOf(home).begun], [pids, files, undefined])
})

test(
  'restore refuses a cluster whose upgrade is half done as long as it has a quorum, and a ' +
    'host of another authority',
  async () => {
    const path = join(state, 'cluster.json')
    const begun = readFileSync(path, 'utf8').replace(/"etcd": \{/, '"etcd": { "upgradingTo": "3.99.0",')
    await whileHolding(path, begun, () =>
      refused(home, 1, /upgrade .* is half done(.|\n)*--etcd-version 3\.99\.0/, 'restore', kept, '--yes'),
    )
    const other = readFileSync(join(home.path, 'certs/etcd-cluster-1/etcd-client.crt'))
    await whileHolding(join(state, 'hosts/master02/etc/ssl/etcd/ca.crt'), other, () =>
      refused(home, 1, /master02's certificates come from another authority/, 'restore', kept, '--yes'),
    )
  },
)

test('the plan of a restore says what it would do; without an answer nothing is done', async () => {
  await put(etcdctlView(home), 'after', 'the backup')
  const pids = memberPids(home)
  const { plan } = (await done(home.verb('restore', kept, '--plan', '--json'))) as { plan: string[] }
  assert.match(plan.join('\n'), /revision \d+, \d+ keys(.|\n)*stop every member, move its data aside/)
  assert.match(plan[0] ?? '', /^you: stop every client .*kube-apiserver/)
  assert.match(plan.at(-1) ?? '', /^you: start these clients; .*kube-controller-manager/)
  const { exitCode, stdout, stderr } = await home.verb('restore', kept)
  assert.is(exitCode, 2)
  assert.not.match(stdout, 'Prove the snapshot', 'it asks before what takes time')
  assert.match(stderr, /Replace the data of .*Every write after it is lost \(the members are \d+ revisions further\)/)
  assert.match(stderr, /Stop every client that keeps a copy.*kube-apiserver/)
  assert.equal(
    [memberPids(home), recordOf(home).begun, (await allKeys(home)).length],
    [pids, undefined, backup.keys.length + 1],
  )
})

test('a running cluster is restored; killed in the middle, only restore goes on; old data is kept aside', () =>
  told(() => requireRestored(home, backup, ['[STARTED] Stop every member'])))

test('recover refuses while there is a quorum, and while one could come back by itself', async () => {
  await refused(home, 1, /has a quorum: 3 of 3 members commit/, 'recover', '--yes')
  const pids = memberPids(home)
  const plan = await whileFrozen(home, ['master01', 'master02'], async () => {
    for (const [verb, ...words] of [['recover', '--plan'], ['recover', '--yes'], ['up']] as [string, string][]) {
      const { exitCode, stderr } = await home.verb(verb, ...words)
      assert.is(exitCode, 1)
      assert.match(stderr, /master01's etcd is frozen or starting(.|\n)*kill -CONT/)
      assert.not.match(stderr, /scripts\/(up|recover)\.ts/)
    }
    return (await done(home.verb('recover', '--from', 'master02', '--plan', '--json'))).plan as string[]
  })
  assert.match(plan[0] ?? '', /^you: stop every client .*kube-apiserver/)
  assert.match(plan.join('\n'), /\nstop master02 and keep a copy of its data/)
  assert.match(plan.at(-1) ?? '', /^you: start these clients; .*kube-controller-manager/)
  assert.equal(memberPids(home), pids)
})

test.after(() => home.downAll())

test.run()
