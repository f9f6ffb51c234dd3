// A cluster in memory: what etcd makes of acts, and what befalls hosts. The rules of plans are explored on it.
import { mayAdd, quorum } from '../../tasks/etcd/membership.ts'
import type { Act, MemberSeen, Observation } from '../../tasks/plans/types.ts'

interface HostWorld {
  up: boolean
  running: boolean
  /** Whose data lies there, by the member's id. */
  data?: string | undefined
  /** Set aside by the run that is at work. */
  empty: boolean
}

export interface World {
  hosts: Record<string, HostWorld>
  members: (MemberSeen & { host: string })[]
  nextId: number
  leader?: string | undefined
  recorded: string[]
  replacing: Record<string, string>
  /** What the run at work has done. */
  done: Act[]
  /** etcd before 3.5.30: nobody is added while any voter is down. */
  strict: boolean
}

export function healthy(count: number, strict: boolean): World {
  const names = Array.from({ length: count }, (_, at) => `h${at + 1}`)
  return settled({
    hosts: Object.fromEntries(
      names.map((host, at) => [host, { up: true, running: true, data: `${at + 1}`, empty: false }]),
    ),
    members: names.map((host, at) => ({ id: `${at + 1}`, host, learner: false, started: true })),
    nextId: count + 1,
    recorded: names,
    replacing: {},
    done: [],
    strict,
  })
}

const takesPart = (world: World, { host, id }: World['members'][number]): boolean =>
  world.hosts[host]?.running === true && world.hosts[host].data === id
const voters = ({ members }: World): World['members'] => members.filter(({ learner }) => !learner)
export const runningVoters = (world: World): World['members'] => voters(world).filter((one) => takesPart(world, one))
export const hasQuorum = (world: World): boolean => runningVoters(world).length >= quorum(voters(world).length)

/** What follows by itself: a removed member ends, and who runs elects a leader. */
function settled(world: World): World {
  const known = (data: string | undefined): boolean => world.members.some(({ id }) => id === data)
  const hosts = Object.fromEntries(
    Object.entries(world.hosts).map(([name, host]) => [name, { ...host, running: host.running && known(host.data) }]),
  )
  const now = { ...world, hosts }
  const able = hasQuorum(now) ? runningVoters(now).map(({ host }) => host) : []
  return { ...now, leader: able.includes(now.leader ?? '') ? now.leader : able[0] }
}

/** What a look sees of it. `coming`: hosts that are to be, though nobody has recorded them. */
export function observe(world: World, coming: string[] = []): Observation {
  const quorate = hasQuorum(world)
  const hosts = Object.fromEntries(
    [...new Set([...world.recorded, ...coming])].map((name) => {
      const { up = false, running = false, data = '', empty = false } = world.hosts[name] ?? {}
      const member = world.members.find(({ id }) => id === data)
      const learner = member?.learner === true
      const answer = { member: data, learner, follows: quorate, commits: quorate && !learner, index: 1 }
      return [name, { ready: up, empty: empty && !running, ...(up && running && { answer }) }]
    }),
  )
  const { recorded, replacing, leader, strict, done } = world
  return { hosts, recorded, replacing, strict, done, ...(quorate && { members: world.members, leader }) }
}

const withHost = (world: World, name: string, change: Partial<HostWorld>): World => ({
  ...world,
  hosts: { ...world.hosts, [name]: { up: false, running: false, empty: false, ...world.hosts[name], ...change } },
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
      const started = members.map((one) => (one === member ? { ...one, started: true } : one))
      return withHost({ ...world, members: started }, act.host, { running: true, data: member.id, empty: false })
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
  }
}

/** What a run that is killed forgets. */
export const killed = (world: World): World => ({
  ...world,
  done: [],
  hosts: Object.fromEntries(Object.entries(world.hosts).map(([name, host]) => [name, { ...host, empty: false }])),
})

/** The world while the act is under way: who does not answer meanwhile. */
export function meanwhile(world: World, act: Act): World {
  return act.do === 'defragment' ? withHost(world, act.host, { running: false }) : world
}

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
