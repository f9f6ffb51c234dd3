// What a member must refuse, tried for real: each attempt is one connection with a time limit of its own.
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { clock } from '../core/run.ts'
import { day, makeAuthority, makeKeyPair } from '../core/x509.ts'
import { readAuthority } from '../etcd/authority-key.ts'
import { authoritySubject } from '../etcd/certificates.ts'
import { type Finding, refusal } from '../etcd/findings.ts'
import { ofCertificates } from '../etcd/judge.ts'
import { clientOf, type Identity, identity, identityAt, knock, type Probe, probePlain } from '../etcd/probe.ts'

/** Whom we pretend to be. `expired` may be impossible to make: then it says why. */
export interface Visitors {
  client: Identity
  none: Identity
  foreign: Identity
  expired: Identity | { impossible: string }
  servers: Map<string, Identity>
}

export interface Refusal {
  name: string
  /** What is refused, as in "Every member refuses …". */
  what: string
  port: 'client' | 'peer'
  /** Why it may be let in; none where TLS is off as a whole. */
  why?: string
  /** The visitor; undefined: no TLS at all. */
  as?: (visitors: Visitors, host: Host) => Identity | { impossible: string }
}

const unauthenticated = 'client authentication is off (ETCD_CLIENT_CERT_AUTH)'
const openToClients =
  'no name is asked for there (ETCD_PEER_CERT_ALLOWED_CN), and whoever has such a certificate can speak raft'

export const refusals: Refusal[] = [
  { name: 'refuses-plain-http', what: 'plain HTTP', port: 'client' },
  {
    name: 'refuses-no-certificate',
    what: 'a client without a certificate',
    port: 'client',
    why: unauthenticated,
    as: ({ none }) => none,
  },
  {
    name: 'refuses-other-authority',
    what: 'a certificate of another authority',
    port: 'client',
    why: `${unauthenticated}, or it trusts another authority, too`,
    as: ({ foreign }) => foreign,
  },
  {
    name: 'refuses-expired',
    what: 'an expired certificate',
    port: 'client',
    why: `${unauthenticated}, or its clock is wrong`,
    as: ({ expired }) => expired,
  },
  {
    name: 'refuses-client-as-peer',
    what: "a client's certificate on the peer port",
    port: 'peer',
    why: openToClients,
    as: ({ client }) => client,
  },
  {
    name: 'refuses-server-as-peer',
    what: "a server's certificate on the peer port",
    port: 'peer',
    why: openToClients,
    as: ({ servers }, host) => servers.get(host.name) ?? { impossible: `${host.name}/server.crt is missing here` },
  },
]

/** How an attempt to be let in ended, or why there was none. */
export type Attempt = Probe | { impossible: string }

/** Tries one refusal on one host. */
export async function attempt(
  refusal: Refusal,
  cluster: Cluster,
  host: Host,
  visitors: Visitors,
  timeoutMs: number,
): Promise<Attempt> {
  const port = refusal.port === 'peer' ? cluster.etcd.peerPort : cluster.etcd.clientPort
  if (!refusal.as && cluster.plainClients)
    return { impossible: 'clients may speak plain HTTP until the old trust ends: adopt --drop-old' }
  if (!refusal.as) return probePlain(host.address, port, '/version', timeoutMs)
  const as = refusal.as(visitors, host)
  if ('impossible' in as) return as
  if ('unusable' in as) return { impossible: `our own certificate cannot be used: ${as.unusable}` }
  return knock(cluster, host, { port, as, timeoutMs })
}

/** Real certificates from certs/, the foreign and the expired one in memory. @throws OperationError without ours */
export async function makeVisitors(cluster: Cluster): Promise<Visitors> {
  const client = identityAt(cluster, 'etcd-client')
  if (!client) throw refusal(cluster, ofCertificates(cluster) as Finding)
  const [foreign, expired] = await Promise.all([foreignIdentity(cluster), expiredIdentity(cluster)])
  const servers = cluster.hosts.flatMap((host) => {
    const server = identityAt(cluster, `${host.name}/server`)
    return server ? [[host.name, server] as const] : []
  })
  return { client, none: identity(), foreign, expired, servers: new Map(servers) }
}

/** Of the same name as ours: not the name decides, but the key. */
async function foreignIdentity(cluster: Cluster): Promise<Identity> {
  return clientOf(
    await makeAuthority(await makeKeyPair('ecdsa-p256'), authoritySubject(cluster), 1),
    cluster.name,
    new Date(clock() + day / 2),
  )
}

/** Needs the authority's key; where that is encrypted or kept elsewhere there is no expired certificate to try. */
async function expiredIdentity(cluster: Cluster): Promise<Visitors['expired']> {
  try {
    return await clientOf(readAuthority(cluster), cluster.name, new Date(clock() - day))
  } catch (error) {
    if (error instanceof OperationError) return { impossible: error.message }
    throw error
  }
}
