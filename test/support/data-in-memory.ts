// recover and restore on a cluster in memory, as lists of steps: each world in which they may be killed.
import type { Begun, Cluster } from '../../tasks/core/cluster.ts'
import type { Finding } from '../../tasks/etcd/findings.ts'
import type { HostData } from '../../tasks/observe/host-data.ts'
import { leavesAuthority } from '../../tasks/operations/authority-rules.ts'
import { findingOf } from '../../tasks/operations/carry-out.ts'
import { chooseSurvivor } from '../../tasks/operations/choose-survivor.ts'
import { curable } from '../../tasks/operations/guard.ts'
import { isGone, isInTheWay, mayBeBack, standsBy } from '../../tasks/operations/recover-rules.ts'
import { joinAll, minorOf } from '../../tasks/plans/members.ts'
import {
  awoken,
  cannotIssue,
  meanwhile,
  newest,
  observe,
  renewed,
  settledWith,
  type World,
  whyUnfit,
  withPapers,
} from './model.ts'
import { endOfRan, pki, type Ran, role } from './role-in-memory.ts'
import { leaveAuthority, stopAndIssue, verified } from './rotations.ts'
import { unreachable, withoutRoom } from './verbs-in-memory.ts'
import { type Verb, walk } from './walk.ts'

/** As every verb refuses that may not go on now. */
export const halfRestored = ({ begun }: World): Finding | undefined =>
  begun && { code: 'half-restored', what: begun.verb, name: 'x' }

/** Those whose member has its data. */
export const dataOf = ({ recorded, hosts, members }: World): string[] =>
  recorded.filter((host) => members.some(({ id }) => id === hosts[host]?.data))

const votingIn = (world: World): number => {
  const { hosts, recorded } = observe(world)
  return recorded.filter((host) => hosts[host]?.answer?.commits).length
}

const changed = (world: World, of: string[], change: Partial<World['hosts'][string]>): World =>
  settledWith(world, (host, name) => (of.includes(name) ? { ...host, ...change } : host))

/** An authority that cannot issue is left, where that is allowed. */
function leaves({ begun, here, ...world }: World): boolean {
  const lacks = here === 'no certificates' ? undefined : cannotIssue({ ...world, here })
  const isKeyLost = lacks !== undefined && lacks.code !== 'authority-key-closed'
  return leavesAuthority(begun, here === 'authority expired', isKeyLost)
}

/** As pki, or without the authority that is left; then every host is up. */
function awake(world: World): Ran {
  const ran = leaves(world) ? { worlds: leaveAuthority(world) } : pki(world)
  if (ran.refused) return ran
  const then = settledWith(awoken(endOfRan(ran, world)), (host) => ({ ...host, ...renewed(host) }))
  return { worlds: [...ran.worlds, then] }
}

const isKeptOut = ({ here }: World): boolean => here === 'no client' || here === 'client expired'

/** The same for recover: the members are heard as long as they trust the authority that is left, and stopped. */
function awakeOrStopped(world: World): Ran {
  if (!leaves(world) || world.here === 'authority expired') return awake(world)
  const up = awoken(world)
  const ends = { ...up, begun: undefined }
  if (isInTheWay(up.begun, votingIn(up))) return { worlds: [up, ends], refused: hasQuorumNow(up) }
  if (isKeptOut(up) && mayBeBack(up.begun, thereIn(up))) return { worlds: [up, ends], refused: cannotIssue(up) }
  const ran = stopAndIssue(up)
  const worlds = [up, ...ran.worlds]
  return ran.refused || world.begun?.from
    ? { worlds, refused: ran.refused }
    : { worlds: [...worlds, startedAgain(endOfRan(ran, up))] }
}

/** What an earlier run has formed. */
function startedAgain(world: World): World {
  const hosts = dataOf(world)
  const put = hosts.reduce((now, host) => withPapers(now, host, true), world)
  return awoken(changed(put, hosts, { certificates: undefined, holds: world.version }))
}

/** Those that do not vote come back. */
const comeBack: Verb = {
  words: 'recover',
  rules: () => (seen) =>
    joinAll(
      seen,
      seen.recorded.map((host) => ({ host })),
    ),
  coming: [],
  about: [],
  reached: () => true,
}

