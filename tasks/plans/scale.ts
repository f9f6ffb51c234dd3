// What scale aims at, and what is next. Pure.
import { first, joinAll, memberOn, retire, votes } from './members.ts'
import type { Observation, Rules } from './types.ts'

/** Who must come and who must go, in that order, so that `wanted` are the members. */
export interface Moves {
  coming: string[]
  leaving: string[]
}

/**
 * A recorded host that is no voter yet was cut short while it came. Down members go first, then the last in the record.
 */
export function movesTo(seen: Observation, wanted: string[]): Moves {
  const isMember = (host: string): boolean => {
    const member = memberOn(seen, host)
    return seen.members === undefined || (member !== undefined && !member.learner && member.started)
  }
  const coming = wanted.filter((host) => !seen.recorded.includes(host) || !isMember(host))
  const leaving = seen.recorded.filter((host) => !wanted.includes(host)).toReversed()
  return { coming, leaving: leaving.toSorted((a, b) => Number(votes(seen, a)) - Number(votes(seen, b))) }
}

/**
 * One at a time: each comes as a learner; each that goes hands leadership over first. Where hosts are exchanged, one
 * comes, then one goes, so that no failure less is tolerated meanwhile. But whoever is down goes before anybody comes:
 * etcd may add nobody beside it.
 */
export function scaleRules(start: Observation, wanted: string[]): Rules {
  const { coming, leaving } = movesTo(start, wanted)
  const down = leaving.filter((host) => !votes(start, host))
  const well = leaving.filter((host) => votes(start, host))
  return (seen) => {
    const come = coming.map((host) => () => grow(seen, host))
    const go = (hosts: string[]) => hosts.map((host) => () => retire(seen, host, leaving))
    const pairs = come.flatMap((one, turn) => [one, ...go(well.slice(turn, turn + 1))])
    return first(
      () => (seen.members ? undefined : { obstacle: { code: 'no-quorum' as const } }),
      ...go(down),
      ...pairs,
      ...go(well.slice(coming.length)),
    )
  }
}

/**
 * All of these join first, beside the others; then, unless these are kept, the others go. One that is no member any
 * more was on its way out, and one that is down goes at once: etcd may add nobody beside it.
 */
export function joinRules(start: Observation, ours: string[], keepOthers: boolean): Rules {
  const stay = start.recorded.filter((host) => !leaveFirst(start, ours, keepOthers).includes(host))
  const [come, go] = [scaleRules(start, [...new Set([...stay, ...ours])]), scaleRules(start, ours)]
  return (seen) =>
    first(
      () => come(seen),
      () => (keepOthers ? undefined : go(seen)),
    )
}

/** What of that can be done while one of ours must be replaced before any joins. */
export function leaveRules(start: Observation, ours: string[], keepOthers: boolean): Rules {
  const due = leaveFirst(start, ours, keepOthers)
  return (seen) => first(...due.map((host) => () => retire(seen, host, due)))
}

/** Without a quorum nobody can say who. */
function leaveFirst(start: Observation, ours: string[], keepOthers: boolean): string[] {
  const stays = (host: string): boolean => (keepOthers ? memberOn(start, host) !== undefined : votes(start, host))
  return start.members ? start.recorded.filter((host) => !ours.includes(host) && !stays(host)) : []
}

/** The record is first: a run that is killed knows whom it has begun. */
const grow = (seen: Observation, host: string) =>
  first(
    () => (seen.recorded.includes(host) ? undefined : { act: { do: 'record host' as const, host } }),
    () => joinAll(seen, [{ host }]),
  )
