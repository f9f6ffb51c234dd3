// What upgrade and downgrade aim at, and what is next: another etcd on every member, the record last. Pure.
import { majority } from '../etcd/membership.ts'
import { did, inOrderOfRisk } from './in-turn.ts'
import { act, first, minorOf, stop } from './members.ts'
import type { Next, Observation, Obstacle, Rules, Turn } from './types.ts'

/** Up to a newer version; or back to the one that is recorded, as long as not every member runs the newer one. */
export const upgradeRules =
  (start: Observation, to: string): Rules =>
  (seen) =>
    untilThere(
      seen,
      to,
      () => backUp(start, seen, to),
      () => getPrograms(seen, to),
      () => recordTarget(start, seen, to),
      () => takeSnapshots(seen),
      () => install(seen, to),
      () => finish(seen, to),
    )

/**
 * Down to an older version; or back to the one that is recorded. The backup comes late: an older etcd, which may be the
 * only one here, does not start on a newer one's database.
 */
export const downgradeRules =
  (start: Observation, to: string): Rules =>
  (seen) =>
    untilThere(
      seen,
      to,
      () => getPrograms(seen, to),
      () => recordTarget(start, seen, to),
      () => (start.version === to ? endFirst(seen) : enableDowngrade(start, seen, to)),
      () => backUp(start, seen, to),
      () => install(seen, to),
      () => endDowngrade(seen),
      () => finish(seen, to),
    )

/** No move was begun: what is enabled in the cluster is ended, and no more. */
export const cancelRules: Rules = (seen) => endDowngrade(seen) ?? 'done'

const untilThere = (seen: Observation, to: string, ...rules: Parameters<typeof first>): Next =>
  seen.version === to && seen.upgradingTo === undefined ? 'done' : first(...rules)

/** Each run takes one, while a quorum commits; the way back takes none. */
function backUp(start: Observation, seen: Observation, to: string): Next | undefined {
  const due = start.version !== to && start.members !== undefined
  return due && seen.backups.every((name) => start.backups.includes(name)) ? act({ do: 'back up' }) : undefined
}

const getPrograms = (seen: Observation, to: string): Next | undefined =>
  seen.programs === to ? undefined : act({ do: 'get programs', version: to })

const recordTarget = (start: Observation, seen: Observation, to: string): Next | undefined =>
  start.version === to || seen.upgradingTo === to ? undefined : act({ do: 'record target', version: to })

function takeSnapshots(seen: Observation): Next | undefined {
  const hosts = inOrderOfRisk(seen, Object.keys(seen.uncovered))
  const [programs] = Object.values(seen.uncovered)
  return programs === undefined ? undefined : act({ do: 'take snapshots', hosts, programs })
}

/**
 * The role restarts who does not run the version, and sees to every host in any case: a run that was killed may have
 * left a host's programs and its member at odds.
 */
function install(seen: Observation, to: string): Next | undefined {
  const due = seen.recorded.filter((host) => seen.hosts[host]?.answer?.version !== to)
  const [host] = due
  if (!did(seen, 'install'))
    return act({ do: 'install', version: to, turns: inOrderOfRisk(seen, due).map((one) => turnOf(seen, one)) })
  const is = host && seen.hosts[host]?.answer?.version
  return host ? stop({ code: 'other-version', host, is, due: to }) : undefined
}

const turnOf = (seen: Observation, host: string): Turn => ({
  host,
  leads: host === seen.leader && seen.recorded.length > 1,
  runs: seen.hosts[host]?.answer?.version,
})

const finish = (seen: Observation, to: string): Next =>
  did(seen, 'verify') ? act({ do: 'record version', version: to }) : act({ do: 'verify', version: to })

/**
 * Within a minor version nothing is to be enabled: there an older etcd reads what a newer one wrote. Elsewhere it is
 * not enough that the cluster works at the older version: by itself it soon works at its members' own, unless one of
 * them is of the older version already.
 */
function enableDowngrade(start: Observation, seen: Observation, to: string): Next | undefined {
  const minor = minorOf(to)
  if (minorOf(start.version) === minor) return undefined
  const rolls = Object.values(seen.hosts).some(({ answer }) => answer && minorOf(answer.version) === minor)
  const enabled = rolls || did(seen, 'enable downgrade') || minorOf(seen.downgradingTo) === minor
  if (enabled && above(seen, to).length === 0) return undefined
  return seen.members ? act({ do: 'enable downgrade', minor }) : stop({ code: 'no-quorum' })
}

/** The hosts of a newer minor version whose cluster or database is not yet one for the older. */
function above({ hosts }: Observation, to: string): string[] {
  const isOther = (version: string | undefined): boolean => minorOf(version) !== minorOf(to)
  return Object.keys(hosts).filter((host) => {
    const answer = hosts[host]?.answer
    return answer && isOther(answer.version) && (isOther(answer.works) || isOther(answer.written))
  })
}

/** Where no quorum answers, members that are down come up first. */
const endFirst = (seen: Observation): Next | undefined => (seen.members ? endDowngrade(seen) : undefined)

const endDowngrade = (seen: Observation): Next | undefined =>
  did(seen, 'end downgrade') ? undefined : act({ do: 'end downgrade' })

/**
 * Why members are in no state for a move to that version. The way back is open as long as the cluster works at the
 * minor version that it leads to: etcd raises that only once every member runs the next (etcd's upgrade guides, chapter
 * on downgrading before the upgrade is done).
 */
export function whyNotMove(
  { hosts, version: from = '', upgradingTo }: Observation,
  verb: string,
  to: string,
): Exclude<Obstacle, { code: 'refused' }> | undefined {
  const running = Object.entries(hosts).flatMap(([host, { answer }]) => (answer ? [{ host, ...answer }] : []))
  const aim = upgradingTo ?? to
  const strange = running.find(({ version }) => version !== from && version !== aim)
  if (strange) return { code: 'strange-version', host: strange.host, is: strange.version, from, to: aim }
  const most = majority(running.map(({ version }) => version))
  const other = running.find(({ version }) => version !== (most ?? from))
  if (other && !upgradingTo) return { code: 'mixed-versions', host: other.host, is: other.version, most }
  const raised = running.find(
    ({ works, version }) => works && minorOf(works) !== minorOf(to) && minorOf(version) !== minorOf(to),
  )
  if (from === to && verb === 'upgrade' && raised) return { code: 'no-way-back', is: raised.version, due: to }
  return undefined
}
