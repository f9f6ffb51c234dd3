// What replace aims at, and what is next. Pure.
import { did } from './in-turn.ts'
import { act, first, goesDown, joinAll, memberOn, votes } from './members.ts'
import type { Observation, Rules } from './types.ts'

/**
 * The members of these hosts go, and come back with the others' data. Whose member goes is fixed at the first look, and
 * noted: a run that was killed is gone on with, and replaces nobody twice.
 */
export function replaceRules(start: Observation, hosts: string[]): Rules {
  const goals = hosts.map((host) => ({ host, old: start.replacing[host] ?? oldOf(start, host) }))
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

/** The hosts whose member a run that was killed has replaced already. */
export const replacedBefore = (seen: Observation, hosts: string[]): string[] =>
  hosts.filter((host) => {
    const old = seen.replacing[host]
    return old !== undefined && votes(seen, host) && memberOn(seen, host)?.id !== old
  })

/** A learner is no member that must go: whoever was cut short comes to its end. */
function oldOf(seen: Observation, host: string): string | undefined {
  const member = memberOn(seen, host)
  return member && (!member.learner || votes(seen, host)) ? member.id : undefined
}
