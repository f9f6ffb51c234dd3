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

/** One at a time: each comes as a learner; each that goes hands leadership over first. */
export function scaleRules(start: Observation, wanted: string[]): Rules {
  const { coming, leaving } = movesTo(start, wanted)
  // A host that is exchanged goes first: once the list is heard that has it no more, nobody knows how it is reached.
  const isExchange = coming.some((host) => !start.recorded.includes(host))
  return (seen) => {
    const come = coming.map((host) => () => grow(seen, host))
    const go = leaving.map((host) => () => retire(seen, host, leaving))
    return first(
      () => (seen.members ? undefined : { obstacle: { code: 'no-quorum' as const } }),
      ...(isExchange ? [...go, ...come] : [...come, ...go]),
    )
  }
}

/** The record is first: a run that is killed knows whom it has begun. */
const grow = (seen: Observation, host: string) =>
  first(
    () => (seen.recorded.includes(host) ? undefined : { act: { do: 'record host' as const, host } }),
    () => joinAll(seen, [{ host }]),
  )
