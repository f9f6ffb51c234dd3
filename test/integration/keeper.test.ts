// Local members live without their keepers: each process of a cluster killed (-9) under load, then all at once.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { takeLock } from '../../tasks/core/lock.ts'
import { birthOf } from '../../tasks/core/processes.ts'
import type { LoadReport } from '../../tasks/etcd/load.ts'
import { besideLoad, memberPids, signalMember } from '../support/load.ts'
import { processesWith, testHome } from '../support/verbs.ts'
import { pause, until } from '../support/wait.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const hosts = ['master01', 'master02', 'master03']

const keeperOf = (host: string): number =>
  (JSON.parse(readFileSync(join(state, `hosts/${host}/etc/keeper/keeper.json`), 'utf8')) as { pid: number }).pid
const kept = async (): Promise<string[]> => {
  const alive = await Promise.all(hosts.map((host) => birthOf(keeperOf(host))))
  return hosts.filter((_, index) => alive[index])
}

async function requireVerified(): Promise<void> {
  const { exitCode, stdout, stderr } = await home.verb('verify', '--timeout', '60')
  assert.is(exitCode, 0, stdout + stderr)
}

test('each process killed, under load: no write is lost, and no member but the killed one starts again', async () => {
  const up = await home.verb('up', '--yes')
  assert.is(up.exitCode, 0, up.stderr)
  const { report } = await besideLoad(home, async () => {
    await keepersKilled()
    for (const host of hosts) await memberKilled(host)
  })
  requireNoneLost(report)
  console.log(`measured: each process killed: ${report.acknowledged} writes, none lost`)
})

/** A write may fail while its member is killed; one that was acknowledged stays. */
function requireNoneLost({ acknowledged, missing, backwards }: LoadReport): void {
  assert.ok(acknowledged > 0)
  assert.equal([missing, backwards], [0, 0])
}

/** Every keeper killed: the members go on, status says so, and the next verb starts the keepers again. */
async function keepersKilled(): Promise<void> {
  const before = memberPids(home)
  for (const host of hosts) process.kill(keeperOf(host), 'SIGKILL')
  await until('the keepers are gone', async () => (await kept()).length === 0)
  assert.match((await home.verb('status')).stdout, 'master01 and master02 and master03: the keeper is gone')
  const release = await takeLock(state, 'restart')
  assert.not.match((await home.verb('status')).stdout, 'keeper', 'a verb that is at work may start it just now')
  release()
  assert.equal(memberPids(home), before)
  const verb = await home.verb('defrag', '--yes')
  assert.is(verb.exitCode, 0, verb.stderr)
  assert.equal([memberPids(home), await kept()], [before, hosts], 'the keepers are back, and no member was restarted')
  assert.not.match((await home.verb('status')).stdout, 'keeper')
}

/** etcd killed: its keeper starts it again, and no other. */
async function memberKilled(host: string): Promise<void> {
  const before = memberPids(home)
  const pid = signalMember(home, host, 'SIGKILL')
  const ms = await until(`${host} is back`, () => ![0, pid].includes(memberPids(home)[host] ?? 0), 10_000)
  console.log(`measured: etcd of ${host} killed: its keeper had it back after ${ms} ms`)
  for (const other of hosts) if (other !== host) assert.is(memberPids(home)[other], before[other], `${other} went on`)
  await requireVerified()
}

test('all processes killed at once, as by a reboot: status says so, one up heals it, nothing is lost', async () => {
  const { result: up, report } = await besideLoad(home, async () => {
    await pause(1000)
    assert.is(processesWith(`${state}/hosts/`).length, 6, 'three members and three keepers')
    // The keepers first: one that lives for an instant longer than its member starts it again.
    const keepers = hosts.map(keeperOf)
    const all = [...keepers, ...Object.values(memberPids(home))]
    for (const pid of all) if (pid > 0) process.kill(pid, 'SIGKILL')
    await until('all are gone', () => processesWith(`${state}/hosts/`).length === 0)
    assert.match((await home.verb('status')).stdout, 'master01 and master02 and master03: the keeper is gone')
    const healed = await home.verb('up', '--yes')
    assert.is(healed.exitCode, 0, healed.stderr)
    return healed
  })
  requireNoneLost(report)
  assert.equal(await kept(), hosts)
  console.log(`measured: all killed at once: up healed it in ${up.tookMs} ms; ${report.acknowledged} writes, none lost`)
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
