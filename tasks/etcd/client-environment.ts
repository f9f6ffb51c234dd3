// The ETCDCTL_* variables with which a person's own etcdctl reaches the cluster.
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { findProgram } from '../core/programs.ts'
import { shellQuoted } from '../core/shell.ts'
import { findEtcd } from './binaries.ts'

/** Variable to value. */
export function clientEnvironment(cluster: Cluster): Record<string, string> {
  return {
    ETCDCTL_ENDPOINTS: cluster.hosts.map((host) => host.clientURL).join(','),
    ETCDCTL_CACERT: join(cluster.paths.certs, 'ca.crt'),
    ETCDCTL_CERT: join(cluster.paths.certs, 'etcd-client.crt'),
    ETCDCTL_KEY: join(cluster.paths.certs, 'etcd-client.key'),
  }
}

/** The same as lines for a shell; where etcdctl is not on PATH, a line that puts the cluster's own there. */
export async function shellLines(cluster: Cluster): Promise<string> {
  const lines = Object.entries(clientEnvironment(cluster)).map(
    ([name, value]) => `export ${name}=${shellQuoted(value)}`,
  )
  const binaries = findProgram('etcdctl') ? undefined : await findEtcd(cluster)
  if (binaries) lines.push(`export PATH=${shellQuoted(binaries.folder)}:"$PATH"`)
  return `${lines.join('\n')}\n`
}
