// Members restarted, replaced, added and removed while others write and read: nothing is lost, and a killed run is gone
// on with.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { birthOf } from '../../tasks/core/processes.ts'
import { clientsView, memberPids, underLoad } from '../support/load.ts'
import { destroyHost, done, killedAt, processesWith, testHome } from '../support/verbs.ts'

interface Member {
  id: string
  name: string
  isLeader: boolean
  isLearner: boolean
}

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const certs = join(home.path, 'certs/etcd-cluster-1')

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `master0${index + 1}`)
const dataOf = (host: string): string => join(state, 'hosts', host, 'var/lib/etcd')
const pidOf = (host: string): number => memberPids(home)[host] ?? 0

async function members(): Promise<Member[]> {
  const { stdout, stderr, exitCode } = await home.verb('verify', '--json')
  assert.is(exitCode, 0, stderr)
  return (JSON.parse(stdout) as { members: Member[] }).members
}

/** Runs a verb again and again, killed (-9) each time as it says the next of these words, and then to its end. */
async function killedAtEach(words: string[], script: string, ...flags: string[]): Promise<Record<string, unknown>> {
  for (const each of words) await killedAt(home, each, script, ...flags)
  return done(home.verb(script, ...flags, '--json'))
}

/**
 * The record, the inventory, every host's initial cluster, and the members as verify finds them: all the same. Returns
 * the members' ids by name.
 */
async function requireInStep(expected: string[]): Promise<Record<string, string>> {
  const live = await members()
  assert.equal(live.map(({ name }) => name).sort(), expected)
  assert.not.ok(live.some(({ isLearner }) => isLearner))
  assert.equal(
    clientsView(home).hosts.map(({ name }) => name),
    expected,
  )
  const inventory = parse(readFileSync(join(state, 'inventory.yml'), 'utf8'))
  assert.equal(Object.keys(inventory.all.children['role=master'].hosts), expected)
  for (const folder of [join(state, 'hosts'), certs])
    assert.equal(
      readdirSync(folder)
        .filter((name) => name.startsWith('master'))
        .sort(),
      expected,
    )
  for (const host of expected) {
    const config = readFileSync(join(state, 'hosts', host, `etc/keeper/member.conf`), 'utf8')
    const [, initial = ''] = /ETCD_INITIAL_CLUSTER=(.+)/.exec(config) ?? []
    assert.equal(
      initial.split(',').map((entry) => entry.split('=')[0]),
      expected,
      host,
    )
  }
  return Object.fromEntries(live.map(({ name, id }) => [name, id]))
}

/** The old data of a host's earlier members. */
const asideOf = (host: string): string[] => readdirSync(dataOf(host)).filter((name) => /^member\.\d{8}T/.test(name))

async function requireNew(host: string, before: Member[]): Promise<void> {
  const now = (await members()).find(({ name }) => name === host)
  assert.ok(now && !now.isLearner && now.id !== before.find(({ name }) => name === host)?.id)
}

test('one member grows to three by learners, killed in each step; the first is not restarted', async () => {
  assert.is((await home.verb('up', '--yes', '--masters', '1')).exitCode, 0)
  const pid = pidOf('master01')
  await underLoad(home, async () => {
    await killedAt(home, '[COMPLETED] Record master02', 'scale', '--masters', '3')
    assert.match((await home.verb('up', '--yes')).stderr, 'scale.ts goes on where it was stopped')
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
  await requireInStep(names(3))
  assert.is(pidOf('master01'), pid)
})

test(
  'restart gives every member a new process, one after the other, the leader last; status says meanwhile ' +
    'who is at work, and at which step',
  async () => {
    const before = names(3).map(pidOf)
    const leader = (await members()).find(({ isLeader }) => isLeader)?.name ?? ''
    await underLoad(home, async () => {
      const { child, done: ended } = home.start('restart', '--json')
      let seen = ''
      while (child.exitCode === null && !seen.includes('Run the Ansible role'))
        seen = (await home.verb('status')).stdout
      assert.match(
        seen,
        new RegExp(
          `At work +restart, pid ${child.pid}, for .*\n +Restart one member after the other\n ` +
            '+Run the Ansible role etcd',
        ),
      )
      assert.ok(seen.split('\n').every((line) => line.length <= 80))
      await done(ended)
    })
    assert.is(JSON.parse((await home.verb('status', '--json')).stdout).atWork, null)
    const after = names(3).map(pidOf)
    assert.ok(after.every((pid) => pid > 0 && !before.includes(pid)))
    const births = await Promise.all(after.map(async (pid) => Number(await birthOf(pid))))
    assert.is(Math.max(...births), births[names(3).indexOf(leader)])
  },
)

test('the plan of a restart names the hosts, and touches nothing', async () => {
  const before = names(3).map(pidOf)
  assert.equal((await done(home.verb('restart', 'master02', '--plan', '--json'))).plan, [
    'master02: restart etcd on master02',
    'verify',
  ])
  assert.equal(names(3).map(pidOf), before)
})

test('a host that the cluster does not have is refused with the nearest name', async () => {
  for (const verb of ['restart', 'replace']) {
    const { exitCode, stderr } = await home.verb(verb, 'mastr02')
    assert.is(exitCode, 2)
    assert.match(stderr, 'etcd-cluster-1 has no host mastr02. Did you mean master0')
  }
})

test('each member is replaced in turn, the leader, too, killed in the middle of each step; nobody twice', async () => {
  const before = await members()
  const follower = before.find(({ isLeader }) => !isLeader)?.name ?? ''
  const others = before.map(({ name }) => name).filter((name) => name !== follower)
  const leader = before.find(({ isLeader }) => isLeader)?.name ?? ''
  // A learner that was killed as it came up, when the cluster grew, was set aside then.
  const asideBefore = Object.fromEntries(others.map((name) => [name, asideOf(name).length]))
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
      '[OUTPUT] Wait until the member is healthy',
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
  const ids = await requireInStep(names(3))
  for (const { name, id } of before) assert.is.not(ids[name], id)
  assert.equal(asideOf(follower), [])
  for (const name of others) assert.is(asideOf(name).length, (asideBefore[name] ?? 0) + 1, name)
  assert.ok(others.includes(leader))
  assert.not.ok(existsSync(join(state, 'replacing.json')))
})

test('three grow to five and to seven', async () => {
  await underLoad(home, async () => {
    for (const count of [5, 7]) await done(home.verb('scale', '--masters', String(count), '--json'))
  })
  await requireInStep(names(7))
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
    await requireInStep(names(5))
    await done(home.verb('scale', '--masters', '3', '--json'))
  })
  await requireInStep(names(3))
  assert.equal(processesWith(`${state}/`).filter(({ command }) => command.endsWith('/etcd')).length, 3)
})

test.after(() => home.downAll())

test.run()
