// What an older etcd left in the members' logs that the next one cannot read: looked for before it is started.
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { compareVersions } from '../core/programs.ts'
import { lookAtLogs } from '../observe/host-data.ts'
import type { Observation } from '../plans/types.ts'

type OldRequests = Pick<Observation, 'uncovered'> & { refusals: string[] }

/**
 * Looks on those hosts where the move leads to 3.6 or to 3.7 from below. Changes nothing.
 * @returns `refusals`: what only a person can decide, a sentence for each host
 */
export async function lookForOldRequests(cluster: Cluster, hosts: Host[], to: string): Promise<OldRequests> {
  const { version: from = '' } = cluster.etcd
  const next = (['3.6', '3.7'] as const).find((one) => compareVersions(from, one) < 0 && compareVersions(to, one) >= 0)
  const found = next ? (await lookAtLogs(cluster, hosts)).filter(({ before }) => before[next] !== '') : []
  if (next === '3.7')
    return { refusals: [], uncovered: Object.fromEntries(found.map(({ host, programs }) => [host.name, programs])) }
  const refusals = found.map(
    ({ host, before }) =>
      `${host.name}: ${before['3.6']}, with which etcd 3.6 does not start. A restored backup has nothing of the v2 ` +
      `store: keep what you need of it, then ${command(cluster, 'backup')}, and restore what that made.`,
  )
  return { refusals, uncovered: {} }
}
