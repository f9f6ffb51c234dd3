// One member after the other, in the order that risks least. Pure.
import { act, first, leadElsewhere, stop, votes } from './members.ts'
import type { Act, Next, Observation } from './types.ts'

/** A member that is ill risks nothing more; the leader's turn disturbs most. */
export function inOrderOfRisk(seen: Observation, hosts: string[]): string[] {
  const rank = (host: string): number => (!votes(seen, host) ? 0 : host === seen.leader ? 2 : 1)
  return hosts.toSorted((a, b) => rank(a) - rank(b))
}

/**
 * The next turn of those that are due. While a member that is well has its turn, all others must commit; one that leads
 * hands over first. What is done in a turn ends once the member has caught up.
 */
export function inTurn(seen: Observation, due: string[], turn: (host: string) => Act): Next {
  const [host] = inOrderOfRisk(seen, due)
  if (host === undefined) return 'done'
  const strangers = (seen.members ?? []).filter((member) => member.host === undefined && !member.learner)
  const ill = [
    ...seen.recorded.filter((other) => other !== host && !votes(seen, other)),
    ...strangers.map(({ id }) => `member ${id}`),
  ]
  return first(
    () => (votes(seen, host) && ill.length > 0 ? stop({ code: 'others-ill', host, hosts: ill }) : undefined),
    () => (seen.recorded.length > 1 ? leadElsewhere(seen, [host]) : undefined),
    () => act(turn(host)),
  )
}

/** Whether the run at work has done that, on that host where it is one host's. */
export const did = (seen: Observation, what: Act['do'], host?: string): boolean =>
  seen.done.some((one) => one.do === what && (host === undefined || ('host' in one && one.host === host)))
