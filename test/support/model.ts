// A cluster in memory: what etcd makes of acts, and what befalls hosts. The rules of plans are explored on it.
import type { Host } from '../../tasks/core/cluster.ts'
import type { Answers, HostAnswers } from '../../tasks/etcd/ask.ts'
import type { EndpointStatus } from '../../tasks/etcd/etcdctl.ts'
import { atTheDoor } from '../../tasks/etcd/judge.ts'
import { mayAdd, quorum } from '../../tasks/etcd/membership.ts'
import type { Probe } from '../../tasks/etcd/probe.ts'
import { seenIn } from '../../tasks/observe/seen.ts'
import type { Act, MemberSeen, Observation } from '../../tasks/plans/types.ts'

interface HostWorld {
  up: boolean
  running: boolean
  /** Whose data lies there, by the member's id. */
  data?: string | undefined
  /** Set aside by the run that is at work. */
  empty: boolean
  /** The etcd that it runs, or ran last; and the one that lies there for the next start. */
  version: string
  holds: string
}

export interface World {
  hosts: Record<string, HostWorld>
  members: (MemberSeen & { host: string })[]
  nextId: number
  leader?: string | undefined
  recorded: string[]
  replacing: Record<string, string>
  /** The hosts that a scale that was begun is to end with. */
  scaling?: string[] | undefined
  /** What the run at work has done. */
  done: Act[]
  /** What the record says. */
  version: string
  upgradingTo?: string | undefined
  /** The minor version that the cluster works at, and the one of a downgrade that is enabled. */
  works: string
  downgradingTo?: string | undefined
  /** The version whose programs were got. */
  programs?: string | undefined
  backups: string[]
  /** Hosts whose member does not start on another minor version before it took a snapshot. */
  uncovered: string[]
  /** etcd before 3.5.30: nobody is added while any voter is down. */
  strict: boolean
}

export function healthy(count: number, strict: boolean, version = '3.6.14'): World {
  const names = Array.from({ length: count }, (_, at) => `h${at + 1}`)
  return settled({
    hosts: Object.fromEntries(
      names.map((host, at) => [
        host,
        { up: true, running: true, data: `${at + 1}`, empty: false, version, holds: version },
      ]),
    ),
    members: names.map((host, at) => ({ id: `${at + 1}`, host, learner: false, started: true })),
    nextId: count + 1,
    recorded: names,
    replacing: {},
    done: [],
    version,
    works: minorOf(version),
    backups: [],
    uncovered: [],
    strict,
  })
}

const takesPart = (world: World, { host, id }: World['members'][number]): boolean =>
  world.hosts[host]?.running === true && world.hosts[host].data === id
const voters = ({ members }: World): World['members'] => members.filter(({ learner }) => !learner)
export const runningVoters = (world: World): World['members'] => voters(world).filter((one) => takesPart(world, one))
export const hasQuorum = (world: World): boolean => runningVoters(world).length >= quorum(voters(world).length)

const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.')

/** etcd works at the oldest member's minor version, or at the one that a downgrade leads to, until that is done. */
function atWork(world: World): World {
  const versions = runningVoters(world).map(({ host }) => minorOf(world.hosts[host]?.version ?? ''))
  if (!hasQuorum(world) || versions.length < voters(world).length) return world
  const [oldest = ''] = versions.toSorted()
  if (world.downgradingTo && versions.some((version) => version !== world.downgradingTo)) return world
  return { ...world, works: oldest, downgradingTo: undefined }
}

/** What follows by itself: a removed member ends, and who runs elects a leader. */
function settled(world: World): World {
  const known = (data: string | undefined): boolean => world.members.some(({ id }) => id === data)
  const hosts = Object.fromEntries(
    Object.entries(world.hosts).map(([name, host]) => [name, { ...host, running: host.running && known(host.data) }]),
  )
  const now = { ...world, hosts }
  const able = hasQuorum(now) ? runningVoters(now).map(({ host }) => host) : []
  return atWork({ ...now, leader: able.includes(now.leader ?? '') ? now.leader : able[0] })
}

