// How high the revision of a restored cluster must be: above all that any client of it can have seen.

import { notedRevisions } from '../acts/backup-store.ts'
import type { Cluster } from '../core/cluster.ts'
import { recordCluster } from '../core/record.ts'
import { today } from '../core/run.ts'
import { stamp } from '../core/terminal.ts'
import { endpointStatus, valuesOf } from '../etcd/etcdctl.ts'
import { reachMembers } from '../etcd/reach.ts'

/** The highest revision that the cluster is known to have had. Not `known`: neither its record nor a member says it. */
export interface Reached {
  highest: number
  known: boolean
}

/** A week of 1500 writes a second and more, as etcd's guide to recovery takes it: what nobody noted lies below. */
const margin = 1_000_000_000

/**
 * The revision that restored data is raised to. A client that watches or caches is told only if the revision never goes
 * back: two restores of one snapshot, raised by the same amount, would land on the same revision.
 */
export const raisedRevision = ({ highest }: Reached, snapshot: number): number => Math.max(highest, snapshot) + margin

/** `recorded`: cluster.json's; `live`: of members that answer; `noted`: of backups and persons. */
export const reachedBy = (recorded: number | undefined, live: number[], noted: number[]): Reached => ({
  highest: Math.max(0, recorded ?? 0, ...live, ...noted),
  known: recorded !== undefined || live.length > 0,
})

/** A risk, in sentences: the past is not known here. */
export const unknownPast = (target: number): string =>
  'Neither a record nor a member says here which revision this cluster reached before, so it is raised to ' +
  `${target}, far above the snapshot. If clients have seen a higher one (after an earlier restore made elsewhere), ` +
  'those that watch or cache will serve wrong data without an error: name the highest that they have seen with ' +
  '--above REVISION, or restart all of them.'

/** A risk, in sentences: the revision goes back. */
export const cannotRaise =
  'These programs of etcd cannot raise the revision: clients that watch this cluster, or keep what they read of it, ' +
  'will serve wrong data without an error until they are restarted. Restart all of them.'

/** The initial cluster token of a cluster that is made from older data. */
export function newToken({ name }: Cluster, how: 'restored' | 'recovered'): string {
  return `${name}-${how}-${stamp(today())}`
}

/** Asks the record, the members that answer and the backups kept here. `told`: by a person; then it is known. */
export async function reachedBefore(cluster: Cluster, told?: number): Promise<Reached & { live: number }> {
  const live = await liveRevisions(cluster)
  const reached = reachedBy(cluster.highestRevision ?? told, live, [told ?? 0, ...notedRevisions(cluster)])
  return { ...reached, live: Math.max(0, ...live) }
}

/** The revision of each member that answers. */
async function liveRevisions(cluster: Cluster): Promise<number[]> {
  await reachMembers(cluster)
  return valuesOf(await endpointStatus(cluster)).map(({ revision }) => revision)
}

/** Notes, once, how far the members are: from then on the record says that nothing went further unknown to it. */
export async function noteRevision(cluster: Cluster): Promise<void> {
  const live = cluster.highestRevision === undefined ? await liveRevisions(cluster) : []
  if (live.length === 0) return
  cluster.highestRevision = Math.max(...live)
  recordCluster(cluster)
}
