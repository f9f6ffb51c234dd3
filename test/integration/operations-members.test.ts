// Members restarted, replaced, added and removed while others write and read: nothing is lost, and a killed run is gone on with.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { birthOf } from '../../tasks/core/processes.ts'
import { startLoad } from '../../tasks/etcd/load.ts'
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

const hosts = (): Host[] =>
  (JSON.parse(readFileSync(join(state, 'cluster.json'), 'utf8')) as { members: Host[] }).members.map((member) => ({ ...member, clientURL: `https://${member.address}:2379` }))
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `master0${index + 1}`)
const dataOf = (host: string): string => join(state, 'hosts', host, 'var/lib/etcd')
const pidOf = (host: string): number => processesWith(`ETCD_DATA_DIR=${dataOf(host)}`).find(({ command }) => command.endsWith('/etcd'))?.pid ?? 0

async function members(): Promise<Member[]> {
  const { stdout, stderr, exitCode } = await home.verb('verify', '--json')
  assert.is(exitCode, 0, stderr)
  return (JSON.parse(stdout) as { members: Member[] }).members
}

const idOf = async (host: string): Promise<string> => (await members()).find(({ name }) => name === host)?.id ?? ''

/** Writes and reads through `through` while the work goes on: nothing acknowledged may be lost, fail twice, or be unread again. */
async function underLoad(through: Host[], work: () => Promise<void>): Promise<void> {
  const load = startLoad({ hosts: through, paths: { certs } } as Cluster)
  try {
    await work()
  } finally {
    const { acknowledged, missing, failed, backwards } = await load.stop()
    assert.ok(acknowledged > 100, `${acknowledged} writes`)
    assert.equal({ missing, failed, backwards }, { missing: 0, failed: 0, backwards: 0 })
  }
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

/** The record, the inventory, every host's initial cluster, and the members as verify finds them: all the same. */
async function requireInStep(expected: string[]): Promise<void> {
  const live = await members()
  assert.equal(live.map(({ name }) => name).sort(), expected)
  assert.not.ok(live.some(({ isLearner }) => isLearner))
  assert.equal(
    hosts().map(({ name }) => name),
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
}

test('one member grows to three by learners, and the first is not restarted', async () => {
  assert.is((await home.verb('up', '--yes', '--masters', '1')).exitCode, 0)
  const pid = pidOf('master01')
  await underLoad(hosts(), async () => {
    assert.equal((await done(home.verb('scale', '--masters', '3', '--json'))).added, ['master02', 'master03'])
  })
  await requireInStep(names(3))
  assert.is(pidOf('master01'), pid)
})

test('restart gives every member a new process, one after the other, the leader last', async () => {
  const before = names(3).map(pidOf)
  const leader = (await members()).find(({ isLeader }) => isLeader)?.name ?? ''
  await underLoad(hosts(), async () => void (await done(home.verb('restart', '--json'))))
  const after = names(3).map(pidOf)
  assert.ok(after.every((pid) => pid > 0 && !before.includes(pid)))
  const births = await Promise.all(after.map(async (pid) => Number(await birthOf(pid))))
  assert.is(Math.max(...births), births[names(3).indexOf(leader)])
})

test('restart of one host leaves the others alone, and its plan touches nothing', async () => {
  const before = names(3).map(pidOf)
  const { plan } = await done(home.verb('restart', 'master02', '--plan', '--json'))
  assert.equal(plan, ['master02: restart etcd on master02'])
  assert.equal(names(3).map(pidOf), before)
  await done(home.verb('restart', 'master02', '--json'))
  assert.equal(
    names(3).map((name, index) => pidOf(name) === before[index]),
    [true, false, true],
  )
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
  await underLoad(hosts(), async () => {
    rmSync(join(state, 'hosts', follower.name), { recursive: true })
    assert.equal((await done(home.verb('replace', follower.name, '--json'))).replaced, [follower.name])
  })
  await requireInStep(names(3))
  assert.is.not(await idOf(follower.name), follower.id)
})

test('the leader is replaced; killed in the middle, the next run goes on; its old data is moved aside', async () => {
  const leader = (await members()).find(({ isLeader }) => isLeader) as Member
  await underLoad(hosts(), async () => {
    await killedAt(`[COMPLETED] Add ${leader.name} as a learner`, 'replace', leader.name)
    await done(home.verb('replace', leader.name, '--json'))
  })
  await requireInStep(names(3))
  assert.is.not(await idOf(leader.name), leader.id)
  assert.ok(readdirSync(dataOf(leader.name)).some((name) => /^member\.\d{8}T/.test(name)))
})

test('a second member cannot be taken down while one is down: refused, and nothing is changed', async () => {
  process.kill(pidOf('master03'), 'SIGSTOP')
  const before = names(3).map(pidOf)
  for (const [verb, ...words] of [['restart'], ['replace', 'master01'], ['scale', '--masters', '5'], ['scale', '--masters', '1']] as [string, ...string[]][]) {
    if (words.includes('1')) continue // master03 itself is to go
    const { exitCode, stderr } = await home.verb(verb, ...words)
    assert.is(exitCode, 1, stderr)
    assert.match(stderr, 'nothing was changed: master03')
  }
  assert.equal(names(3).map(pidOf), before)
  process.kill(pidOf('master03'), 'SIGCONT')
})

test('three grow to five; killed at several steps, each next run goes on', async () => {
  await underLoad(hosts(), async () => {
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
  await underLoad(hosts().slice(0, 3), async () => {
    await killedAt('[STARTED] Stop and remove master05', 'scale', '--masters', '3')
    await done(home.verb('scale', '--masters', '3', '--json'))
  })
  await requireInStep(names(3))
  assert.equal(processesWith(`${state}/`).filter(({ command }) => command.endsWith('/etcd')).length, 3)
  assert.not.ok(existsSync(join(state, 'hosts/master05')))
})

test.after(() => home.downAll())

test.run()