/** What a look sees of it. `coming`: hosts that are to be, though nobody has recorded them. */
export function observe(world: World, coming: string[] = []): Observation {
  const known = seenBefore.get(world) ?? new Map<string, Observation>()
  seenBefore.set(world, known)
  const seen = known.get(coming.join()) ?? lookAt(world, coming)
  known.set(coming.join(), seen)
  return seen
}

/** A world is looked at again and again, and never changes. */
const seenBefore = new WeakMap<World, Map<string, Observation>>()

function lookAt(world: World, coming: string[]): Observation {
  const { recorded, replacing, done, version, upgradingTo, programs, backups } = world
  const names = [...new Set([...recorded, ...coming])]
  const { answers, ...seen } = seenIn(answersIn(world, names), recorded)
  const hosts = Object.fromEntries(
    names.map((name) => {
      const { up = false, running = false, empty = false } = world.hosts[name] ?? {}
      return [name, { ready: up, empty: empty && !running, answer: answers[name] }]
    }),
  )
  const uncovered = Object.fromEntries(world.uncovered.map((host) => [host, '']))
  return {
    ...seen,
    strict: world.strict,
    hosts,
    recorded,
    replacing,
    done,
    version,
    upgradingTo,
    programs,
    backups,
    uncovered,
  }
}

const hostNamed = (name: string): Host => ({
  name,
  address: name,
  clientURL: `https://${name}:2379`,
  peerURL: `https://${name}:2380`,
})

const ok = <T>(value: T) => ({ endpoint: '', ok: true as const, value })
const no = (reason: string) => ({ endpoint: '', ok: false as const, reason })

/** What its members answer, as etcd would. */
function answersIn(world: World, names: string[]): Answers {
  const quorate = hasQuorum(world)
  const leader = world.members.find(({ host }) => host === world.leader)
  const members = world.members.map(({ id, host, started, learner }) => {
    const { peerURL, clientURL } = hostNamed(host)
    const isLearner = learner
    return { id, name: started ? host : '', peerURLs: [peerURL], clientURLs: started ? [clientURL] : [], isLearner }
  })
  return {
    missing: undefined,
    trusted: [],
    hosts: names.map((name) => hostAnswers(world, hostNamed(name), leader?.id ?? '', quorate)),
    members: quorate ? ok(members) : no('timed out'),
    alarms: quorate ? ok([]) : no('timed out'),
  }
}

function hostAnswers(world: World, host: Host, leaderId: string, quorate: boolean): HostAnswers {
  const { up = false, running = false, data = '', version = '' } = world.hosts[host.name] ?? {}
  const probe: Probe =
    up && running ? { kind: 'answered', status: 200, body: '' } : { kind: 'closed', reason: 'connection refused' }
  const door = atTheDoor(host, 2379, probe, [])
  if (door) return { host, probe, door, runs: undefined, status: undefined, health: undefined }
  const isLearner = world.members.find(({ id }) => id === data)?.learner === true
  const [works, due] = [world.works, world.downgradingTo]
  const status = { memberId: data, clusterId: 'c', leaderId, isLearner, version, raftIndex: 1 } as EndpointStatus
  return {
    host,
    probe,
    door,
    runs: { host: host.name, server: version, cluster: `${works}.0`, storage: `${works}.0` },
    status: ok({ ...status, downgradingTo: due ? `${due}.0` : '' }),
    health: quorate && !isLearner ? ok({ tookMs: 1 }) : no('timed out'),
  }
}

const nothing = ({ version }: World): HostWorld => ({
  up: false,
  running: false,
  empty: false,
  version,
  holds: version,
})

const withHost = (world: World, name: string, change: Partial<HostWorld>): World => ({
  ...world,
  hosts: { ...world.hosts, [name]: { ...nothing(world), ...world.hosts[name], ...change } },
})

