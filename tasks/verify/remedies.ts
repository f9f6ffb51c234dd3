// What a person does about a fault: the commands, written so that they can be pasted.
import { type Cluster, type Host, halfReplaced } from '../core/cluster.ts'
import { command } from '../core/command.ts'

/** etcdctl, for this cluster, from a shell that knows nothing of it yet. */
const etcdctlCommand = (cluster: Cluster, args: string): string =>
  `eval "$(${command(cluster, 'env')})" && etcdctl ${args}`

export const remedies = {
  start: (cluster: Cluster): string => `Start it: ${command(cluster, 'up')}`,
  thaw: (host: string): string =>
    `See on ${host} whether its etcd is suspended (kill -CONT lets it go on) or waits for its disk; kill ` +
    '-9 ends a process that hangs, and it is started again',
  role: (cluster: Cluster): string =>
    `Put its certificates and its configuration right: ${command(cluster, 'etcd-role')}`,
  renew: (cluster: Cluster): string =>
    `Renew and distribute: ${command(cluster, 'pki')} && ${command(cluster, 'etcd-role')}`,
  quorum: (cluster: Cluster): string =>
    `Bring the other members back first: ${command(cluster, 'up')}; if they are lost for good: ` +
    `${command(cluster, 'recover')}`,
  wait: (cluster: Cluster): string => `Look again in a moment: ${command(cluster, 'verify')}`,
  removeMember: (cluster: Cluster, id: string): string =>
    `If nobody needs it, remove it: ${etcdctlCommand(cluster, `member remove ${id}`)}`,
  /** A learner answers no membership request, so a voter is asked. */
  promote: (cluster: Cluster, id: string, learner: string | undefined): string => {
    const half = halfReplaced(cluster)
    if (half) return half
    const voter = cluster.hosts.find((host) => host.name !== learner)
    return (
      `Once it has caught up, promote it: eval "$(${command(cluster, 'env')})" && ` +
      `ETCDCTL_ENDPOINTS=${voter?.clientURL} etcdctl member promote ${id}`
    )
  },
  space: (cluster: Cluster): string => `Make room and lower the alarm: ${command(cluster, 'defrag --disarm')}`,
  add: (cluster: Cluster, name: string): string => `Make it a member anew: ${command(cluster, `replace ${name}`)}`,
  endDowngrade: (cluster: Cluster): string =>
    `If nobody is at it, take it back: ${command(cluster, 'downgrade --cancel')}`,
  peerURL: (cluster: Cluster, id: string, host: Host): string =>
    `Correct it: ${etcdctlCommand(cluster, `member update ${id} --peer-urls=${host.peerURL}`)}`,
  replace: (cluster: Cluster, id: string, name: string | undefined): string => {
    const host = cluster.hosts.find((candidate) => candidate.name === name)
    return host
      ? `Replace its data by the others': ${command(cluster, 'replace')} ${host.name}`
      : `Remove it: ${etcdctlCommand(cluster, `member remove ${id}`)}`
  },
}
