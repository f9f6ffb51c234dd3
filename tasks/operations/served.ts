// Which certificates the members serve right now: a new TLS connection to both ports of each.
import type { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { certificateAt } from '../etcd/certificates.ts'
import { knock } from '../etcd/probe.ts'
import { reachMembers } from '../etcd/reach.ts'

/** One port of a member, asked with our client certificate. */
export interface Served {
  host: Host
  port: 'client' | 'peer'
  /** The certificate's path below certs/<cluster>/. */
  file: string
  /** Undefined: nobody showed one. */
  certificate: X509Certificate | undefined
  /** Whether it is the one that lies here. */
  ours: boolean
  /** Whether our client certificate was let in (at the peer port it must not be). */
  letIn: boolean
}

/** Asks every member at once; one that is silent takes 1.5 s. */
export async function servedCertificates(cluster: Cluster): Promise<Served[]> {
  await reachMembers(cluster)
  const places = cluster.hosts.flatMap((host) => [
    { host, port: 'client' as const, number: cluster.etcd.clientPort, file: `${host.name}/server.crt` },
    { host, port: 'peer' as const, number: cluster.etcd.peerPort, file: `${host.name}/${host.name}.crt` },
  ])
  return Promise.all(
    places.map(async ({ host, port, number, file }) => {
      const probe = await knock(cluster, host, { port: number })
      const here = certificateAt(join(cluster.paths.certs, file))?.fingerprint256
      return {
        host,
        port,
        file,
        certificate: probe.served,
        ours: here !== undefined && here === probe.served?.fingerprint256,
        letIn: probe.kind === 'answered',
      }
    }),
  )
}

/** Whether a port serves what lies here, and lets our client certificate in where it must. */
export const isInstalled = ({ ours, port, letIn }: Served): boolean => ours && (port === 'peer' || letIn)
