// restore and recover killed at each step: what a snapshot or a surviving member has comes back all the same.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../tasks/core/cluster.ts'
import { put } from '../../tasks/etcd/etcdctl.ts'
import { crashMember } from '../../tasks/vms/index.ts'
import {
  etcdctlView,
  type Kept,
  refused,
  requireRecovered,
  requireRestored,
  requireUnchangedByUp,
  upWithBackup,
} from '../support/disasters.ts'
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

test.after(() => home.downAll())

test.run()
