// What a person does about a fault: the commands, written so that they can be pasted.
import type { Cluster } from '../core/cluster.ts'
import { defaults } from '../core/config.ts'

/** One of our scripts, for this cluster. */
export const command = (cluster: Cluster, verb: string): string => `npx zx scripts/${verb}.ts${cluster.name === defaults.cluster ? '' : ` --cluster ${cluster.name}`}`

/** etcdctl, for this cluster, from a shell that knows nothing of it yet. */
const etcdctlCommand = (cluster: Cluster, args: string): string => `eval "$(${command(cluster, 'env')})" && etcdctl ${args}`

export const remedies = {
  start: (cluster: Cluster): string => `Start it: ${command(cluster, 'up')}`,
  thaw: (cluster: Cluster, host: string): string =>
    `See on ${host} whether its etcd is suspended (kill -CONT goes on with it) or waits for its disk; a restart helps: ${command(cluster, 'etcd-role')}`,
  role: (cluster: Cluster): string => `Put its certificates and its configuration right: ${command(cluster, 'etcd-role')}`,
  renew: (cluster: Cluster): string => `Renew and distribute: ${command(cluster, 'pki')} && ${command(cluster, 'etcd-role')}`,
  quorum: (cluster: Cluster): string => `Bring the other members back first: ${command(cluster, 'up')}`,
  wait: (cluster: Cluster): string => `Look again in a moment: ${command(cluster, 'verify')}`,
  removeMember: (cluster: Cluster, id: string): string => `If nobody needs it, remove it: ${etcdctlCommand(cluster, `member remove ${id}`)}`,
  promote: (cluster: Cluster, id: string): string => `Once it has caught up, promote it: ${etcdctlCommand(cluster, `member promote ${id}`)}`,
  space: (cluster: Cluster, revision: number): string =>
    `Make room, followers before the leader, then lower the alarm: ${etcdctlCommand(cluster, `compact ${revision} && etcdctl defrag && etcdctl alarm disarm`)}; or raise ETCD_QUOTA_BACKEND_BYTES under etcd.environment`,
  replace: (cluster: Cluster, id: string): string =>
    `Replace its data by the others': ${etcdctlCommand(cluster, `member remove ${id}`)}, then empty its data directory and run ${command(cluster, 'up')}`,
}
