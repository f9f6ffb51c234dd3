// restore and recover killed at each step: what a snapshot or a surviving member has comes back all the same; so does
// what a member's bare database has.
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../tasks/core/cluster.ts'
import { put } from '../../tasks/etcd/etcdctl.ts'
import { saveSnapshot } from '../../tasks/etcd/maintenance.ts'
import { crashMember } from '../../tasks/vms/index.ts'
import { expireClient } from '../support/authority.ts'
import { befall } from '../support/by-hand.ts'
import {
  allKeys,
  etcdctlView,
  type Kept,
  recordOf,
  refused,
  requireRecovered,
  requireRestored,
  requireUnchangedByUp,
  upWithBackup,
} from '../support/disasters.ts'
import { loseHosts, whileFrozen } from '../support/load.ts'
import { done, killedAt, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'
import { newer, requireTold } from '../support/watchers.ts'

const home = testHome()
let backup: Kept

test.before(async () => {
  if (newer) writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${newer.folder} }\n`)
  backup = await upWithBackup(home)
})

test('a running cluster is restored; killed in the middle, only restore goes on; old data is kept aside', async () => {
  await requireRestored(home, backup, ['[STARTED] Stop every member', '[STARTED] Write the inventory'])
  await requireUnchangedByUp(home)
})

test(
  'two of three hosts destroyed under load: what the survivor had is there, three members ' +
    'again, whenever it was killed; and clients are told',
  async () => {
    const recovered = (): Promise<unknown> =>
      requireRecovered(home, backup, async ([lost]) => {
        await killedAt(home, `[COMPLETED] Add ${lost?.name} as a learner`, 'recover', '--yes')
        await killedAt(home, `[COMPLETED] Let ${lost?.name} vote`, 'recover', '--yes')
        // no quorum again; but what was formed has all, and must not be formed by force once more
        await crashMember(etcdctlView(home), lost as Host)
      })
    assert.is(await (newer ? requireTold(home, recovered) : recovered()), null)
    await requireUnchangedByUp(home)
  },
)

test("the authority's key is lost while a recovery is half done: recover makes another, early and late", async () => {
  const certs = join(home.path, 'certs/etcd-cluster-1')
  const keys = await allKeys(home)
  for (const step of ['[STARTED] Forget the members', '[COMPLETED] Let master02 vote']) {
    loseHosts(home, ['master02', 'master03'])
    await killedAt(home, step, 'recover', '--yes')
    rmSync(join(certs, 'ca.key'))
    rmSync(join(certs, 'master03/server.crt'))
    await refused(home, 1, /A recover .* is half done/, 'rotate-ca', '--yes')
    await refused(home, 1, /ca\.key is missing(.|\n)*recover\.ts/, 'pki')
    await done(home.verb('recover', '--yes', '--json'))
    assert.equal(recordOf(home).begun, undefined)
    assert.equal(await allKeys(home), keys)
    await done(home.verb('rotate-ca', '--yes', '--json'))
  }
  await requireUnchangedByUp(home)
})

test('the client certificate has expired, too: recover goes by what the hosts have of data', async () => {
  const certs = join(home.path, 'certs/etcd-cluster-1')
  const keys = await allKeys(home)
  const begun = async (...from: string[]): Promise<void> => {
    await killedAt(home, '[COMPLETED] Note that the recovery has begun', 'recover', '--yes', ...from)
    await expireClient(home)
    rmSync(join(certs, 'ca.key'))
  }
  loseHosts(home, ['master02', 'master03'])
  await begun()
  await done(home.verb('recover', '--yes', '--json'))
  assert.equal(await allKeys(home), keys)
  await done(home.verb('rotate-ca', '--yes', '--json'))
  await whileFrozen(home, ['master02', 'master03'], () => begun('--from', 'master01'))
  await refused(home, 1, /have their data, which is a quorum(.|\n)*rotate-ca\.ts/, 'recover', '--yes')
  await done(home.verb('rotate-ca', '--yes', '--json'))
  assert.equal([await allKeys(home), recordOf(home).begun], [keys, undefined])
  await requireUnchangedByUp(home)
})

const newest = await etcdOf('3.7.1')
const whereNewest = newest ? test : test.skip

whereNewest(
  'a newer etcd restores with its revision raised, and what it saved is refused by an older one',
  async () => {
    const config = join(home.path, 'newer.yaml')
    writeFileSync(config, `cluster: newer\nmasters: 1\netcd: { binaries: ${newest?.folder} }\n`)
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
  },
)

test("from certs/ and a member's database, alarms and all; how far clients were, a person must say", async () => {
  const [alarmed, keys] = [join(home.path, 'alarmed.db'), await allKeys(home)]
  for (const kind of ['NOSPACE', 'CORRUPT']) await befall(home, `raise ${kind} on`, 'master02')
  await saveSnapshot(etcdctlView(home), etcdctlView(home).hosts[0]?.clientURL ?? '', alarmed)
  assert.is((await home.verb('down', '--yes')).exitCode, 0)
  rmSync(join(home.path, '.cluster'), { recursive: true })
  const bare = join(home.path, 'db')
  writeFileSync(bare, readFileSync(alarmed).subarray(0, -32))
  const restore: [string, ...string[]] = ['restore', bare, '--skip-hash-check']
  if (newer)
    await refused(home, 2, /Neither a record nor a member says(.|\n)*serve wrong data(.|\n)*--above REV/, ...restore)
  const { warnings } = (await done(home.verb(...restore, '--yes', '--json'))) as { warnings: string[] }
  assert.match(warnings.join(), /alarm CORRUPT, which was lowered(.|\n)*alarm NOSPACE: they were compacted/)
  assert.equal(await allKeys(home), keys)
})

test.after(() => home.downAll())

test.run()
