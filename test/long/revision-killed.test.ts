// What clients with a cache see of every restore, and of a recover that is killed: the revision never goes back.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loseHosts } from '../support/load.ts'
import { done, killedAt } from '../support/verbs.ts'
import { endAll, home, newer, requireTold, upWithBackups } from '../support/watchers.ts'

const whereNewer = newer ? test : test.skip
let [older, later] = ['', '']

test.before(async () => {
  if (newer) [older, later] = await upWithBackups()
})

whereNewer('a client with a cache is told of a restore, of the same again, and of an older one', async () => {
  const raised: number[] = []
  for (const backup of [later, later, older])
    raised.push((await requireTold(() => done(home.verb('restore', backup, '--yes', '--json')))).raisedTo as number)
  assert.equal(
    raised,
    raised.toSorted((a, b) => a - b),
  )
})

whereNewer(
  'so is one of a recover from the only member that is left, killed before and after its data is swapped',
  async () => {
    await requireTold(async () => {
      loseHosts(home, ['master01', 'master02'])
      for (const step of ['[COMPLETED] Restore it beside the data', '[STARTED] Start it again as a member'])
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

test.after(endAll)

test.run()
