// Members replaced, added and removed, up to seven and down again, killed in each step while others write and read:
// nothing is lost, and the next run goes on.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asideOf } from '../support/disasters.ts'
import { memberPids, underLoad } from '../support/load.ts'
import { type Member, members, names, requireInStep } from '../support/members.ts'
import { destroyHost, done, killedAt, processesWith, testHome } from '../support/verbs.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')

/** Runs a verb again and again, killed (-9) each time as it says the next of these words, and then to its end. */
async function killedAtEach(words: string[], script: string, ...flags: string[]): Promise<Record<string, unknown>> {
  for (const each of words) await killedAt(home, each, script, ...flags)
  return done(home.verb(script, ...flags, '--json'))
}

async function requireNew(host: string, before: Member[]): Promise<void> {
  const now = (await members(home)).find(({ name }) => name === host)
  assert.ok(now && !now.isLearner && now.id !== before.find(({ name }) => name === host)?.id)
}

test('one member grows to three by learners, killed in each step; the first is not restarted', async () => {
  assert.is((await home.verb('up', '--yes', '--masters', '1')).exitCode, 0)
  const pid = memberPids(home).master01
  await underLoad(home, async () => {
    await killedAt(home, '[COMPLETED] Record master02', 'scale', '--masters', '3')
    assert.match((await home.verb('up', '--yes')).stderr, /Finish the scale: .*scale\.ts --masters 3/)
    const steps = [
      '[STARTED] Stop etcd on master02',
      '[STARTED] Add master02 as a learner',
      '[STARTED] Start master02',
      "[OUTPUT] Put the host's files in place, and start etcd where it does not run",
      '[STARTED] Let master02 vote',
      '[COMPLETED] Let master03 vote',
      '[STARTED] etcd-role: bring the inventory',
    ]
    await killedAtEach(steps, 'scale', '--masters', '3')
  })
  await requireInStep(home, names(3))
  assert.is(memberPids(home).master01, pid)
})

test('each member is replaced in turn, the leader, too, killed in the middle of each step; nobody twice', async () => {
  const before = await members(home)
  const follower = before.find(({ isLeader }) => !isLeader)?.name ?? ''
  const others = before.map(({ name }) => name).filter((name) => name !== follower)
  const leader = before.find(({ isLeader }) => isLeader)?.name ?? ''
  // A learner that was killed as it came up, when the cluster grew, was set aside then.
  const asideBefore = Object.fromEntries(others.map((name) => [name, asideOf(home, name).length]))
  console.log(`measured: set aside before: ${JSON.stringify(asideBefore)}`)
  await underLoad(home, async () => {
    destroyHost(home, follower)
    const steps = [
      `[STARTED] Note that member`,
      `[STARTED] Bring ${follower} up`,
      `[STARTED] Stop etcd on ${follower}`,
      '[STARTED] Remove member',
      `[STARTED] Add ${follower} as a learner`,
      `[STARTED] Start ${follower}`,
      '[OUTPUT] Restart one member at a time',
      `[STARTED] Let ${follower} vote`,
      '[STARTED] verify',
    ]
    for (const step of steps) await killedAt(home, step, 'replace', follower)
    await requireNew(follower, before) // killed after its promotion
    assert.match(
      (await home.verb('replace', follower, '--plan')).stdout,
      `leave ${follower}, which the run before has replaced already`,
    )
    const more = [`[COMPLETED] Note that member`, '[COMPLETED] Hand leadership over', '[STARTED] Stop etcd on']
    await killedAtEach(more, 'replace', follower, ...others)
  })
  const ids = await requireInStep(home, names(3))
  for (const { name, id } of before) assert.is.not(ids[name], id)
  assert.equal(asideOf(home, follower), [])
  for (const name of others) assert.is(asideOf(home, name).length, (asideBefore[name] ?? 0) + 1, name)
  assert.ok(others.includes(leader))
  assert.not.ok(existsSync(join(state, 'replacing.json')))
})

test('three grow to five and to seven', async () => {
  await underLoad(home, async () => {
    for (const count of [5, 7]) await done(home.verb('scale', '--masters', String(count), '--json'))
  })
  await requireInStep(home, names(7))
})

test('seven shrink to five and to three, the highest name first, killed in the middle of each step', async () => {
  await underLoad(home, async () => {
    const steps = [
      '[STARTED] Remove member',
      '[STARTED] Remove master07 with its data',
      '[COMPLETED] Remove master07 with its data',
      '[STARTED] Run the Ansible role',
    ]
    await killedAtEach(steps, 'scale', '--masters', '5')
    await requireInStep(home, names(5))
    await done(home.verb('scale', '--masters', '3', '--json'))
  })
  await requireInStep(home, names(3))
  assert.equal(processesWith(`${state}/`).filter(({ command }) => command.endsWith('/etcd')).length, 3)
})

test.after(() => home.downAll())

test.run()
