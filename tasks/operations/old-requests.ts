// What an older etcd left in the members' logs that the next one cannot read: looked for before it is started.
import { command } from '../core/command.ts'
import { compareVersions } from '../core/programs.ts'
import { lookAtLogs } from '../observe/host-data.ts'
import type { Observation } from '../plans/types.ts'
import { downOf, type Move } from './roll.ts'

/**
 * Looks on the hosts where the move leads to 3.6 or to 3.7 from below. Changes nothing.
 * @returns what only a person can decide, a sentence for each host; and the hosts whose member lacks a snapshot of its
 * own
 */
export async function lookForOldRequests({
  cluster,
  from,
  to,
  seen,
}: Move): Promise<{ refusals: string[] } & Pick<Observation, 'uncovered'>> {
  const next = (['3.6', '3.7'] as const).find((one) => compareVersions(from, one) < 0 && compareVersions(to, one) >= 0)
  if (!next) return { refusals: [], uncovered: {} }
  const down = seen.members ? downOf(seen) : []
  const hosts = cluster.hosts.filter(({ name }) => !down.includes(name))
  const found = (await lookAtLogs(cluster, hosts)).filter(({ before }) => before[next] !== '')
  if (next === '3.7')
    return { refusals: [], uncovered: Object.fromEntries(found.map(({ host, programs }) => [host.name, programs])) }
  const refusals = found.map(
    ({ host, before }) =>
      `${host.name}: ${before[next]}, with which etcd 3.6 does not start. A restored backup has nothing of the v2 ` +
      `store: keep what you need of it, then ${command(cluster, 'backup')}, and restore what that made.`,
  )
  return { refusals, uncovered: {} }
}
