// Leadership moved away from hosts that are about to go.
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { sleep } from '../core/run.ts'
import { endpointStatus } from '../etcd/etcdctl.ts'
import { moveLeader } from '../etcd/maintenance.ts'
import { voters } from '../etcd/member-changes.ts'

const patienceMs = 20_000

/**
 * If one of the hosts leads, makes another one lead: the healthy voter that lags least.
 * @returns the new leader's name; undefined where none of the hosts leads
 * @throws OperationError when no other takes the lead over
 */
export async function leadElsewhere(cluster: Cluster, leaving: Host[]): Promise<string | undefined> {
  let heirName: string | undefined
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(200)) {
    const statuses = await endpointStatus(cluster)
    const known = statuses.flatMap((answer, index) =>
      answer.ok ? [{ host: cluster.hosts[index] as Host, ...answer.value }] : [],
    )
    const leader = known.find(({ memberId, leaderId }) => memberId === leaderId)
    if (!leader || !leaving.includes(leader.host)) return heirName
    const able = await voters(cluster, leaving)
    const [heir] = known
      .filter(({ host }) => able.includes(host.clientURL))
      .toSorted((a, b) => b.raftIndex - a.raftIndex)
    heirName = heir?.host.name
    if (heir) await moveLeader(cluster, leader.host.clientURL, heir.memberId).catch(() => undefined) // looked at again: its answer says little
  }
  throw new OperationError(`No other member took the lead over from ${leaving.map(({ name }) => name).join(', ')}.`, {
    hint: `See what is wrong: ${command(cluster, 'verify')}`,
  })
}
