// How a host becomes a voter, and how it leaves: the next act, from whatever state an earlier run left it in.
import { mayAdd, quorum } from '../etcd/membership.ts'
import type { Act, MemberSeen, Next, Observation, Obstacle } from './types.ts'

/** A host that is to vote. */
export interface Goal {
  host: string
  /** The member that is to go, though it may be well. */
  old?: string | undefined
}

export const memberOn = (seen: Observation, host: string): MemberSeen | undefined =>
  seen.members?.find((member) => member.host === host)

/** Whether the host's own member votes and commits. */
export function votes(seen: Observation, host: string): boolean {
  const [member, answer] = [memberOn(seen, host), seen.hosts[host]?.answer]
  return member !== undefined && !member.learner && answer?.commits === true && answer.member === member.id
}

/** The hosts that vote and commit, but for some. */
const others = (seen: Observation, without: string[]): string[] =>
  Object.keys(seen.hosts).filter((host) => !without.includes(host) && votes(seen, host))

export const act = (one: Act): Next => ({ act: one })
export const stop = (obstacle: Obstacle): Next => ({ obstacle })

export const minorOf = (version = ''): string => version.split('.').slice(0, 2).join('.')

/** The first of these that has something to say. */
export function first(...rules: (() => Next | undefined)[]): Next {
  for (const rule of rules) {
    const next = rule()
    if (next !== undefined && next !== 'done') return next
  }
  return 'done'
}

/**
 * All of these hosts, one after the other. All are brought up first: some may be well again. etcd takes one learner at
 * a time: whose is there already comes first, though nobody asked for it: it was cut short. Who votes still comes last.
 */
export function joinAll(seen: Observation, asked: Goal[]): Next {
  const cutShort = seen.recorded.filter((host) => memberOn(seen, host)?.learner)
  const left = cutShort.filter((one) => !asked.some(({ host }) => host === one))
  const goals = [...asked, ...left.map((host): Goal => ({ host }))]
  const due = goals.filter(({ host, old }) => !votes(seen, host) || memberOn(seen, host)?.id === old)
  const rank = ({ host }: Goal): number => (memberOn(seen, host)?.learner ? 0 : votes(seen, host) ? 2 : 1)
  const going = due.filter(({ old }) => old !== undefined).map(({ host }) => host)
  return first(
    ...due.map(
      ({ host }) =>
        () =>
          seen.hosts[host]?.ready ? undefined : act({ do: 'bring up', host }),
    ),
    () => (due.length > 1 ? removeLost(seen, due) : undefined),
    ...due.toSorted((a, b) => rank(a) - rank(b)).map((goal) => () => join(seen, goal, going)),
  )
}

/** Of several, the members that are down go first: etcd may add nobody beside them. */
function removeLost(seen: Observation, goals: Goal[]): Next | undefined {
  const members = goals.flatMap(({ host }) => memberOn(seen, host) ?? [])
  const lost = members.filter(({ host = '', learner }) => !learner && !seen.hosts[host]?.answer)
  const [one] = lost
  if (!one?.host) return undefined
  const { id, host } = one
  return first(
    () => quorumWithout(seen, host),
    () => (seen.hosts[host]?.empty ? undefined : act({ do: 'set aside', host })),
    () => act({ do: 'remove member', host, id }),
  )
}

/**
 * The next act until the host votes. Only a learner that runs is gone on with: another may have lost its data.
 * `going`: who has its turn, too, and had better not lead.
 */
function join(seen: Observation, { host, old }: Goal, going: string[]): Next {
  const { answer, empty } = seen.hosts[host] ?? { empty: false }
  const member = memberOn(seen, host)
  const learns = member?.learner && member.id !== old
  if (learns && answer?.follows && answer.member === member.id) return act({ do: 'promote', host, id: member.id })
  return first(
    () => quorumWithout(seen, host),
    () => (learns ? undefined : addable(seen, [host])),
    () => leadElsewhere(seen, [host, ...(learns || others(seen, going).length > 0 ? going : [])], going),
    () => (answer || !empty ? act({ do: 'set aside', host }) : undefined),
    () => {
      const version = versionToJoin(seen, [host, ...going])
      return learns && !member.started ? act({ do: 'start learner', host, version }) : undefined
    },
    () => (member ? act({ do: 'remove member', host, id: member.id }) : undefined),
    () => act({ do: 'add learner', host }),
  )
}

