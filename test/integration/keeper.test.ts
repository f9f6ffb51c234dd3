// Local members live without their keepers: each process of a cluster killed (-9) in turn under load, then all at once.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { birthOf } from '../../tasks/core/processes.ts'
import { table } from '../../tasks/core/terminal.ts'
import { startLoad } from '../../tasks/etcd/load.ts'
import { clientsView, memberPids, requireHeld } from '../support/load.ts'
import { processesWith, testHome } from '../support/verbs.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const hosts = ['master01', 'master02', 'master03']
const wait = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

const keeperOf = (host: string): number =>
  (JSON.parse(readFileSync(join(state, `hosts/${host}/etc/keeper/keeper.json`), 'utf8')) as { pid: number }).pid
const kept = async (): Promise<string[]> => {
  const alive = await Promise.all(hosts.map((host) => birthOf(keeperOf(host))))
  return hosts.filter((_, index) => alive[index])
}

/** Milliseconds until it holds. */
async function timed(holds: () => boolean | Promise<boolean>, limitMs: number, what: string): Promise<number> {
  const started = Date.now()
  while (!(await holds())) {
    assert.ok(Date.now() - started < limitMs, `${what}, not within ${limitMs} ms`)
    await wait(10)
  }
  return Date.now() - started
}

async function requireVerified(): Promise<void> {
  const { exitCode, stdout, stderr } = await home.verb('verify', '--timeout', '20')
  assert.is(exitCode, 0, stdout + stderr)
}

test('each process killed in turn, under load: no write lost, no member but the killed one restarted', async () => {
  const up = await home.verb('up', '--yes')
  assert.is(up.exitCode, 0, up.stderr)
  const load = startLoad(clientsView(home), { pauseMs: 40, maxSeconds: 900 })
  const rows = [['KILLED', 'ITS MEMBER', 'BACK']]
  for (const host of hosts) {
    const [keeper, before] = [keeperOf(host), memberPids(home)]
    process.kill(keeper, 'SIGKILL')
    await timed(async () => !(await kept()).includes(host), 1000, 'the keeper is gone')
    const status = await home.verb('status')
    assert.match(status.stdout, new RegExp(`${host}: the keeper is gone`))
    assert.equal(memberPids(home), before)
    const verb = await home.verb('defrag', '--yes')
    assert.is(verb.exitCode, 0, verb.stderr)
    assert.equal([memberPids(home), await kept()], [before, hosts], 'the keeper is back, and no member was restarted')
    assert.not.match((await home.verb('status')).stdout, 'keeper')
    rows.push([`keeper of ${host}, pid ${keeper}`, 'went on', 'by the next verb; status had said so'])
  }
  for (const host of hosts) {
    const before = memberPids(home)
    process.kill(before[host] ?? 0, 'SIGKILL')
    const ms = await timed(() => ![0, before[host]].includes(memberPids(home)[host]), 2000, `${host} is back`)
    const after = memberPids(home)
    for (const other of hosts) if (other !== host) assert.is(after[other], before[other], `${other} went on`)
    rows.push([`etcd of ${host}, pid ${before[host]}`, 'ended', `by its keeper, after ${ms} ms`])
    await requireVerified()
  }
  requireHeld(await load.stop(), 'each process killed in turn')
  for (const line of table(rows).split('\n')) console.log(`measured: ${line}`)
})

test('all processes killed at once, as by a reboot: status says so, one up heals it, nothing is lost', async () => {
  const load = startLoad(clientsView(home), { pauseMs: 40, maxSeconds: 900 })
  await wait(2000)
  const all = processesWith(`${state}/hosts/`)
  assert.is(all.length, 6, 'three members and three keepers')
  // The keepers first: one that lives for an instant longer than its member starts it again.
  const keepers = hosts.map(keeperOf)
  for (const pid of [...keepers, ...Object.values(memberPids(home))]) process.kill(pid, 'SIGKILL')
  await timed(() => processesWith(`${state}/hosts/`).length === 0, 30_000, 'all are gone')
  assert.match((await home.verb('status')).stdout, 'master01 and master02 and master03: the keeper is gone')
  const up = await home.verb('up', '--yes')
  assert.is(up.exitCode, 0, up.stderr)
  await wait(1000)
  const { acknowledged, missing, backwards } = await load.stop()
  assert.ok(acknowledged > 50)
  assert.equal([missing, backwards], [0, 0])
  assert.equal(await kept(), hosts)
  console.log(`measured: all killed at once: up healed it in ${up.tookMs} ms; ${acknowledged} writes, none lost`)
})

test('a keeper that is gone and whose program is lost: the role puts both back, and restarts no member', async () => {
  const before = memberPids(home)
  process.kill(keeperOf('master02'), 'SIGKILL')
  rmSync(join(state, 'hosts/master02/etc/keeper/keeper.py'))
  const { exitCode, stdout, stderr } = await home.verb('etcd-role', '--json')
  assert.is(exitCode, 0, stderr)
  assert.equal(JSON.parse(stdout).changed, { master01: 0, master02: 1, master03: 0 })
  assert.equal([memberPids(home), await kept()], [before, hosts])
})

test('down leaves no process', async () => {
  assert.is((await home.verb('down', '--yes')).exitCode, 0)
  assert.equal(processesWith(home.path), [])
})

test.after(() => home.downAll())

test.run()
