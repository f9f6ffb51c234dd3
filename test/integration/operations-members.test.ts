// Members restarted, replaced, added and removed while others write and read: nothing is lost, and a killed run is gone on with.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { birthOf } from '../../tasks/core/processes.ts'
import { clientsView, memberPids, underLoad } from '../support/load.ts'
import { type Outcome, processesWith, testHome } from '../support/verbs.ts'

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

async function done(verb: Promise<Outcome>): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await verb
  assert.is(exitCode, 0, stderr)
  return JSON.parse(stdout)
}

/** Runs a verb and kills it (-9) when it says these words. */
async function killedAt(words: string, script: string, ...flags: string[]): Promise<void> {
  const { child, done: ended } = home.start(script, ...flags)
  let said = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk
    if (said.includes(words)) child.kill('SIGKILL')
  })
  const { exitCode, stderr } = await ended
  assert.is(exitCode, null, `killed at "${words}": ${stderr}${said}`)
}

/** The record, the inventory, every host's initial cluster, and the members as verify finds them: all the same. Returns the members' ids by name. */
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
    const config = readFileSync(join(state, 'hosts', host, `etc/supervisor/${host}.conf`), 'utf8')
    const [, initial = ''] = /ETCD_INITIAL_CLUSTER="([^"]+)"/.exec(config) ?? []
    assert.equal(
      initial.split(',').map((entry) => entry.split('=')[0]),
      expected,
      host,
    )
  }
  return Object.fromEntries(live.map(({ name, id }) => [name, id]))
}

test('one member grows to three by learners, and the first is not restarted', async () => {
  assert.is((await home.verb('up', '--yes', '--masters', '1')).exitCode, 0)
  const pid = pidOf('master01')
  await underLoad(home, async () => {
    assert.equal((await done(home.verb('scale', '--masters', '3', '--json'))).added, ['master02', 'master03'])
  })
  await requireInStep(names(3))
  assert.is(pidOf('master01'), pid)
})

test('restart gives every member a new process, one after the other, the leader last', async () => {
  const before = names(3).map(pidOf)
  const leader = (await members()).find(({ isLeader }) => isLeader)?.name ?? ''
  await underLoad(home, () => done(home.verb('restart', '--json')))
  const after = names(3).map(pidOf)
  assert.ok(after.every((pid) => pid > 0 && !before.includes(pid)))
  const births = await Promise.all(after.map(async (pid) => Number(await birthOf(pid))))
  assert.is(Math.max(...births), births[names(3).indexOf(leader)])
})

test('the plan of a restart names the hosts, and touches nothing', async () => {
  const before = names(3).map(pidOf)
  assert.equal((await done(home.verb('restart', 'master02', '--plan', '--json'))).plan, ['master02: restart etcd on master02'])
  assert.equal(names(3).map(pidOf), before)
})

test('a host that the cluster does not have is refused with the nearest name', async () => {
  for (const verb of ['restart', 'replace']) {
    const { exitCode, stderr } = await home.verb(verb, 'mastr02')
    assert.is(exitCode, 2)
    assert.match(stderr, 'etcd-cluster-1 has no host mastr02. Did you mean master0')
  }
})

test('a follower whose host is lost is replaced, with nothing of it left', async () => {
  const follower = (await members()).find(({ isLeader }) => !isLeader) as Member
  await underLoad(home, async () => {
    rmSync(join(state, 'hosts', follower.name), { recursive: true })
    assert.equal((await done(home.verb('replace', follower.name, '--json'))).replaced, [follower.name])
  })
  assert.is.not((await requireInStep(names(3)))[follower.name], follower.id)
})

test('the leader is replaced; killed in the middle, the next run goes on; its old data is moved aside', async () => {
  const leader = (await members()).find(({ isLeader }) => isLeader) as Member
  await underLoad(home, async () => {
    await killedAt(`[COMPLETED] Add ${leader.name} as a learner`, 'replace', leader.name)
    await done(home.verb('replace', leader.name, '--json'))
  })
  assert.is.not((await requireInStep(names(3)))[leader.name], leader.id)
  assert.ok(readdirSync(dataOf(leader.name)).some((name) => /^member\.\d{8}T/.test(name)))
})

test('a second member cannot be taken down while one is down: refused, and nothing is changed', async () => {
  process.kill(pidOf('master03'), 'SIGSTOP')
  const before = names(3).map(pidOf)
  for (const [verb, ...words] of [['restart'], ['replace', 'master01'], ['scale', '--masters', '5']] as [string, ...string[]][]) {
    const { exitCode, stderr } = await home.verb(verb, ...words)
    assert.is(exitCode, 1, stderr)
    assert.match(stderr, 'nothing was changed: master03')
  }
  assert.equal(names(3).map(pidOf), before)
  process.kill(pidOf('master03'), 'SIGCONT')
})

test('three grow to five; killed at several steps, each next run goes on', async () => {
  await underLoad(home, async () => {
    await killedAt('[COMPLETED] Record master04', 'scale', '--masters', '5')
    const { exitCode, stderr } = await home.verb('up', '--yes')
    assert.is(exitCode, 1)
    assert.match(stderr, 'scale.ts goes on where it was stopped')
    await killedAt('[COMPLETED] Run the Ansible role etcd', 'scale', '--masters', '5')
    await done(home.verb('scale', '--masters', '5', '--json'))
  })
  await requireInStep(names(5))
})

test('five shrink to three, the highest name first; killed in the middle, the next run goes on', async () => {
  await underLoad(home, async () => {
    await killedAt('[STARTED] Stop and remove master05', 'scale', '--masters', '3')
    await done(home.verb('scale', '--masters', '3', '--json'))
  })
  await requireInStep(names(3))
  assert.equal(processesWith(`${state}/`).filter(({ command }) => command.endsWith('/etcd')).length, 3)
  assert.not.ok(existsSync(join(state, 'hosts/master05')))
})

test.after(() => home.downAll())

test.run()
