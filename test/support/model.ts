// A cluster in memory: what etcd makes of acts, and what befalls hosts. The rules of plans are explored on it.
import type { X509Certificate } from 'node:crypto'
import type { Begun, Host } from '../../tasks/core/cluster.ts'
import type { Answers, HostAnswers } from '../../tasks/etcd/ask.ts'
import type { EndpointStatus } from '../../tasks/etcd/etcdctl.ts'
import type { Finding } from '../../tasks/etcd/findings.ts'
import { atTheDoor } from '../../tasks/etcd/judge.ts'
import { mayAdd, quorum } from '../../tasks/etcd/membership.ts'
import type { Probe } from '../../tasks/etcd/probe.ts'
import { type Seen, seenIn } from '../../tasks/observe/seen.ts'
import type { Act, MemberSeen, Observation } from '../../tasks/plans/types.ts'
import { memo } from './memo.ts'
import {
  admits,
  closed,
  forgotten,
  hasIssuersKey,
  hear,
  installed,
  isAnyOpen,
  isLeafDue,
  issued,
  issuer,
  isTrusted,
  lostKey,
  ofClient,
  restarted,
  type Trust,
  withoutClosedKeys,
} from './trust.ts'

interface HostWorld {
  up: boolean
  running: boolean
  /** Whose data lies there, by the member's id. */
  data?: string | undefined
  /** Set aside by the run that is at work. */
  empty: boolean
  /** It runs, and answers nobody; or it is so slow that it seems so, and answers again by itself. */
  frozen?: boolean | undefined
  /** Its clock is off: no certificate is valid there. */
  late?: boolean | undefined
  /** Its disk is full: no etcd starts there. */
  full?: boolean | undefined
  /**
   * What is wrong with its certificates: another authority's; those moved aside; expired or not valid yet, and so are
   * ours; or ours are renewed.
   */
  certificates?: 'foreign' | 'gone' | 'expired' | 'early' | 'renewed' | undefined
  /** Its data differs from what was agreed, since it was damaged on that host. */
  damaged?: string | undefined
  /** The etcd that it runs, or ran last; and the one that lies there for the next start. */
  version: string
  holds: string
  /** Another tool runs its member; there while hosts of ours take its cluster over. */
  foreign?: true | undefined
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
  /** What is raised, by the member that it is about. */
  alarms?: { id: string; kind: 'NOSPACE' | 'CORRUPT' }[]
  /**
   * What is wrong on this machine: the clients' certificate is gone, or has expired; certs/ is gone as a whole; or the
   * authority has expired, and with it all that it issued.
   */
  here?: 'no client' | 'client expired' | 'no certificates' | 'authority expired' | undefined
  /** The authority's key is lost, and there is no copy; or nobody knows its passphrase. */
  keyless?: 'lost' | 'closed' | undefined
  /** The record is lost, and there is no copy. */
  unrecorded?: boolean | undefined
  /** A recover, a restore or an adoption that is half done. */
  begun?: Begun | undefined
  /** While the authority is changed: whom each trusts. */
  trust?: Trust | undefined
  /** Authentication is on, and our client certificate's user has no rights. */
  auth?: boolean | undefined
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

function takesPart(world: World, { host, id }: World['members'][number]): boolean {
  const at = world.hosts[host]
  return at?.running === true && at.data === id && !at.frozen && !at.late && !at.certificates
}
const voters = ({ members }: World): World['members'] => members.filter(({ learner }) => !learner)
export const runningVoters = (world: World): World['members'] =>
  whoHear(
    world,
    voters(world).filter((one) => takesPart(world, one)),
  )

/** While the authority is changed: the most that all hear one another. */
function whoHear(world: World, running: World['members']): World['members'] {
  const { trust } = world
  if (!trust) return running
  const hears = (one: World['members'][0], other: World['members'][0]): boolean =>
    one === other || hear(trust, one.host, other.host)
  const groups = running.map((first) => {
    const group = [first]
    for (const one of running) if (!group.includes(one) && group.every((other) => hears(one, other))) group.push(one)
    return group
  })
  return groups.reduce((most, group) => (group.length > most.length ? group : most), [])
}

export const hasQuorum = (world: World): boolean => runningVoters(world).length >= quorum(voters(world).length)

const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.')

/** etcd works at the oldest member's minor version, or at the one that a downgrade leads to, until that is done. */
function worksAt(world: World, running: World['members']): Pick<World, 'works' | 'downgradingTo'> {
  const { works, downgradingTo } = world
  if (running.length < voters(world).length) return { works, downgradingTo }
  const versions = running.map(({ host }) => minorOf(world.hosts[host]?.version ?? ''))
  if (downgradingTo && versions.some((version) => version !== downgradingTo)) return { works, downgradingTo }
  return { works: versions.toSorted()[0] ?? '', downgradingTo: undefined }
}

/** What follows by itself: a removed member ends, and who runs elects a leader. */
function settled(world: World): World {
  const hosts = withEnded(world)
  const now = hosts === world.hosts ? world : { ...world, hosts }
  const running = runningVoters(now)
  if (running.length < quorum(voters(now).length)) return { ...now, leader: undefined }
  const leader = running.find(({ host }) => host === now.leader) ?? running[0]
  return { ...now, leader: leader?.host, ...worksAt(now, running) }
}

/** Its hosts, where a process of a member that was removed does not run, and what does not run does not hang. */
function withEnded({ hosts, members }: World): World['hosts'] {
  let then = hosts
  for (const name in hosts) {
    const host = hosts[name] as HostWorld
    const isKnown = members.some(({ id }) => id === host.data)
    if (host.running ? !isKnown : host.frozen) then = { ...then, [name]: { ...host, running: false, frozen: false } }
  }
  return then
}

/** What a look sees of it. `coming`: hosts that are to be, though nobody has recorded them. */
export function observe(world: World, coming: string[] = []): Observation {
  const known = seenBefore.get(world) ?? new Map<string, Observation>()
  seenBefore.set(world, known)
  const more = coming.filter((host) => !world.recorded.includes(host))
  const seen = known.get(more.join()) ?? lookAt(world, more)
  known.set(more.join(), seen)
  return seen
}

/** A world is looked at again and again, and never changes. */
const seenBefore = new WeakMap<World, Map<string, Observation>>()

/** Explorers spend much of their time here: no object is copied, or made of entries. */
function lookAt(world: World, coming: string[]): Observation {
  const { recorded, replacing, done, version, upgradingTo, programs, backups, strict } = world
  const names = [...recorded, ...coming]
  const { answers, members, leader, downgradingTo, findings } = told(world, names)
  const hosts: Observation['hosts'] = {}
  for (const name of names) {
    const { up = false, running = false, empty = false, certificates, foreign } = world.hosts[name] ?? {}
    const lacks = world.trust && world.trust.leaves[name] === undefined
    const ready = up && !foreign && !isDue(certificates) && world.here !== 'no certificates' && !lacks
    hosts[name] = { ready, empty: empty && !running, answer: answers[name] }
    if (foreign) hosts[name].foreign = foreign
  }
  const uncovered: Observation['uncovered'] = {}
  for (const host of world.uncovered) uncovered[host] = ''
  // as lookFirst asks, and verify: beside damaged data, too
  const isOut = world.auth && (members !== undefined || findings.some(({ code }) => code === 'corrupt'))
  return {
    members,
    leader,
    downgradingTo,
    findings: isOut ? [...findings, { code: 'auth-enabled', name: 'client' }] : findings,
    strict,
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

/** What was made of the same answers before: few acts change what members say. */
const toldBefore = memo<Seen>(100_000)

function told(world: World, names: string[]): Seen {
  const { hosts, members, recorded, alarms = [], leader, works, downgradingTo } = world
  const isAsked = asksForHashes(world)
  const ofHost = (name: string): string => {
    const { up, running, data, version, full, damaged } = hosts[name] ?? {}
    const state = up && running ? ` ${doorOf(world, name)} ${data} ${version} ${isAsked && damaged}` : ''
    return `${name}${state}${up && full ? ' full' : ''}`
  }
  const ofMember = ({ id, host, learner, started }: World['members'][number]): string =>
    `${id} ${host} ${learner} ${started}`
  const ofAlarm = ({ id, kind }: { id: string; kind: string }): string => `${id} ${kind}`
  const parts = [names.map(ofHost), recorded.length, members.map(ofMember), alarms.map(ofAlarm)]
  const rest = [world.here, cannotIssue(world)?.code, hasQuorum(world), leader, works, downgradingTo]
  const key = [...parts, ...rest].join('|')
  const known = toldBefore.get(key) ?? seenIn(answersIn(world, names), recorded)
  toldBefore.set(key, known)
  return known
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
  const { alarms = [] } = world
  const isBlind = world.here !== undefined
  const members = world.members.map(({ id, host, started, learner }) => {
    const { peerURL, clientURL } = hostNamed(host)
    const isLearner = learner
    return { id, name: started ? host : '', peerURLs: [peerURL], clientURLs: started ? [clientURL] : [], isLearner }
  })
  return {
    missing: missingIn(world),
    trusted: [],
    hosts: names.map((name) => hostAnswers(world, hostNamed(name), leader?.id ?? '', quorate)),
    members: isBlind ? undefined : quorate ? ok(members) : no('timed out'),
    alarms: isBlind
      ? undefined
      : quorate
        ? ok(alarms.map(({ id, kind }) => ({ memberId: id, alarm: kind })))
        : no('timed out'),
    keyless: alarms.some(({ kind }) => kind === 'CORRUPT') ? cannotIssue(world) : undefined,
  }
}

/** What keeps us from asking anybody. */
function missingIn({ here }: World): Finding | undefined {
  if (here === 'authority expired')
    return { code: 'no-authority', reason: '', remedy: [{ verb: 'rotate-ca', words: [] }] }
  if (here === 'no client' || here === 'client expired')
    return { code: 'no-client-certificate', at: 'certs', reason: 'expired on 2002-01-01' }
  return here && { code: 'no-certificates', at: 'certs' }
}

function hostAnswers(world: World, host: Host, leaderId: string, quorate: boolean): HostAnswers {
  const { up = false, data = '', version = '', full = false } = world.hosts[host.name] ?? {}
  const probe = probes[doorOf(world, host.name)]
  const door = atTheDoor(host, 2379, probe, [ours])
  const free = up && full ? 0 : undefined
  if (door || world.here) return { host, probe, door, runs: undefined, status: undefined, health: undefined, free }
  const isLearner = world.members.find(({ id }) => id === data)?.learner === true
  const [works, due] = [world.works, world.downgradingTo]
  const status = { memberId: data, clusterId: 'c', leaderId, isLearner, version, raftIndex: 1 } as EndpointStatus
  return {
    host,
    probe,
    door,
    runs: { host: host.name, server: version, cluster: `${works}.0`, storage: `${works}.0` },
    status: ok({ ...status, downgradingTo: due ? `${due}.0` : '' }),
    health: healthOf(world, quorate && !isLearner),
    hash: !isLearner && asksForHashes(world) ? hashOf(world.hosts[host.name]?.damaged) : undefined,
    free,
  }
}

type Door = 'unknown' | 'open' | 'closed' | 'silent' | 'late' | 'foreign' | 'bare' | 'expired' | 'early'

function doorOf({ hosts, trust }: World, name: string): Door {
  const host = hosts[name]
  if (!host?.up || !host.running) return 'closed'
  if (host.frozen) return 'silent'
  if (!host.certificates) {
    if (host.late || !trust) return host.late ? 'late' : 'open'
    if (!isTrusted(trust, name)) return 'foreign'
    return admits(trust, name, trust.leaves[ofClient]) ? 'open' : 'unknown'
  }
  if (host.certificates === 'gone') return 'bare'
  if (host.certificates === 'renewed') return 'expired'
  return isDue(host.certificates) ? host.certificates : 'foreign'
}

/** As much of a certificate as is judged. */
const certificate = (is: { foreign?: true; validFrom?: string; validTo?: string }): X509Certificate =>
  ({
    issuer: 'CN=other',
    validFrom: is.validFrom ?? '2001-01-01',
    validTo: is.validTo ?? '2999-01-01',
    checkIssued: () => !is.foreign,
    verify: () => true,
    checkIP: () => true,
  }) as unknown as X509Certificate
const ours = certificate({})

const probes: Record<Door, Probe> = {
  open: { kind: 'answered', status: 200, body: '' },
  closed: { kind: 'closed', reason: 'connection refused' },
  silent: { kind: 'silent', reason: 'no answer' },
  unknown: { kind: 'refused', reason: 'unknown CA', alert: true, served: ours },
  late: { kind: 'refused', reason: 'certificate expired', alert: true, served: ours },
  foreign: { kind: 'refused', reason: 'unknown CA', alert: true, served: certificate({ foreign: true }) },
  bare: { kind: 'refused', reason: 'internal error', alert: true, bare: true },
  expired: { kind: 'answered', status: 200, body: '', served: certificate({ validTo: '2002-01-01' }) },
  early: { kind: 'answered', status: 200, body: '', served: certificate({ validFrom: '2998-01-01' }) },
}

/** As etcdctl tells it: a damaged cluster commits nothing, a full one only says that it is. */
function healthOf({ alarms = [] }: World, commits: boolean): HostAnswers['health'] {
  const raised = alarms.find(({ kind }) => kind === 'CORRUPT') ?? alarms[0]
  if (!commits) return no('timed out')
  return raised ? no(`alarm ${raised.kind}`) : ok({ tookMs: 1 })
}

/** Where etcd does not say whose data are damaged. */
const asksForHashes = ({ alarms = [], members }: World): boolean =>
  alarms.some((one) => one.kind === 'CORRUPT' && !members.some(({ id }) => id === one.id))
const hashOf = (damaged = 'right') => ok({ hash: hashes.indexOf(damaged), compactRevision: 0 })
const hashes = ['right', 'h1', 'h2', 'h3', 'h4', 'h5']

const nothing = ({ version }: World): HostWorld => ({
  up: false,
  running: false,
  empty: false,
  version,
  holds: version,
})

const withHost = (world: World, name: string, change: Partial<HostWorld>): World => ({
  ...world,
  hosts: { ...world.hosts, [name]: { ...(world.hosts[name] ?? nothing(world)), ...change } },
})

/** A host that is up, and its member where it can run. One that runs already goes on. */
function started(world: World, name: string): Partial<HostWorld> {
  const { running = false, data, holds = world.version, full, certificates } = world.hosts[name] ?? {}
  if (running || data === undefined || full || certificates === 'gone') return { running }
  const isTooOld = minorOf(holds) < world.works
  return isTooOld ? { running: false } : { running: true, version: holds }
}

/** A member that starts reads the ca.crt of its host. */
const startedOn = (world: World, name: string, change: Partial<HostWorld>): World => {
  const starts = change.running === true && world.hosts[name]?.running !== true
  const then = withHost(world, name, change)
  return starts && then.trust ? { ...then, trust: restarted(then.trust, name) } : then
}

export const isForeign = ({ hosts }: World, host: string): boolean => hosts[host]?.foreign === true

/** Every host of ours is up, and every member that can be started runs. */
export const awoken = (world: World): World =>
  settled(
    world.recorded
      .filter((name) => !isForeign(world, name))
      .reduce((now, name) => startedOn(now, name, { up: true, ...started(now, name) }), world),
  )

/** The role's work on a host: it gets what lies here. */
export const withPapers = (world: World, host: string, restarts: boolean): World =>
  world.trust ? { ...world, trust: installed(world.trust, host, restarts) } : world

/** Those of these hosts whose certificates the authority that issues has not signed, where its key is here. */
const issuedFor = (world: World, hosts: string[]): World => {
  const { trust } = world
  if (!trust || !hasIssuersKey(trust)) return world
  return { ...world, trust: issued(trust, hosts) }
}

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
      return startedOn(issuedFor(world, [act.host]), act.host, {
        up: true,
        ...renewed(hosts[act.host]),
        ...started(world, act.host),
      })
    case 'hand over':
      return runningVoters(world).some(({ host }) => host === act.to) ? { ...world, leader: act.to } : 'it cannot lead'
    case 'set aside':
      if (!hosts[act.host]?.up || whyUnfitFor(act, hosts[act.host])) return 'the host is not up, or not fit'
      return withHost(world, act.host, { running: false, frozen: false, ...noData, empty: true })
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
      const unfit = whyUnfitFor(act, hosts[act.host])
      if (unfit) return unfit
      if (member.started) return 'it lost what the leader believes it has'
      if (minorOf(act.version) < world.works) return 'it is too old for the cluster'
      if (world.downgradingTo) return 'a downgrade is enabled'
      const started = members.map((one) => (one === member ? { ...one, started: true } : one))
      const version = { version: act.version, holds: act.version }
      const damaged = hosts[world.leader ?? '']?.damaged
      const joined = { running: true, damaged, data: member.id, empty: false, certificates: undefined, ...version }
      return withPapers(withHost({ ...world, members: started }, act.host, joined), act.host, true)
    }
    case 'promote': {
      const member = members.find(({ host }) => host === act.host)
      if (!hasQuorum(world) || !member?.learner || !takesPart(world, member)) return 'no learner in sync'
      if (world.trust && !hear(world.trust, act.host, world.leader ?? '')) return 'it does not hear the leader'
      return { ...world, members: members.map((one) => (one === member ? { ...one, learner: false } : one)) }
    }
    case 'forget host':
    case 'remove host': {
      const { [act.host]: _, ...rest } = hosts
      const trust = world.trust && forgotten(world.trust, act.host)
      return { ...world, trust, hosts: rest, recorded: world.recorded.filter((one) => one !== act.host) }
    }
    case 'defragment':
      return hosts[act.host]?.running ? world : 'it does not run'
    case 'disarm':
      return hasQuorum(world) ? { ...world, alarms: [] } : 'no quorum'
    case 'compact':
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

/** Certificates here are renewed where they are not valid now; the role installs them. */
export const renewed = (host?: HostWorld): Partial<HostWorld> =>
  isDue(host?.certificates) ? { certificates: 'renewed' } : {}

function isDue(certificates: HostWorld['certificates']): certificates is 'expired' | 'early' {
  return certificates === 'expired' || certificates === 'early'
}

/** Why the role refuses a host, by its own checks (etcd_checks.py, etcd_doctor.py). */
export function whyUnfit(host?: HostWorld): string | undefined {
  if (host?.up && host.late) return 'its clock is off'
  if (host?.up && host.full && !host.running) return 'its disk is full'
  return isDue(host?.certificates) ? 'its certificates are not valid now' : undefined
}

/** The same before an act: the role checks a host before it stops a member there, and before it starts one. */
export function whyUnfitFor(act: Act, host?: HostWorld): string | undefined {
  if (act.do === 'set aside' && host?.full) return 'its disk is full'
  return act.do === 'set aside' || act.do === 'start learner' ? whyUnfit(host) : undefined
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
export const turned = (world: World, hosts: string[], version?: string): World =>
  hosts.reduce((now, host) => {
    const heir = runningVoters(now).find((one) => one.host !== host)?.host
    const then = withHost(now, host, {
      running: true,
      frozen: false,
      certificates: undefined,
      ...(version && { version, holds: version }),
    })
    const after = withPapers(then, host, true)
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
export function killed(world: World): World {
  let { hosts } = world
  for (const name in hosts) {
    const host = hosts[name] as HostWorld
    if (host.empty) hosts = { ...hosts, [name]: { ...host, empty: false } }
  }
  return hosts === world.hosts && world.done.length === 0 ? world : { ...world, hosts, done: [] }
}

/** Its member has ended, or answers nobody. */
export const stopped = (world: World, host: string): World => settled(withHost(killed(world), host, { running: false }))

/** All that can befall its hosts now, each with a title. */
export function faults(world: World): [string, World][] {
  return world.recorded.flatMap((name): [string, World][] => {
    const host = world.hosts[name]
    if (!host?.up) return []
    const strike = (change: Partial<HostWorld>): World => settled(withHost(killed(world), name, change))
    const isLost = { up: false, running: false, ...noData }
    if (host.foreign)
      return [
        ...(host.running ? [[`stop ${name}`, strike({ running: false })] as [string, World]] : []),
        [`lose ${name}`, strike(isLost)],
      ]
    return [
      ...(host.running ? [[`stop ${name}`, strike({ running: false })] as [string, World]] : []),
      ...(host.data ? [[`wipe ${name}`, strike({ running: false, ...noData })] as [string, World]] : []),
      [`turn ${name} off`, strike({ up: false, running: false })],
      [`lose ${name}`, withoutPapers(strike(isLost), name)],
      ...(host.full ? [] : [[`fill the disk of ${name}`, strike({ full: true })] as [string, World]]),
      ...(host.late ? [] : [[`set the clock of ${name} wrong`, strike({ late: true })] as [string, World]]),
      ...(host.certificates
        ? []
        : ([
            [`let the certificates of ${name} expire`, strike({ certificates: 'expired' })],
            [`give ${name} certificates that are not valid yet`, strike({ certificates: 'early' })],
            [`give ${name} certificates of another authority`, strike({ certificates: 'foreign' })],
          ] as [string, World][])),
    ]
  })
}

const withoutPapers = (world: World, host: string): World =>
  world.trust ? { ...world, trust: { ...world.trust, hosts: { ...world.trust.hosts, [host]: undefined } } } : world

const noData = { data: undefined, damaged: undefined }

/** What else may befall it: members that hang, alarms, and who lets nobody in. */
export function troubles(world: World): [string, World][] {
  const ofMembers = world.members.filter((member) => takesPart(world, member))
  const hung = ofMembers.map(({ host }): [string, World] => [
    `freeze ${host}`,
    settled(withHost(killed(world), host, { frozen: true })),
  ])
  const slow = world.recorded.filter((host) => world.hosts[host]?.frozen)
  hung.push(
    ...slow.map((host): [string, World] => [
      `have ${host} answer again`,
      settled(withHost(killed(world), host, { frozen: false })),
    ]),
  )
  if (!hasQuorum(world)) return hung
  const ofAuth: [string, World][] = [['turn authentication on', killed({ ...world, auth: true })]]
  const isEnabled = world.downgradingTo !== undefined || world.upgradingTo !== undefined || world.works !== '3.7'
  const downgrade = killed({ ...world, works: '3.6', downgradingTo: '3.6' })
  return [
    ...hung,
    ...alarmed(world, ofMembers),
    ...(world.auth ? [] : ofAuth),
    ...(isEnabled ? [] : [['enable a downgrade by hand', downgrade] as [string, World]]),
  ]
}

/** etcd names nobody where it cannot say whose data are right. An alarm outlives the member that it is about. */
const nobody = '0'

/** Alarms about each of these members, and about none. */
function alarmed(world: World, members: World['members']): [string, World][] {
  const { alarms = [] } = world
  const isRaised = (kind: string, id: string): boolean => alarms.some((one) => one.kind === kind && one.id === id)
  const raised = (kind: 'NOSPACE' | 'CORRUPT', id: string, damaged?: string): [string, World][] => {
    if (isRaised(kind, id)) return []
    const now = killed({ ...world, alarms: [...alarms, { id, kind }] })
    const whose = id === nobody ? 'nobody' : members.find((one) => one.id === id)?.host
    const what = kind === 'NOSPACE' ? `fill the quota of ${whose}` : `damage the data of ${damaged}, told of ${whose}`
    return [[what, damaged ? withHost(now, damaged, { damaged }) : now]]
  }
  return [
    ...members.flatMap(({ host, id }) => [...raised('NOSPACE', id), ...raised('CORRUPT', id, host)]),
    ...raised('NOSPACE', nobody),
    ...(runningVoters(world).length > 1 ? members.flatMap(({ host }) => raised('CORRUPT', nobody, host)) : []),
  ]
}

/** As operations/end-move.ts. */
export const newest = ({ version, upgradingTo = version }: World): string =>
  upgradingTo > version ? upgradingTo : version

/** What may befall this machine. */
export const lossesHere = (world: World): [string, World][] => [
  ...(world.here
    ? []
    : ([
        ["lose the clients' certificate", killed({ ...world, here: 'no client' })],
        ["let the clients' certificate expire", killed({ ...world, here: 'client expired' })],
        ['lose certs/', killed({ ...world, here: 'no certificates' })],
        ['let the authority expire', expired(killed(world))],
      ] as [string, World][])),
  ...keysHere(world).map(([file, then]): [string, World] => [`lose the key of the ${file}`, killed(then)]),
  ...withForgotten(world),
  ...(world.unrecorded ? [] : [['lose the record', killed({ ...world, unrecorded: true })] as [string, World]]),
]

/** The keys that lie here, each with the world without it. */
function keysHere(world: World): [string, World][] {
  const { trust, keyless } = world
  if (!trust) return keyless === 'lost' ? [] : [['authority', { ...world, keyless: 'lost' }]]
  return [
    ...(trust.key ? [['authority', { ...world, trust: { ...trust, key: undefined } }] as [string, World]] : []),
    ...(trust.nextKey
      ? [['next authority', { ...world, trust: { ...trust, nextKey: undefined } }] as [string, World]]
      : []),
  ]
}

/** The same passphrase opens all keys that lie here. */
function withForgotten(world: World): [string, World][] {
  const { trust, keyless } = world
  if (trust ? !isAnyOpen(trust) : keyless) return []
  const then: World = trust ? { ...world, trust: closed(trust) } : { ...world, keyless: 'closed' }
  return [['forget the passphrase of the keys', killed(then)]]
}

/** The old one, while it is changed. Who has another authority's, or none, still has not ours. */
function expired(world: World): World {
  const { trust } = world
  const gone = trust && (trust.old ?? issuer(trust))
  const isGone = (name: string): boolean => !trust || trust.hosts[name]?.leaf === gone
  const clients = trust?.leaves[ofClient] === gone ? ('client expired' as const) : undefined
  const here = !trust || gone === issuer(trust) ? ('authority expired' as const) : clients
  const then = { ...world, here, trust: trust && { ...trust, expired: gone } }
  return settledWith(then, (host, name) => ({
    ...host,
    certificates:
      ['foreign', 'gone'].includes(host.certificates ?? '') || !isGone(name) ? host.certificates : 'expired',
  }))
}

/** Whether the key of the authority that issues is not here. */
export const lacksKey = ({ keyless, trust }: World): boolean => (trust ? !hasIssuersKey(trust) : keyless !== undefined)

/** Whether a certificate here is to be issued. */
export const isAnyDue = ({ here, trust, recorded, hosts }: World): boolean =>
  here !== undefined ||
  recorded.some((host) => isDue(hosts[host]?.certificates)) ||
  (trust !== undefined && [...recorded, ofClient].some((host) => isLeafDue(trust, host)))

/** Certificates would have to be issued, and their authority's key is lost. */
export const cannotIssue = (world: World): Finding | undefined =>
  lacksKey(world) && isAnyDue(world) ? keyFinding(world, whatIsMissing(world)) : undefined

function keyFinding({ trust, keyless }: World, what?: string): Finding {
  if (trust) return lostKey(trust, issuer(trust), what)
  return keyless === 'closed'
    ? { code: 'authority-key-closed', reason: '', lost: 'no-authority-key', what }
    : { code: 'no-authority-key', at: '', reason: '', what }
}

/** A person moves the key aside whose passphrase nobody knows. */
export const withoutClosed = (world: World): World =>
  world.trust ? { ...world, trust: withoutClosedKeys(world.trust) } : { ...world, keyless: 'lost' }

const whatIsMissing = ({ here, trust, recorded }: World): string | undefined =>
  (here === 'client expired' ? undefined : here) ?? recorded.find((host) => trust && trust.leaves[host] === undefined)

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
