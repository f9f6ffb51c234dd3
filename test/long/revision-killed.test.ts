// What clients with a cache see of every restore, and of a recover that is killed: the revision never goes back.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { etcdctlView } from '../support/disasters.ts'
import { loseHosts, putAll } from '../support/load.ts'
import { done, killedAt, testHome } from '../support/verbs.ts'
import { newer, requireTold } from '../support/watchers.ts'

const home = testHome()
const whereNewer = newer ? test : test.skip
let [older, later] = ['', '']

/** Brings a cluster up, and makes a backup of it before and after its last writes; returns their folders. */
async function upWithBackups(): Promise<[older: string, later: string]> {
  writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${newer?.folder} }\n`)
  await done(home.verb('up', '--yes', '--json'))
  const backup = async (): Promise<string> => (await done(home.verb('backup', '--json'))).folder as string
  const write = (first: number, last: number, value: string): Promise<void> => {
    const keys = Array.from({ length: last - first }, (_, index): [string, string] => [`key/${first + index}`, value])
    return putAll(etcdctlView(home), keys)
  }
  await write(0, 20, 'first')
  const older = await backup()
  await write(10, 40, 'second')
  return [older, await backup()]
}

test.before(async () => {
  if (newer) [older, later] = await upWithBackups()
})

whereNewer('a client with a cache is told of a restore, of the same again, and of an older one', async () => {
  const raised: number[] = []
  for (const backup of [later, later, older])
    raised.push(
      (await requireTold(home, () => done(home.verb('restore', backup, '--yes', '--json')))).raisedTo as number,
    )
  assert.equal(
    raised,
    raised.toSorted((a, b) => a - b),
  )
})

whereNewer(
  'so is one of a recover from the only member that is left, killed before and after its data is swapped',
  async () => {
    await requireTold(home, async () => {
      loseHosts(home, ['master01', 'master02'])
      for (const step of ['[COMPLETED] Stop it, and restore its database', '[STARTED] Start it again as a member'])
        await killedAt(home, step, 'recover', '--yes')
      return done(home.verb('recover', '--yes', '--json'))
    })
  },
)

whereNewer('where neither record nor member says how far it was, restore asks, with the risk named', async () => {
  await done(home.verb('down', '--yes', '--json'))
  const { exitCode, stderr } = await home.verb('restore', older)
  assert.is(exitCode, 2)
  assert.match(stderr, /Neither a record nor a member says(.|\n)*serve wrong data(.|\n)*--above REVISION/)
  const { raisedTo } = await done(home.verb('restore', older, '--above', '7000000000', '--yes', '--json'))
  assert.is(raisedTo, 8_000_000_000)
})

test.after(() => home.downAll())

test.run()