/** What comes of an act; or why etcd, or the host, refuses it. */
export function carriedOut(world: World, act: Act): World | string {
  const then = outcome(world, act)
  return typeof then === 'string' ? then : settled({ ...then, done: [...world.done, act] })
}

function outcome(world: World, act: Act): World | string {
  const { members, hosts } = world
  switch (act.do) {
    case 'record host':
      return { ...world, recorded: [...world.recorded, act.host] }
    case 'note who goes':
      return { ...world, replacing: { ...world.replacing, [act.host]: act.id } }
    case 'bring up':
      // A host that was only off comes back with its data, and its keeper starts the member.
      return withHost(world, act.host, { up: true, running: hosts[act.host]?.data !== undefined })
    case 'hand over':
      return runningVoters(world).some(({ host }) => host === act.to) ? { ...world, leader: act.to } : 'it cannot lead'
    case 'set aside':
      return hosts[act.host]?.up
        ? withHost(world, act.host, { running: false, data: undefined, empty: true })
        : 'the host is not up'
    case 'remove member': {
      const goes = members.find(({ id }) => id === act.id)
      const rest = voters(world).filter((one) => one !== goes)
      const well = rest.filter((one) => takesPart(world, one)).length
      if (!hasQuorum(world) || !goes) return 'no quorum, or no such member'
      if (!goes.learner && takesPart(world, goes) && well < quorum(rest.length)) return 'unhealthy cluster'
      return { ...world, members: members.filter((one) => one !== goes) }
    }
    case 'add learner': {
      if (!hasQuorum(world)) return 'no quorum'
      if (members.some(({ host }) => host === act.host)) return 'peer URL exists'
      if (members.some(({ learner }) => learner)) return 'too many learners'
      if (!mayAdd(voters(world).length, runningVoters(world).length, world.strict)) return 'unhealthy cluster'
      const added = { id: `${world.nextId}`, host: act.host, learner: true, started: false }
      return { ...world, nextId: world.nextId + 1, members: [...members, added] }
    }
    case 'start learner': {
      const member = members.find(({ host }) => host === act.host)
      if (!hasQuorum(world) || !member) return 'no quorum, or no member'
      if (!hosts[act.host]?.up || hosts[act.host]?.data !== undefined) return 'it is not up, or has other data'
      if (member.started) return 'it lost what the leader believes it has'
      if (minorOf(act.version) < world.works) return 'it is too old for the cluster'
      if (world.downgradingTo) return 'a downgrade is enabled'
      const started = members.map((one) => (one === member ? { ...one, started: true } : one))
      const joined = { running: true, data: member.id, empty: false, version: act.version, holds: act.version }
      return withHost({ ...world, members: started }, act.host, joined)
    }
    case 'promote': {
      const member = members.find(({ host }) => host === act.host)
      if (!hasQuorum(world) || !member?.learner || !takesPart(world, member)) return 'no learner in sync'
      return { ...world, members: members.map((one) => (one === member ? { ...one, learner: false } : one)) }
    }
    case 'remove host': {
      const { [act.host]: _, ...rest } = hosts
      return { ...world, hosts: rest, recorded: world.recorded.filter((one) => one !== act.host) }
    }
    case 'defragment':
      return hosts[act.host]?.running ? world : 'it does not run'
    case 'compact':
    case 'disarm':
    case 'prove a write':
      return hasQuorum(world) ? world : 'no quorum'
    case 'back up':
      return hasQuorum(world) ? { ...world, backups: [...world.backups, `b${world.backups.length}`] } : 'no quorum'
    case 'get programs':
      return { ...world, programs: act.version }
    case 'record target':
      return { ...world, upgradingTo: act.version }
    case 'take snapshots':
      return { ...turned(world, act.hosts), uncovered: [] }
    case 'enable downgrade':
      return hasQuorum(world) ? { ...world, works: act.minor, downgradingTo: act.minor } : 'no quorum'
    case 'install': {
      const turns = act.turns.map(({ host }) => host)
      const why = refusal(world, turns, act.version)
      return (
        why ??
        world.recorded.reduce(
          (now, host) => withHost(now, host, { holds: act.version }),
          turned(world, turns, act.version),
        )
      )
    }
    case 'end downgrade':
      return hasQuorum(world) ? { ...world, downgradingTo: undefined } : 'no quorum'
    case 'verify': {
      const well = runningVoters(world).filter(({ host }) => hosts[host]?.version === act.version)
      return well.length === world.recorded.length && !world.downgradingTo ? world : 'it is not well'
    }
    case 'record version':
      return { ...world, version: act.version, upgradingTo: undefined }
  }
}

