// What clients with a cache see of restore and recover: the revision never goes back, and each of them is told.
// test/long/revision-killed.test.ts restores again and again, and kills more.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loseHosts } from '../support/load.ts'
import { done, killedAt } from '../support/verbs.ts'
import { endAll, home, newer, requireTold, upWithBackups } from '../support/watchers.ts'

const whereNewer = newer ? test : test.skip
let older = ''

test.before(async () => {
  if (newer) [older] = await upWithBackups()
})

whereNewer('a client with a cache is told of a restore of an older backup', async () => {
  await requireTold(() => done(home.verb('restore', older, '--yes', '--json')))
})

whereNewer('so is one of a recover from the only member that is left, killed once its data is swapped', async () => {
  await requireTold(async () => {
    loseHosts(home, ['master01', 'master02'])
    await killedAt(home, '[STARTED] Start it again as a member', 'recover', '--yes')
    return done(home.verb('recover', '--yes', '--json'))
  })
})

whereNewer('where neither record nor member says how far it was, restore asks, with the risk named', async () => {
  await done(home.verb('down', '--yes', '--json'))
  const { exitCode, stderr } = await home.verb('restore', older)
  assert.is(exitCode, 2)
  assert.match(stderr, /Neither a record nor a member says(.|\n)*serve wrong data(.|\n)*--above REVISION/)
})

test.after(endAll)

test.run()
