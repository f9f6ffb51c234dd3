// restore and recover killed at each step: what a snapshot or a surviving member has comes back all the same.
import { copyFileSync, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../tasks/core/cluster.ts'
import { put } from '../../tasks/etcd/etcdctl.ts'
import { crashMember } from '../../tasks/vms/index.ts'
import {
  allKeys,
  asideOf,
  etcdctlView,
  loseTwoOfThree,
  recordOf,
  refused,
  requireUnchangedByUp,
  upWithKeys,
} from '../support/disasters.ts'
import { done, killedAt, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const kept = join(home.path, 'kept')

let before: Awaited<ReturnType<typeof upWithKeys>>

test.before(async () => {
  before = await upWithKeys(home)
  cpSync((await done(home.verb('backup', '--json'))).folder as string, kept, { recursive: true })
})

test('a running cluster is restored; killed in the middle, only restore goes on; old data is kept aside', async () => {
  await killedAt(home, '[STARTED] Stop every member', 'restore', kept, '--yes')
  const [{ token }, begun] = [recordOf(home).etcd as { token: string }, recordOf(home).begun]
  assert.ok(begun)
  for (const verb of [['up'], ['replace', 'master01'], ['recover', '--yes']] as [string, ...string[]][])
    await refused(home, 1, /A restore .* was begun(.|\n)*restore\.ts .*snapshot\.db/, ...verb)
  await killedAt(home, '[STARTED] Write the inventory', 'restore', kept, '--yes')
  const { clients } = await done(home.verb('restore', kept, '--yes', '--json'))
  assert.match(clients as string, /^Now start the clients that you stopped \(each kube-apiserver\)/)
  assert.equal(await allKeys(home), before)
  assert.equal(recordOf(home).begun, undefined)
  assert.match(readFileSync(join(state, 'inventory.yml'), 'utf8'), `etcd_cluster_token: ${token}`)
  for (const host of ['master01', 'master02', 'master03']) assert.is(asideOf(home, host).length, 1)
  await requireUnchangedByUp(home)
})

test(
  'two of three hosts destroyed under load: what the survivor had is there, three members ' +
    'again, whenever it was killed',
  async () => {
    const { survivor, lost, requireKept } = await loseTwoOfThree(home)
    await killedAt(home, '[STARTED] Forget the members', 'recover', '--yes')
    await refused(home, 1, /A recover .* was begun(.|\n)*recover\.ts --from master0\d/, 'up')
    await killedAt(home, `[COMPLETED] Add ${lost[0]?.name} as a learner`, 'recover', '--yes')
    await killedAt(home, `[COMPLETED] Let ${lost[0]?.name} vote`, 'recover', '--yes')
    // no quorum again; but what was formed has all, and must not be formed by force once more
    await crashMember(etcdctlView(home), lost[0] as Host)
    assert.is((await done(home.verb('recover', '--yes', '--json'))).from, null)
    await requireKept()
    assert.equal((await allKeys(home)).filter(({ key }) => before.some((old) => old.key === key)).length, before.length)
    assert.ok(asideOf(home, survivor.name).length > 0, 'a copy of its data')
    assert.not.ok(existsSync(join(state, 'hosts', survivor.name, 'var/lib/etcd/member.part')))
    assert.equal(recordOf(home).begun, undefined)
    await requireUnchangedByUp(home)
  },
)

const newer = await etcdOf('3.7.1')
const whereNewer = newer ? test : test.skip

whereNewer('a newer etcd restores with its revision raised, and what it saved is refused by an older one', async () => {
  const config = join(home.path, 'newer.yaml')
  writeFileSync(config, `cluster: newer\nmasters: 1\netcd: { binaries: ${newer?.folder} }\n`)
  await done(home.verb('up', '--config', config, '--yes', '--json'))
  const { folder, metadata } = (await done(home.verb('backup', '--cluster', 'newer', '--json'))) as {
    folder: string
    metadata: { revision: number }
  }
  assert.is((await done(home.verb('restore', folder, '--cluster', 'newer', '--yes', '--json'))).revisionRaised, true)
  assert.ok((await put(etcdctlView(home, 'newer'), 'key', 'value')) > metadata.revision + 1_000_000_000)
  copyFileSync(join(folder, 'snapshot.db'), join(home.path, 'of-newer.db'))
  await refused(
    home,
    1,
    /is of etcd 3\.\d+, and etcd-cluster-1 runs/,
    'restore',
    join(home.path, 'of-newer.db'),
    '--yes',
  )
})

test.after(() => home.downAll())

test.run()