/** `from`: the host that a person names; HOST: the one that goes furthest; '': none is named. */
export function recover(world: World, from = ''): Ran {
  const refused = whyNotRecover(world, from)
  if (refused) {
    const isBack = refused.code === 'has-quorum' && world.begun?.verb === 'recover'
    return { worlds: isBack ? [{ ...world, begun: undefined }] : [], refused }
  }
  const prepared = awakeOrStopped(world)
  if (prepared.refused) return { ...prepared, atOnce: true }
  const before = prepared.worlds
  const there = endOfRan(prepared, world)
  const unfit = unreachable(there) ?? (world.begun ? undefined : withoutRoom(there, there.recorded))
  const found = unfit ?? (isInTheWay(there.begun, votingIn(there)) ? hasQuorumNow(there) : undefined)
  if (found) return { worlds: before, refused: found }
  const ran = formed(there, from)
  return verified({ worlds: [...before, ...ran.worlds], refused: ran.refused, atOnce: true }, world)
}

function whyNotRecover(world: World, from: string): Finding | undefined {
  const half = world.begun && world.begun.verb !== 'recover' ? halfRestored(world) : undefined
  if (half) return half
  if (isInTheWay(world.begun, votingIn(world))) return hasQuorumNow(world)
  return world.begun ? undefined : curable(observe(world).findings, from || undefined)
}

function hasQuorumNow(world: World): Finding {
  const { recorded } = world
  const { hosts } = observe(world)
  const silent = recorded.filter((host) => !hosts[host]?.answer?.commits)
  return {
    code: 'has-quorum',
    name: 'x',
    well: recorded.length - silent.length,
    voters: recorded.length,
    hosts: silent,
  }
}

/** A cluster of one, and the others join it. */
function formed(world: World, from: string): Ran {
  const stands = standsBy(world.begun, votingIn(world))
  if (isGone(world.begun, stands, thereIn(world))) return { worlds: [], refused: { code: 'all-data-lost' } }
  const choice = stands === 'not formed' ? survivorOf(world, from) : undefined
  if (choice && 'finding' in choice) return { worlds: [], refused: choice.finding }
  const host = choice?.survivor.host.name ?? world.begun?.from
  const why = host && stands !== 'formed' ? unableToStart(world, host) : undefined
  if (why) return { worlds: [], refused: why }
  const worlds = host && stands !== 'formed' ? [...(choice ? parted(world, host) : [])] : []
  if (host && stands !== 'formed') worlds.push(...settledAlone(worlds.at(-1) ?? world, host, stands === 'raising'))
  const now = worlds.at(-1) ?? world
  const back = ranBy(now, comeBack)
  if (back.refused) return { worlds: [...worlds, ...back.worlds], refused: back.refused }
  const end = endOfRan(back, now)
  return {
    worlds: [...worlds, ...back.worlds, { ...end, done: [], begun: undefined, replacing: {}, scaling: undefined }],
  }
}

/** The role refuses a host by its checks; and one without data has nothing to raise. */
function unableToStart({ hosts }: World, host: string): Finding | undefined {
  const why = hosts[host]?.data === undefined ? 'it has no data' : cannotTake(hosts[host])
  return why ? { code: 'ends', host, detail: why, remedy: '' } : undefined
}

/** A copy of data, or a snapshot's, needs room, also beside an etcd that runs. */
const cannotTake = (host?: World['hosts'][string]): string | undefined =>
  host?.full ? 'there is no room for a copy' : whyUnfit(host)

/** What the hosts have of data. */
function thereIn(world: World): HostData[] {
  const { recorded, hosts, begun } = world
  const has = begun ? recorded.filter((host) => hosts[host]?.data !== undefined) : dataOf(world)
  return recorded.map((name) => ({
    host: { name } as Cluster['hosts'][0],
    running: hosts[name]?.running === true,
    hasData: has.includes(name),
    ...{ commit: 1, last: 1, member: '', removed: [], restored: '', free: 0, database: 0, size: 0 },
  }))
}

function survivorOf(world: World, from: string): ReturnType<typeof chooseSurvivor> {
  const { begun } = world
  const only = from === 'HOST' || from === '' ? begun?.from : from
  return chooseSurvivor(thereIn(world), from !== '' || begun?.from !== undefined, only)
}

