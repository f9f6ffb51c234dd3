// up, pki and the role on a cluster in memory, as lists of steps: each world in which they may be killed.
import { moveBegun } from '../../tasks/etcd/advice.ts'
import type { Finding } from '../../tasks/etcd/findings.ts'
import { moveIn } from '../../tasks/operations/bring-back.ts'
import { testCluster } from './cluster.ts'
import {
  awoken,
  cannotIssue,
  carriedOut,
  hasQuorum,
  isAnyDue,
  renewed,
  runningVoters,
  settledWith,
  turned,
  type World,
  withPapers,
} from './model.ts'
import { isInstalled, issued, ofClient, takenBack as takenFrom } from './trust.ts'
import { unfitIn } from './verbs-in-memory.ts'

/** What came of a list of steps: the worlds in which it may be killed, the last one where it ends. */
export interface Ran {
  worlds: World[]
  /** Why it did not come to its end. */
  refused?: Finding | undefined
  /** It stops all members and starts them again: there is no quorum in between. */
  atOnce?: boolean
}

export const endOfRan = ({ worlds }: Ran, world: World): World => worlds.at(-1) ?? world

const made = testCluster()
/** A move to another etcd that is half done, as status tells it. */
export const moveOf = ({ version, upgradingTo }: World): Finding | undefined =>
  moveBegun({ ...made, etcd: { ...made.etcd, version, upgradingTo } })

/** Issues what is not valid now; without an authority it makes none that the hosts would refuse. */
export function pki(world: World, fromHosts = false): Ran {
  if (world.here === 'authority expired')
    return { worlds: [], refused: { code: 'authority-expired', name: '', is: '', now: '' } }
  if (fromHosts && world.here && world.here !== 'client expired') {
    const back = takenBack(world)
    if (!back) return { worlds: [], refused: { code: 'ends', host: world.recorded[0] ?? '', detail: '', remedy: '' } }
    const then = pki(back)
    return { ...then, worlds: [back, ...then.worlds] }
  }
  if (world.here === 'no certificates') return { worlds: [], refused: { code: 'no-authority', reason: '' } }
  const refused = cannotIssue(world)
  if (refused) return { worlds: [], refused }
  if (!isAnyDue(world)) return { worlds: [] }
  const halfway = world.trust ? [withIssued(world, world.recorded.slice(0, 1))] : []
  const all = settledWith(withIssued(world, [...world.recorded, ofClient]), (host) => ({ ...host, ...renewed(host) }))
  return { worlds: [...halfway, { ...all, here: undefined }] }
}

/** The record as the hosts show it: of what was half done only verbs' own notes are left. */
export function adopt(world: World): Ran {
  const { recorded, hosts, members } = world
  // restored data run, too, once somebody starts them: as another cluster than the one that is told of here
  const isRestored = (data?: string): boolean => data !== undefined && !members.some(({ id }) => id === data)
  const running = recorded.flatMap((name) => {
    const host = hosts[name]
    return host?.up && (host.running || isRestored(host.data)) ? [host] : []
  })
  if (running.length === 0) {
    const host = recorded.find((name) => hosts[name]?.data !== undefined)
    return { worlds: [], refused: host ? { code: 'ends', host, detail: '', remedy: '' } : { code: 'all-data-lost' } }
  }
  const isUpgrade = hasQuorum(world) && world.downgradingTo === undefined
  const { version = world.version, upgradingTo } = moveIn(
    running.map((one) => one.version),
    isUpgrade,
  )
  const there = { ...world, unrecorded: undefined, version, upgradingTo, begun: undefined }
  return { worlds: [there, ...(there.here ? pki(there, true).worlds : [])] }
}

export const withIssued = (world: World, hosts: string[]): World =>
  world.trust ? { ...world, trust: issued(world.trust, hosts) } : world

/** What hosts that are up have; with the folder the keys are lost, and what the others had is as good as expired. */
function takenBack(world: World): World | undefined {
  if (world.here === 'no client') return { ...world, here: undefined }
  const isHere = (host: string): boolean =>
    world.hosts[host]?.up === true && !['foreign', 'gone'].includes(world.hosts[host].certificates ?? '')
  const trust = world.trust && takenFrom(world.trust, world.recorded.filter(isHere))
  if (world.trust && !trust) return undefined
  const then = { ...world, here: undefined, ...(trust ? { trust } : { keyless: 'lost' as const }) }
  return settledWith(then, (host) => ({ ...host, certificates: host.up ? host.certificates : 'expired' }))
}

/** As the role's inventory is written only where all certificates are there. */
const lacking: Finding = { code: 'certificate-missing', what: 'etcd-client.crt' }

/** Hosts that were off come back with their data; the role starts what is stopped, or says why not. */
export function up(world: World, brings: boolean): Ran {
  const begun = moveOf(world)
  const isMissing =
    !begun && (world.here !== undefined || cannotIssue(world) !== undefined || world.trust !== undefined)
  const issues = isMissing && brings ? pki(world) : { worlds: [] }
  if (issues.refused) return issues
  if (isMissing && !brings && (world.here || cannotIssue(world))) return { worlds: [], refused: lacking }
  const there = endOfRan(issues, world)
  const awake = brings ? awoken(there) : there
  const before = [...issues.worlds, awake]
  const unfit = begun ?? unfitIn(awake)
  if (unfit) return { worlds: before, refused: unfit }
  const then = role(awake)
  return { ...then, worlds: [...before, ...then.worlds] }
}

