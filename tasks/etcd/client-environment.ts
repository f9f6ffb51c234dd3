// The ETCDCTL_* variables with which a person's own etcdctl reaches the cluster.
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { findProgram } from '../core/programs.ts'
import { shellQuoted } from '../core/shell.ts'
import { findEtcd } from './binaries.ts'

/** Variable to value. */
export const clientEnvironment = ({ hosts, paths: { certs } }: Cluster): Record<string, string> =>
  etcdctlVariables({
    endpoints: hosts.map((host) => host.clientURL),
    ca: join(certs, 'ca.crt'),
    certificate: join(certs, 'etcd-client.crt'),
    key: join(certs, 'etcd-client.key'),
  })

/** The same for whoever has files of their own. */
export const etcdctlVariables = ({
  endpoints,
  ca,
  certificate,
  key,
}: {
  endpoints: string[]
  ca: string
  certificate: string
  key: string
}): Record<string, string> => ({
  ETCDCTL_ENDPOINTS: endpoints.join(','),
  ETCDCTL_CACERT: ca,
  ETCDCTL_CERT: certificate,
  ETCDCTL_KEY: key,
})

export const exportLines = (variables: Record<string, string>): string[] =>
  Object.entries(variables).map(([name, value]) => `export ${name}=${shellQuoted(value)}`)

/** The same as lines for a shell; where etcdctl is not on PATH, a line that puts the cluster's own there. */
export async function shellLines(cluster: Cluster): Promise<string> {
  const lines = exportLines(clientEnvironment(cluster))
  const binaries = findProgram('etcdctl') ? undefined : await findEtcd(cluster)
  if (binaries) lines.push(`export PATH=${shellQuoted(binaries.folder)}:"$PATH"`)
  return `${lines.join('\n')}\n`
}