/**
 * The etcd of a new member. While a move to another etcd is half done: the older of the two as long as a member that
 * stays runs it; else the newer, since etcd lets nobody in who is older than the version that it works at.
 */
export function versionToJoin({ hosts, version = '', upgradingTo = version }: Observation, going: string[]): string {
  const [older = '', newer = ''] = [version, upgradingTo].toSorted(byVersion)
  const stay = Object.keys(hosts).filter((host) => !going.includes(host))
  return stay.some((host) => hosts[host]?.answer?.version === older) ? older : newer
}

const { compare: byVersion } = new Intl.Collator('en', { numeric: true })

/** Whether a move down is half done. */
export const goesDown = ({ version = '', upgradingTo = version }: Observation): boolean =>
  byVersion(upgradingTo, version) < 0

/**
 * The next act until the host is gone, and the record last: a run that is killed begins with this host again.
 * `leaving`: all hosts that are about to go; none of them is to lead.
 */
export function retire(seen: Observation, host: string, leaving: string[]): Next {
  const member = memberOn(seen, host)
  return first(
    () => (member && !member.learner ? quorumWithout(seen, host, true) : undefined),
    () => (member ? leadElsewhere(seen, leaving) : undefined),
    () => (member ? act({ do: 'remove member', host, id: member.id }) : undefined),
    () => {
      const gone = seen.hosts[host]?.foreign ? 'forget host' : 'remove host'
      return seen.recorded.includes(host) ? act({ do: gone, host }) : undefined
    },
  )
}

/**
 * How many entries its log may lack for a member to count as near the furthest: under load no two looks see the same.
 */
const near = 1000

/**
 * None of these leads: the first voter whose log is near the furthest takes the lead over. One of `ratherNot` does so
 * only where there is no other.
 */
export function leadElsewhere(seen: Observation, leaving: string[], ratherNot: string[] = []): Next | undefined {
  const from = seen.leader
  if (from === undefined || !leaving.includes(from)) return undefined
  const index = (host: string): number => seen.hosts[host]?.answer?.index ?? 0
  const able = others(seen, leaving)
  const furthest = Math.max(...able.map(index))
  const rank = (host: string): number => 2 * Number(ratherNot.includes(host)) + Number(index(host) < furthest - near)
  const [to] = able.toSorted((a, b) => rank(a) - rank(b))
  return to ? act({ do: 'hand over', from, to }) : stop({ code: 'no-heir', host: from })
}

/**
 * The others must commit without this host: now and until it votes again; or, where it `leaves`, once its member is
 * gone.
 */
function quorumWithout(seen: Observation, host: string, leaves = false): Next | undefined {
  if (!seen.members) return stop({ code: 'no-quorum' })
  const voters = seen.members.filter((member) => !member.learner && !(leaves && member.host === host)).length
  const [needed, well] = [quorum(voters), others(seen, [host]).length]
  return well >= needed ? undefined : stop({ code: 'quorum-at-risk', host, voters, needed, well })
}

/** Once these have no member, etcd must add one: it takes one learner at a time, and wants the voters up. */
function addable(seen: Observation, without: string[]): Next | undefined {
  const rest = (seen.members ?? []).filter(({ host }) => host === undefined || !without.includes(host))
  const learner = rest.find((member) => member.learner)
  if (learner) return stop({ code: 'other-learner', host: learner.host, id: learner.id })
  const voters = rest.filter((member) => !member.learner).length
  const well = others(seen, without)
  if (mayAdd(voters, well.length, seen.strict)) return undefined
  const down = rest.flatMap(({ host }) => (host !== undefined && !well.includes(host) ? [host] : []))
  const stranger = rest.find(({ host }) => host === undefined)
  if (down.length === 0 && stranger) return stop({ code: 'stranger-member', id: stranger.id, is: 'it votes' })
  return stop({ code: 'voters-down', hosts: down })
}
