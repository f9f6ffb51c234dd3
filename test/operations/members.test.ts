// Members restarted, replaced, added and removed while others write and read: nothing is lost, and a killed run is gone
// on with. test/long/members-killed.test.ts kills at each step, replaces the leader, and goes up to seven members.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asideOf } from '../support/disasters.ts'
import { memberPids, underLoad } from '../support/load.ts'
import { members, names, requireInStep } from '../support/members.ts'
import { destroyHost, done, killedAt, processesWith, testHome } from '../support/verbs.ts'
import { pause } from '../support/wait.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const pids = (): number[] => names(3).map((name) => memberPids(home)[name] ?? 0)

test('one member grows to three by learners, killed as the second comes up; the first is not restarted', async () => {
  assert.is((await home.verb('up', '--yes', '--masters', '1')).exitCode, 0)
  const pid = memberPids(home).master01
  await underLoad(home, async () => {
    await killedAt(home, '[STARTED] Start master02', 'scale', '--masters', '3')
    const { warning } = await done(home.verb('status', '--json'))
    assert.match(String(warning), /Scaling to 3 members is half done\..*scale\.ts --masters 3/)
    await done(home.verb('scale', '--masters', '3', '--json'))
  })
  await requireInStep(home, names(3))
  assert.not.ok(existsSync(join(state, 'scaling.json')))
  assert.is(memberPids(home).master01, pid)
})

test('restart HOST gives it a new process, and no other; status says meanwhile who is at work', async () => {
  const before = pids()
  const leader = (await members(home)).find(({ isLeader }) => isLeader)?.name ?? ''
  const planned = async (...words: string[]): Promise<string[]> =>
    (await done(home.verb('restart', ...words, '--plan', '--json'))).plan as string[]
  const [follower] = names(3).filter((name) => name !== leader)
  assert.equal(await planned(`${follower}`), [`${follower}: restart etcd on ${follower}`, 'verify'])
  assert.is((await planned()).at(-2), `${leader}: restart etcd on ${leader} (the leader, after handing over)`)
  assert.equal(pids(), before)
  let seen = ''
  let ended = false
  const watch = async (): Promise<void> => {
    for (; !ended && !seen.includes('Run the Ansible role'); await pause(300)) seen = (await home.verb('status')).stdout
  }
  const restart = done(home.verb('restart', 'master02', '--json')).finally(() => (ended = true))
  await Promise.all([restart, watch()])
  assert.match(
    seen,
    new RegExp(
      `At work +restart, pid ${process.pid}, for .*\n +Restart one member after the other\n ` +
        '+Run the Ansible role etcd',
    ),
  )
  assert.ok(seen.split('\n').every((line) => line.length <= 80))
  assert.is(JSON.parse((await home.verb('status', '--json')).stdout).atWork, null)
  assert.equal(
    pids().map((pid, index) => pid === before[index]),
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

test('a follower whose host is lost is replaced; killed as it comes up, the next run goes on', async () => {
  const before = await members(home)
  const [follower = ''] = before.filter(({ isLeader }) => !isLeader).map(({ name }) => name)
  await underLoad(home, async () => {
    destroyHost(home, follower)
    await killedAt(home, `[STARTED] Start ${follower}`, 'replace', follower)
    await done(home.verb('replace', follower, '--json'))
  })
  const ids = await requireInStep(home, names(3))
  for (const { name, id } of before) assert.is(ids[name] === id, name !== follower, name)
  assert.equal(asideOf(home, follower), [])
  assert.not.ok(existsSync(join(state, 'replacing.json')))
})

test('three shrink to one, the highest name first, killed as a member is removed', async () => {
  const ids = Object.fromEntries((await members(home)).map(({ name, id }) => [name, id]))
  const note = join(state, 'replacing.json') // as replacements leave it that were killed
  writeFileSync(note, JSON.stringify({ master01: ids.master01, master03: ids.master03 }))
  await underLoad(home, async () => {
    await killedAt(home, '[STARTED] Remove member', 'scale', '--masters', '1')
    await done(home.verb('scale', '--masters', '1', '--json'))
  })
  await requireInStep(home, names(1))
  assert.equal(JSON.parse(readFileSync(note, 'utf8')), { master01: ids.master01 }, 'whose old member is there yet')
  assert.equal(processesWith(`${state}/`).filter(({ command }) => command.endsWith('/etcd')).length, 1)
})

test.after(() => home.downAll())

test.run()
