// What replace aims at, and what is next. Pure.
import { did } from './in-turn.ts'
import { act, first, type Goal, goesDown, joinAll, memberOn, votes } from './members.ts'
import type { Observation, Rules } from './types.ts'

/**
 * The members of these hosts go, and come back with the others' data. Whose member goes is fixed at the first look, and
 * noted: a run that was killed is gone on with, and replaces nobody twice, but for a new member that is down: nobody
 * can say what its data are, and it may be one of those that an alarm was about.
 */
export function replaceRules(start: Observation, hosts: string[]): Rules {
  const goals = goalsOf(start, hosts)
  return (seen) =>
    first(
      // While a downgrade is enabled etcd lets no new member in; who goes on with the downgrade enables it again.
      () => (seen.members && goesDown(start) && !did(seen, 'end downgrade') ? act({ do: 'end downgrade' }) : undefined),
      ...goals.map(({ host, old }) => () => {
        if (old === undefined || seen.replacing[host] === old) return undefined
        return { act: { do: 'note who goes' as const, host, id: old } }
      }),
      () => joinAll(seen, goals),
    )
}

/** Each host, and the member of it that is to go. */
export const goalsOf = (start: Observation, hosts: string[]): Goal[] =>
  hosts.map((host) => ({ host, old: isReplaced(start, host) ? start.replacing[host] : oldOf(start, host) }))

/** The hosts whose member a run that was killed has replaced already. */
export const replacedBefore = (seen: Observation, hosts: string[]): string[] =>
  hosts.filter((host) => {
    const old = seen.replacing[host]
    return old !== undefined && votes(seen, host) && memberOn(seen, host)?.id !== old
  })

/** Whether the note is about a member that is gone, or about to go; a new one that is down is no longer meant. */
function isReplaced(seen: Observation, host: string): boolean {
  const [old, member] = [seen.replacing[host], memberOn(seen, host)]
  return old !== undefined && (member?.id === old || !member?.started || seen.hosts[host]?.answer !== undefined)
}

/** A learner is no member that must go, unless it is down: whoever was cut short comes to its end. */
function oldOf(seen: Observation, host: string): string | undefined {
  const [member, answer] = [memberOn(seen, host), seen.hosts[host]?.answer]
  return member?.started && (!member.learner || !answer || votes(seen, host)) ? member.id : undefined
}
