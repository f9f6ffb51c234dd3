// What each act makes of what is seen, when nothing else happens, and when etcd refuses it. A plan is worked out with
// it.
import { mayAdd, quorum } from '../etcd/membership.ts'
import { memberOn, votes } from './members.ts'
import type { Act, Answer, HostSeen, MemberSeen, Observation } from './types.ts'

/** What follows; or, as a clause, why etcd refuses the act. */
type Outcome = Observation | string

type Effects = { [K in Act['do']]: (seen: Observation, act: Extract<Act, { do: K }>) => Outcome }

const withHost = (seen: Observation, host: string, change: Partial<HostSeen>): Observation => ({
  ...seen,
  hosts: { ...seen.hosts, [host]: { ready: false, empty: false, ...seen.hosts[host], ...change } },
})

const withMembers = (seen: Observation, members: MemberSeen[]): Observation => ({ ...seen, members })

const without = <T>(all: Record<string, T>, name: string): Record<string, T> =>
  Object.fromEntries(Object.entries(all).filter(([one]) => one !== name))

const withoutHost = (seen: Observation, host: string): Observation => ({
  ...seen,
  hosts: without(seen.hosts, host),
  recorded: seen.recorded.filter((one) => one !== host),
})

const effects: Effects = {
  'record host': (seen, { host }) => withHost({ ...seen, recorded: [...seen.recorded, host] }, host, {}),
  'note who goes': (seen, { host, id }) => ({ ...seen, replacing: { ...seen.replacing, [host]: id } }),
  'bring up': (seen, { host }) => withHost(seen, host, { ready: true }),
  'hand over': (seen, { to }) => (votes(seen, to) ? { ...seen, leader: to } : `${to} does not vote`),
  'set aside': (seen, { host }) => withHost(seen, host, { answer: undefined, empty: true }),
  'remove member': (seen, { id }) => {
    const members = seen.members ?? []
    const rest = members.filter((member) => member.id !== id)
    const voters = rest.filter(({ learner }) => !learner)
    const well = voters.filter(({ host }) => host !== undefined && votes(seen, host)).length
    if (well < quorum(voters.length)) return `of ${voters.length} members that stay only ${well} commit`
    const host = members.find((member) => member.id === id)?.host
    return withMembers(host === undefined ? seen : withoutLead(seen, host), rest)
  },
  'add learner': (seen, { host }) => {
    const members = seen.members ?? []
    const other = members.find(({ learner }) => learner)
    if (other) return `${other.host ?? `member ${other.id}`} is a learner already, and etcd takes one at a time`
    if (memberOn(seen, host)) return `${host} has a member already`
    const well = members.filter((member) => member.host !== undefined && votes(seen, member.host)).length
    if (!mayAdd(members.length, well, seen.strict)) return `of ${members.length} members only ${well} commit`
    return withMembers(seen, [...members, { id: `new on ${host}`, host, learner: true, started: false }])
  },
  'start learner': (seen, { host, version }) => {
    const member = memberOn(seen, host)
    if (!member) return `${host} is no member`
    const answer = { member: member.id, learner: true, follows: true, commits: false, index: furthest(seen), version }
    const started = (seen.members ?? []).map((one) => (one === member ? { ...one, started: true } : one))
    return withHost(withMembers(seen, started), host, { empty: false, answer })
  },
  promote: (seen, { host }) => {
    const member = memberOn(seen, host)
    const answer = seen.hosts[host]?.answer
    if (!member || !answer) return `${host} has no learner that runs`
    const members = (seen.members ?? []).map((one) => (one === member ? { ...one, learner: false } : one))
    return withHost(withMembers(seen, members), host, { answer: { ...answer, learner: false, commits: true } })
  },
  'remove host': (seen, { host }) => withoutHost(seen, host),
  'forget host': (seen, { host }) => withoutHost(seen, host),
  compact: (seen) => seen,
  defragment: (seen, { host }) => (seen.hosts[host]?.answer ? seen : `${host} does not run`),
  disarm: (seen) => seen,
  'prove a write': (seen) => seen,
  'back up': (seen) =>
    seen.members ? { ...seen, backups: [...seen.backups, 'the one made now'] } : 'no quorum commits',
  'get programs': (seen, { version }) => ({ ...seen, programs: version }),
  'record target': (seen, { version }) => ({ ...seen, upgradingTo: version }),
  'take snapshots': (seen, { hosts }) => ({ ...inTurns(seen, hosts), uncovered: {} }),
  'enable downgrade': (seen, { minor }) => ({
    ...withAnswers(seen, { works: `${minor}.0`, written: `${minor}.0` }),
    downgradingTo: `${minor}.0`,
  }),
  install: (seen, { version, turns }) => {
    const hosts = turns.map(({ host }) => host)
    const [lacking] = Object.keys(seen.uncovered)
    if (lacking) return `${lacking} lacks a snapshot of its own`
    return inTurns(seen, hosts, version)
  },
  'end downgrade': (seen) => ({ ...seen, downgradingTo: undefined }),
  verify: (seen, { version }) =>
    seen.recorded.every((host) => seen.hosts[host]?.answer?.version === version)
      ? seen
      : `not every member runs etcd ${version}`,
  'record version': (seen, { version }) => ({ ...seen, version, upgradingTo: undefined }),
}

/** Each was restarted in its turn, one that leads after handing over to the first who votes. */
const inTurns = (seen: Observation, hosts: string[], version?: string): Observation =>
  hosts.reduce((now, host) => runs(withoutLead(now, host), host, version), seen)

function withoutLead(seen: Observation, host: string): Observation {
  const heir = host === seen.leader && seen.recorded.find((other) => other !== host && votes(seen, other))
  return heir ? { ...seen, leader: heir } : seen
}

const withAnswers = (seen: Observation, change: Partial<Answer>): Observation => ({
  ...seen,
  hosts: Object.fromEntries(
    Object.entries(seen.hosts).map(([name, host]) => [
      name,
      { ...host, answer: host.answer && { ...host.answer, ...change } },
    ]),
  ),
})

/** The host's member runs, whether it was down or not: that etcd, or the one that it ran. */
function runs(
  seen: Observation,
  host: string,
  version = seen.hosts[host]?.answer?.version ?? seen.version,
): Observation {
  const member = memberOn(seen, host)?.id ?? `of ${host}`
  const down = { member, learner: false, follows: true, commits: true, index: furthest(seen) }
  return withHost(seen, host, { answer: { ...(seen.hosts[host]?.answer ?? down), version: version ?? '' } })
}

const furthest = (seen: Observation): number =>
  Math.max(0, ...Object.values(seen.hosts).map(({ answer }) => answer?.index ?? 0))

/** What the act makes of it. */
export function effectOf(seen: Observation, act: Act): Outcome {
  const then = (effects[act.do] as (seen: Observation, act: Act) => Outcome)(seen, act)
  return typeof then === 'string' ? then : { ...then, done: [...seen.done, act] }
}