/** The role on all hosts. */
export function role(world: World): Ran {
  const refused = refusalOfRole(world)
  if (refused?.code === 'ends') return { worlds: [], refused }
  if (refused) return { worlds: [withLeaves(world)], refused }
  if (world.trust) return inTurns(world)
  const then = inStep(awoken(world))
  return hasQuorum(then) ? { worlds: [withNew(then)] } : { worlds: [then], refused: { code: 'no-quorum' } }
}

/** Members that have never started start. */
const withNew = (world: World): World =>
  world.members
    .filter(({ host, started }) => !started && world.recorded.includes(host))
    .reduce((now, { host }) => started(now, host), world)

/** The role gives all the version that is recorded, and the certificates that are here. */
const inStep = (world: World): World =>
  settledWith(world, (host) => ({
    ...host,
    certificates: host.up ? undefined : host.certificates,
    holds: world.version,
    version: host.running ? world.version : host.version,
  }))

/** Members that run with another ca.crt or version restart, in turn; the others have their certificates at once. */
function inTurns(world: World): Ran {
  const restarts = world.recorded.filter((host) => needsRestart(world, host))
  const others = world.recorded.filter((host) => world.hosts[host]?.up && !restarts.includes(host))
  const put = others.reduce((now, host) => withPapers(now, host, now.hosts[host]?.running !== true), world)
  const worlds = [
    withNew(
      settledWith(awoken(put), (host, name) =>
        others.includes(name) ? { ...host, certificates: undefined, holds: world.version } : host,
      ),
    ),
  ]
  for (const host of inOrderOfRisk(worlds[0] as World, restarts)) {
    const now = worlds.at(-1) as World
    const ill = now.recorded.filter((other) => other !== host && !isWell(now, other))
    if (isWell(now, host) && ill.length > 0) return { worlds, refused: { code: 'others-ill', host, hosts: ill } }
    const change = { holds: now.version, running: false }
    const down = settledWith(withPapers(now, host, false), (one, name) => (name === host ? { ...one, ...change } : one))
    worlds.push(down, turned(now, [host], now.version))
  }
  return hasQuorum(endOfRan({ worlds }, world)) ? { worlds } : { worlds, refused: { code: 'no-quorum' } }
}

/** By its own word: beside damaged data none is. */
const isWell = (world: World, host: string): boolean =>
  hasQuorum(world) &&
  runningVoters(world).some((one) => one.host === host) &&
  !world.alarms?.some(({ kind }) => kind === 'CORRUPT')

/** As etcd_plan.py: who is ill has nothing to lose, the leader's turn disturbs most. */
function inOrderOfRisk(world: World, hosts: string[]): string[] {
  const rank = (host: string): number => (!isWell(world, host) ? 0 : host === world.leader ? 2 : 1)
  return hosts.toSorted((one, other) => rank(one) - rank(other))
}

function needsRestart({ hosts, trust, version }: World, name: string): boolean {
  const host = hosts[name]
  if (!host?.running || !trust) return false
  const there = trust.hosts[name]
  if (['foreign', 'gone'].includes(host.certificates ?? '') || host.version !== version) return true
  return there?.runs !== trust.trusted
}

/** Whether every host has what lies here, and its member goes by it. */
export const isAllInstalled = ({ recorded, trust }: World): boolean =>
  trust === undefined || recorded.every((host) => isInstalled(trust, host))

/** Whatever else it refuses, it gives renewed certificates to who runs. */
const withLeaves = (world: World): World =>
  settledWith(world, (host) =>
    host.running && host.certificates === 'renewed' ? { ...host, certificates: undefined } : host,
  )

const started = (world: World, host: string): World => {
  const then = carriedOut(world, { do: 'start learner', host, version: world.version })
  return typeof then === 'string' ? world : { ...then, done: [] }
}

/** As etcd_plan.py refuses, by what each host looks like. */
export function refusalOfRole(world: World): Finding | undefined {
  const { members, recorded, hosts } = world
  const role = { detail: '', remedy: '' }
  const empty = recorded.filter((host) => hosts[host]?.data === undefined)
  if (!hasQuorum(world)) {
    const foreign = recorded.find((host) => hosts[host]?.certificates === 'foreign' && hosts[host].data)
    if (foreign !== undefined) return { code: 'ends', host: foreign, ...role }
    if (empty.length === 0) return undefined
    if (empty.length === recorded.length) return { code: 'all-data-lost' }
    return { code: 'others-silent', host: empty[0] ?? '', ...role }
  }
  const listed = members.map(({ host }) => host)
  const lost = empty.filter((host) => members.some((one) => one.host === host && one.started))
  if (lost[0] !== undefined) return { code: 'data-lost', host: lost[0], hosts: lost, ...role }
  const same = listed.length === recorded.length && recorded.every((host) => listed.includes(host))
  return same ? undefined : { code: 'members-differ', ...role }
}
