// What an act made of a real cluster, against what its effect and the model say it makes: the comparison.
import { effectOf } from '../../tasks/plans/effects.ts'
import type { Act, Answer, Observation } from '../../tasks/plans/types.ts'
import { titleOf } from '../../tasks/plans/words.ts'
import { carriedOut, observe, type World } from './model.ts'

/** One look of a run, and the act before it; the first look has none. */
export interface Seen {
  act?: Act
  seen: Observation
}

const marked = 'Seen: '

/** The looks of a run, from its log or a part of it. */
export const looksIn = (log: string): Seen[] =>
  log.split('\n').flatMap((line) => (line.startsWith(marked) ? [JSON.parse(line.slice(marked.length)) as Seen] : []))

/** What each act of a run made otherwise than its effect says, from the run's log. */
export function differencesIn(log: string): string[] {
  const looks = looksIn(log)
  return looks.flatMap(({ act, seen }, at) => {
    const before = looks[at - 1]?.seen
    return act && before ? differences(before, act, effectOf(before, act), seen) : []
  })
}

/** The same by the model. */
export const differencesOfModel = (before: World, seen: Observation, act: Act, after: Observation): string[] => {
  const then = carriedOut(before, act)
  return differences(seen, act, typeof then === 'string' ? then : observed(then, seen, after), after)
}

/** As the look saw it: who looks at members only asks no host whether it is ready. */
function observed(world: World, { hosts: before }: Observation, after: Observation): Observation {
  const seen = observe(world, Object.keys(after.hosts))
  if (Object.values(before).some(({ ready }) => ready)) return seen
  const hosts = Object.entries(seen.hosts).map(([name, host]) => [name, { ...host, ready: false }])
  return { ...seen, hosts: Object.fromEntries(hosts) }
}

/** How far a log may lag to count as near the furthest (tasks/plans/members.ts). */
const near = 1000

/**
 * How what is there differs from what was foreseen, in all that the rules read. By rule: ids of new members, raft
 * indexes, the leader (an election may happen at any time) and what an act leaves open.
 */
export function differences(
  before: Observation,
  act: Act,
  foreseen: Observation | string,
  after: Observation,
): string[] {
  if (typeof foreseen === 'string') return [`${titleOf(act)}: it is done, but was foreseen as refused (${foreseen})`]
  const [due, is] = [viewOf(foreseen, before, act), viewOf(after, before, act)]
  const unlike = [...new Set([...Object.keys(due), ...Object.keys(is)])].filter((key) => due[key] !== is[key])
  if (unlike.length === 0) return []
  const open = leftOpen(before, act)
  return unlike
    .filter((key) => !open(key))
    .map((key) => `${titleOf(act)}: ${key} is ${is[key] ?? 'nothing'}, foreseen was ${due[key] ?? 'nothing'}`)
}

/** What an observation says to rules, as text by what it is about. */
function viewOf(seen: Observation, before: Observation, act: Act): Record<string, string> {
  const { hosts, members, leader, downgradingTo } = seen
  const idOf = (id: string): string => (before.members?.some((one) => one.id === id) ? id : 'new')
  const hostOf = (host = ''): string => (host in hosts ? host : 'no host')
  const listed = (members ?? []).map((one) => {
    const states = [one.learner && 'learner', one.started && 'started'].filter(Boolean)
    return [hostOf(one.host), idOf(one.id), ...states].join(' ')
  })
  const votes = members?.some((one) => one.host === leader && !one.learner)
  const view: Record<string, string> = {
    members: members ? listed.sort().join(', ') : 'unknown',
    leader: leader === undefined ? 'none' : act.do === 'hand over' ? leader : votes ? 'a voter' : 'no voter',
    ...notesOf(seen),
  }
  if (act.do === 'end downgrade') view.downgradingTo = `${downgradingTo}`
  let furthest = 0
  for (const host in hosts) furthest = Math.max(furthest, hosts[host]?.answer?.index ?? 0)
  for (const host in hosts) addHost(view, seen, host, idOf, act, furthest)
  return view
}

const notesOf = (seen: Observation): Record<string, string> => ({
  recorded: seen.recorded.join(),
  replacing: JSON.stringify(seen.replacing),
  versions: [seen.version, seen.upgradingTo, seen.programs].join(),
  backups: String(seen.backups.length),
  uncovered: Object.keys(seen.uncovered).join(),
  strict: String(seen.strict),
  done: seen.done.map(titleOf).join(),
})

/** `furthest`: the raft index of the member that is. */
function addHost(
  view: Record<string, string>,
  seen: Observation,
  host: string,
  idOf: (id: string) => string,
  act: Act,
  furthest: number,
): void {
  const { ready, empty, answer } = seen.hosts[host] ?? { ready: false, empty: false }
  // A removed member may answer for a moment before it ends.
  const isMember = answer && (!seen.members || seen.members.some(({ id }) => id === answer.member))
  view[`${host} ready`] = `${ready}`
  view[`${host} empty`] = `${empty}`
  view[`${host} runs`] = isMember ? `${answer.version} as ${idOf(answer.member)}` : 'nothing'
  view[`${host} states`] = isMember ? statesOf(answer, furthest) : 'none'
  if (isMember && act.do === 'enable downgrade') view[`${host} works at`] = `${answer.works}, ${answer.written}`
}

function statesOf({ learner, follows, commits, index }: Answer, furthest: number): string {
  const lags = index < furthest - near
  return [learner && 'learner', follows && 'follows', commits && 'commits', lags && 'lags'].filter(Boolean).join(' ')
}

/**
 * Whose data lie on a host that is brought up is found out then: its member may start. Without a quorum nobody can say
 * who the members are, nor who leads once there is one again.
 */
function leftOpen(before: Observation, act: Act): (key: string) => boolean {
  const ofMembers = before.members
    ? []
    : ['members', 'leader', ...Object.keys(before.hosts).map((one) => `${one} states`)]
  const silent = Object.keys(before.hosts).filter((host) => act.do === 'bring up' && !before.hosts[host]?.answer)
  const open = [...ofMembers, ...silent.flatMap((host) => [`${host} runs`, `${host} states`])]
  return (key) => open.includes(key)
}