/** Why the role, or etcd, does not let that version run on those hosts. */
function refusal(world: World, names: string[], version: string): string | undefined {
  const isOther = (host: string): boolean => minorOf(world.hosts[host]?.version ?? '') < minorOf(version)
  if (names.length > 0 && world.programs !== version) return 'its programs are not here'
  if (names.some((host) => !world.hosts[host]?.up || world.hosts[host].data === undefined)) return 'it has no data'
  if (names.some((host) => isOther(host) && world.uncovered.includes(host))) return 'it dies of its log'
  return minorOf(version) < world.works ? 'it is too old for the database' : undefined
}

/** Each was restarted in its turn, and one that leads handed over before. */
const turned = (world: World, hosts: string[], version?: string): World =>
  hosts.reduce((now, host) => {
    const heir = runningVoters(now).find((one) => one.host !== host)?.host
    const after = withHost(now, host, { running: true, ...(version && { version, holds: version }) })
    return settled({ ...after, leader: now.leader === host ? (heir ?? host) : now.leader })
  }, world)

/** The worlds while an act is under way: in each turn its host answers nobody. */
export function meanwhile(world: World, act: Act): World[] {
  if (act.do === 'defragment') return [settled(withHost(world, act.host, { running: false }))]
  if (act.do !== 'install' && act.do !== 'take snapshots') return []
  const [hosts, version] =
    act.do === 'install' ? [act.turns.map(({ host }) => host), act.version] : [act.hosts, undefined]
  return hosts.flatMap((host, at) => {
    const before = turned(world, hosts.slice(0, at), version)
    const copied = withHost(before, host, version ? { holds: version } : {})
    return [copied, settled(withHost(copied, host, { running: false }))]
  })
}

/** What a run that is killed forgets. */
export const killed = (world: World): World => ({
  ...world,
  done: [],
  hosts: Object.fromEntries(Object.entries(world.hosts).map(([name, host]) => [name, { ...host, empty: false }])),
})

/** Its member has ended, or answers nobody. */
export const stopped = (world: World, host: string): World => settled(withHost(killed(world), host, { running: false }))

/** All that can befall its hosts now, each with a title. */
export function faults(world: World): [string, World][] {
  return world.recorded.flatMap((name): [string, World][] => {
    const host = world.hosts[name]
    if (!host?.up) return []
    const strike = (change: Partial<HostWorld>): World => settled(withHost(killed(world), name, change))
    return [
      ...(host.running ? [[`stop ${name}`, strike({ running: false })] as [string, World]] : []),
      ...(host.data ? [[`wipe ${name}`, strike({ running: false, data: undefined })] as [string, World]] : []),
      [`turn ${name} off`, strike({ up: false, running: false })],
      [`lose ${name}`, strike({ up: false, running: false, data: undefined })],
    ]
  })
}

/** The same world, each recorded host changed, and what follows by itself. */
export const settledWith = (world: World, change: (host: HostWorld, name: string) => HostWorld): World =>
  settled({
    ...world,
    hosts: {
      ...world.hosts,
      ...Object.fromEntries(world.recorded.map((name) => [name, change(world.hosts[name] ?? nothing(world), name)])),
    },
  })

/** Somebody adds a member of no host of ours. */
export const withStranger = (world: World, learner: boolean): World =>
  settled({
    ...killed(world),
    nextId: world.nextId + 1,
    members: [...world.members, { id: `${world.nextId}`, host: 'stranger', learner, started: false }],
  })
