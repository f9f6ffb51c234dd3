// Upgrades and downgrades, killed at any step, with members down: they end, and come back, and the quorum stays.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { versionToJoin } from '../../../tasks/plans/members.ts'
import { upgradeRules, whyNotMove } from '../../../tasks/plans/move.ts'
import { planOf } from '../../../tasks/plans/plan.ts'
import type { Observation } from '../../../tasks/plans/types.ts'
import { linesOf } from '../../../tasks/plans/words.ts'
import { broken, endOf, explore, type State } from '../../support/explorer.ts'
import { faults as deaths, hasQuorum, healthy, killed, observe, stopped, type World } from '../../support/model.ts'
import { downgrade, lostIn, replace as replaceHost, runsAll, upgrade, voting } from '../../support/verbs-in-memory.ts'
import type { Verb } from '../../support/walk.ts'

const [older, newer] = ['3.6.14', '3.7.1']

/** While no downgrade is enabled, but by the move. */
const replace = (host: string): Verb => ({
  ...replaceHost(host),
  may: ({ version, upgradingTo: to = version, downgradingTo }) => !downgradingTo || to < version,
  reached: (world) => voting(world).includes(host),
})

/** A member that ends, or hangs. */
const faults = (world: World): [string, World][] => voting(world).map((host) => [`stop ${host}`, stopped(world, host)])

/** A move that was begun comes to its end, and can be taken back while not every member has the newer etcd. */
function requireWayOut(state: State): void {
  const { world } = state
  const { version, upgradingTo: to } = world
  if (!to) return
  const verb = to > version ? upgrade : downgrade
  const reaches = (goal: string): boolean => {
    const end = endOf(state, verb(goal))
    return end !== undefined && runsAll(end, goal)
  }
  const isOver = to > version && world.recorded.every((host) => world.hosts[host]?.version === to)
  const [on, back] = [reaches(to), reaches(version)]
  if (!on && !back) broken(state.story, 'neither on nor back')
  if (!back && !isOver) broken(state.story, 'no way back')
  if (!on && (hasQuorum(world) || verb === upgrade)) broken(state.story, 'no way on')
}

const walk = (start: World, verbs: Verb[]): string =>
  explore({ starts: [start], verbs, budget: { faults: 2, kills: 2 }, faults, requireWayOut })

for (const uncovered of [[], ['h1', 'h2', 'h3']]) {
  test(`three hosts go up and back, two faults, killed twice${uncovered.length > 0 ? '; logs of 3.5' : ''}`, () => {
    const found = walk({ ...healthy(3, false, older), uncovered }, [upgrade(newer), upgrade(older)])
    console.log(`measured: ${found}`)
    assert.ok(Number.parseInt(found, 10) > 100)
  })
}

test('three hosts go down and back, two faults, killed twice', () => {
  const found = walk(healthy(3, false, newer), [downgrade(older), downgrade(newer)])
  console.log(`measured: ${found}`)
  assert.ok(Number.parseInt(found, 10) > 100)
})

/** A host whose disk is lost is replaced in the middle of the move, which then ends as any other. */
function requireWayOutOfLoss(state: State): void {
  const { world } = state
  const lost = lostIn(world)
  if (lost === undefined) requireWayOut(state)
  else if (hasQuorum(world) && world.upgradingTo) {
    const end = endOf(state, replace(lost))
    if (!end || !voting(end).includes(lost)) broken(state.story, `${lost} is not replaced`)
    else requireWayOut({ ...state, world: killed(end), story: [...state.story, `replace ${lost}`] })
  }
}

for (const [from, verbs] of [
  [older, [upgrade(newer), upgrade(older)]],
  [newer, [downgrade(older), downgrade(newer)]],
] as const)
  test(`from ${from}: a host that is lost at any step of a move that is killed twice gets a new member`, () => {
    const lose = (world: World): [string, World][] => deaths(world).filter(([title]) => title.startsWith('wipe'))
    const all = [...verbs, ...['h1', 'h2', 'h3'].map(replace)]
    const budget = { faults: 1, kills: 2 }
    const start = healthy(3, false, from)
    const found = explore({ starts: [start], verbs: all, budget, faults: lose, requireWayOut: requireWayOutOfLoss })
    console.log(`measured: ${found}`)
    assert.ok(Number.parseInt(found, 10) > 100)
  })

// Without a fault: one that is down and ran the newer etcd by itself already would not start on the older one.
test('a single host goes up, down and back, killed twice', () => {
  const starts = [healthy(1, false, older), healthy(1, false, newer)]
  const verbs = [upgrade(newer), upgrade(older), downgrade(older), downgrade(newer)]
  explore({ starts, verbs, budget: { faults: 0, kills: 2 }, faults, requireWayOut })
})

const linesFrom = (seen: Observation, to: string): string[] =>
  planOf(upgradeRules(seen, to), seen).acts.flatMap(linesOf)

test('the plan of an upgrade: a turn for each member, the leader last', () => {
  assert.equal(linesFrom(observe({ ...healthy(3, false, older), leader: 'h2' }), newer), [
    'save a snapshot, check it, and prove it by restoring it',
    "get etcd 3.7.1: the official release, else built with Go, else the distribution's package",
    'note that the way to etcd 3.7.1 has begun',
    'restart h1 with etcd 3.7.1 (now 3.6.14), and wait until it has caught up',
    'restart h3 with etcd 3.7.1 (now 3.6.14), and wait until it has caught up',
    'restart h2 (the leader, after handing over) with etcd 3.7.1 (now 3.6.14), and wait until it has caught up',
    'verify',
    'record that every member runs etcd 3.7.1',
  ])
})

test('a run that was killed goes on where it was: a member that is down first, those that are done not again', () => {
  const world = stopped({ ...healthy(3, false, older), upgradingTo: newer, programs: newer, leader: 'h1' }, 'h3')
  const half: World = { ...world, hosts: { ...world.hosts, h2: { ...world.hosts.h2, version: newer } as never } }
  const lines = linesFrom(observe(killed(half)), newer)
  assert.equal(
    lines.filter((line) => line.startsWith('restart')).map((line) => line.slice(0, 10)),
    ['restart h3', 'restart h1'],
  )
})

test('the etcd of a new member in the middle of a move: the older one as long as another member runs it', () => {
  const half = mixed([newer, newer, older], newer)
  assert.equal([versionToJoin(half, ['h1']), versionToJoin(half, ['h3'])], [older, newer])
})

const mixed = (versions: string[], upgradingTo?: string): Observation => {
  const world = healthy(versions.length, false, older)
  const hosts = Object.fromEntries(
    versions.map((version, at) => [`h${at + 1}`, { ...world.hosts[`h${at + 1}`], version } as never]),
  )
  return observe({ ...world, hosts, upgradingTo })
}

test('members may run the old or the new version, and no third one; two only where a move was begun', () => {
  assert.is(whyNotMove(mixed([older, newer, older], newer), 'upgrade', newer), undefined)
  const strange = { code: 'strange-version', host: 'h2', is: '3.6.9', from: older, to: newer }
  assert.equal(whyNotMove(mixed([older, '3.6.9', older], newer), 'upgrade', newer), strange)
  const odd = { code: 'mixed-versions', host: 'h2', is: newer, most: older }
  assert.equal(whyNotMove(mixed([older, newer, older]), 'upgrade', newer), odd)
})

test('once all run the newer etcd there is no way back by upgrade', () => {
  const world = { ...healthy(3, false, newer), version: older, upgradingTo: newer }
  assert.equal(whyNotMove(observe(world), 'upgrade', older), { code: 'no-way-back', is: newer, due: older })
})

test.run()
