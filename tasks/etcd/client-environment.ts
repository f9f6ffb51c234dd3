// The ETCDCTL_* variables with which a person's own etcdctl reaches the cluster.
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { findEtcd } from './binaries.ts'

/** Variable to value; PATH is included only when etcdctl is not on the person's own. */
export async function clientEnvironment(cluster: Cluster): Promise<Record<string, string>> {
  const binaries = await findEtcd(cluster)
  const onPath = !binaries || (process.env.PATH ?? '').split(':').includes(binaries.folder)
  return {
    ETCDCTL_API: '3',
    ETCDCTL_ENDPOINTS: cluster.hosts.map((host) => host.clientURL).join(','),
    ETCDCTL_CACERT: join(cluster.paths.certs, 'ca.crt'),
    ETCDCTL_CERT: join(cluster.paths.certs, 'etcd-client.crt'),
    ETCDCTL_KEY: join(cluster.paths.certs, 'etcd-client.key'),
    ...(onPath ? {} : { PATH: `${binaries.folder}:${process.env.PATH}` }),
  }
}