/** Its data is copied, the others are parted from theirs, one after the other. */
function parted(world: World, host: string): World[] {
  const begun: Begun = { verb: 'recover', from: host }
  const copied = changed(world, [host], { running: false, frozen: false })
  const noted = { ...copied, begun }
  const others = world.recorded.filter((one) => one !== host)
  const aside = others.map((_, at) =>
    changed(noted, others.slice(0, at + 1), { running: false, frozen: false, data: undefined, damaged: undefined }),
  )
  return [copied, noted, ...aside, alone(aside.at(-1) ?? noted, host)]
}

/** It runs as the only member. */
function alone(world: World, host: string): World {
  const id = `${world.nextId}`
  const version = newest(world)
  const ends = { version, upgradingTo: undefined, downgradingTo: undefined, works: minorOf(version), uncovered: [] }
  const members = [{ id, host, learner: false, started: true }]
  const one = { ...world, ...ends, alarms: [], nextId: world.nextId + 1, members }
  const starts = { data: id, running: true, frozen: false, certificates: undefined, version, holds: version }
  return withPapers(changed(one, [host], starts), host, true)
}

/** Its revision is raised while it is stopped; then it starts as a member like any other. */
function settledAlone(world: World, host: string, isRaising: boolean): World[] {
  const raising = {
    ...changed(world, [host], { running: false }),
    begun: { verb: 'recover' as const, from: host, revision: 1 },
  }
  const again = { ...alone(raising, host), begun: raising.begun }
  return [...(isRaising ? [] : [raising]), again, { ...again, begun: { verb: 'recover' } }]
}

/** A plan, as a list of steps. */
export function ranBy(world: World, verb: Verb): Ran {
  const worlds: World[] = []
  let step = walk(world, verb)
  const [first] = [step]
  while (step.act && step.next) {
    worlds.push(...meanwhile(step.world, step.act), step.next.world)
    step = step.next
  }
  const stop = first?.obstacle ?? step.obstacle
  const refused = step.refused ?? (stop && stop.code !== 'refused' ? findingOf(stop, observe(world)) : undefined)
  return { worlds: first?.obstacle ? [] : worlds, refused }
}

/** All data is replaced by a snapshot's. */
export function restore(world: World): Ran {
  const half = world.begun
  const prepared = awake(world)
  if (prepared.refused) return prepared
  const before = prepared.worlds
  const there = endOfRan(prepared, world)
  const found = unreachable(there) ?? (half ? undefined : withoutRoom(there, there.recorded)) ?? unfitOf(there)
  if (found) return { worlds: before, refused: found }
  const noted: World = { ...there, begun: { verb: 'restore', file: 'FILE' } }
  const stopped = changed(noted, noted.recorded, { running: false, frozen: false })
  const taken = noted.recorded.map((_, at) => withRestored(stopped, at + 1))
  const all = taken.at(-1) as World
  const members = all.recorded.map((host) => ({ id: `r${host}`, host, learner: false, started: true }))
  const version = newest(all)
  const is = { version, works: minorOf(version), upgradingTo: undefined, downgradingTo: undefined }
  const ready = settledWith({ ...all, ...is, members, alarms: [], uncovered: [], auth: undefined }, (host) => ({
    ...host,
    ...{ version, holds: version },
  }))
  const ran = role(ready)
  const worlds = [...before, noted, stopped, ...taken, ready, ...ran.worlds]
  if (ran.refused) return { worlds, refused: ran.refused, atOnce: true }
  const end = { ...(worlds.at(-1) as World), begun: undefined, replacing: {} }
  return verified({ worlds: [...worlds, end], atOnce: true }, world)
}

const unfitOf = ({ recorded, hosts }: World): Finding | undefined => {
  const host = recorded.find((name) => cannotTake(hosts[name]))
  return host === undefined ? undefined : { code: 'ends', host, detail: cannotTake(hosts[host]) ?? '', remedy: '' }
}

const withRestored = (world: World, count: number): World =>
  settledWith(world, (host, name) =>
    world.recorded.indexOf(name) < count ? { ...host, data: `r${name}`, damaged: undefined } : host,
  )
