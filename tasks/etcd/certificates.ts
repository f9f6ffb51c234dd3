// What certificates a cluster has, where they are, and when one must be issued again. Reads, never writes.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { membersIn } from '../core/addresses.ts'
import { type Cluster, type Host, ownHosts } from '../core/cluster.ts'
import { type NewFile, readFileIfThere } from '../core/files.ts'
import { today } from '../core/run.ts'
import { masterCounts } from '../core/schema.ts'
import { certificatesIn, day, keyAlgorithmOf, type Subject, type Usage, usageIdentifiers } from '../core/x509.ts'
import { changeFiles, issuerOf, keyOfIssuer, type OldOne, type Papers } from './authority-stages.ts'
import { type Consumer, consumersOf, pairName } from './consumers.ts'
import { type Finding, refusal } from './findings.ts'

/** With one authority for all, the peers' name (ETCD_PEER_CERT_ALLOWED_CN) keeps clients from speaking raft. */
export const commonNames = {
  authority: 'etcd-ca',
  server: 'etcd-server',
  peer: 'etcd-peer',
  client: 'etcd-client',
} as const

export interface Files {
  certificate: string
  key: string
}

export interface Leaf extends Files, Subject {
  /** Its path below certs/<cluster>/, for messages: master01/server.crt. */
  title: string
  /** The host that it is for; none for the clients'. */
  host?: string
  /** The consumer that it is for (consumers.ts). */
  consumer?: string
  sans: string[]
  usages: Usage[]
}

/** `subject` as in O=etcd-cluster-1, CN=etcd-peer; `notAfter` in ISO 8601; `daysLeft` negative once expired. */
export interface CertificateReport {
  path: string
  subject: string
  notAfter: string
  daysLeft: number
}

/**
 * Where the authority that issues is. ca.crt holds every authority that is trusted: one, or two while one is changed
 * for another (authority-change.ts).
 */
export function authorityFiles(cluster: Cluster): Files {
  const { oldCertificate: old, nextKey } = changeFiles(cluster)
  const key = keyOfIssuer({ old: existsSync(old) ? old : undefined, hasNextKey: existsSync(nextKey) })
  return { certificate: join(cluster.paths.certs, 'ca.crt'), key: join(cluster.paths.certs, key) }
}

/** There from an adoption to its end: what the members trusted before, and clients may still need. */
export const oldAuthorities = ({ paths }: Cluster): string => join(paths.certs, 'adopted-ca.crt')

/** Files that may hold an authority's key: the authority's (while it is changed: the old one's), the next one's. */
export const authorityKeys = (cluster: Cluster): [string, string] => [
  join(cluster.paths.certs, 'ca.key'),
  changeFiles(cluster).nextKey,
]

/** The authority's subject: it names its cluster, so that one cluster's authority is never taken for another's. */
export const authoritySubject = (cluster: Cluster): Subject => ({
  organization: cluster.name,
  commonName: commonNames.authority,
})

/**
 * Every leaf of the cluster: a server and a peer certificate for each host, one for each consumer that was given one,
 * and at the end the one that our own verbs show.
 * Servers are clients, too: etcd's gateway dials itself with the server certificate (etcd-io/etcd#9785).
 * The extra SANs stand in peer certificates as well: etcd wants a peer's own IP there when there is any IP,
 * and a host with several addresses may not dial from the one we know. Local hosts on IPv6 are such ones: who dials one
 * of this machine's addresses does so from that very address (RFC 6724, rule 1; IPv4 dials from 127.0.0.1).
 */
export function leaves(cluster: Cluster): Leaf[] {
  const organization = cluster.name
  const { provider, subnet, pki } = cluster
  const dialled = provider === 'local' && subnet.includes(':') ? membersIn(subnet, Math.max(...masterCounts)) : []
  const sansOf = (host: Host): string[] => {
    const addresses = [host, ...dialled].map(({ address }) => address)
    const own = ['localhost', host.name, '127.0.0.1', '::1', ...addresses, ...(host.also ? [host.also] : [])]
    return [...new Set([...own, ...pki.extraSans])]
  }
  const both: Usage[] = ['serverAuth', 'clientAuth']
  const ofHost = (host: Host): Leaf[] => {
    const shared = { host: host.name, organization, sans: sansOf(host), usages: both }
    return [
      { ...filesOf(cluster, `${host.name}/server`), commonName: commonNames.server, ...shared },
      { ...filesOf(cluster, `${host.name}/${host.name}`), commonName: commonNames.peer, ...shared },
    ]
  }
  const client = { organization, sans: [], usages: ['clientAuth'] as Usage[] }
  const ofConsumer = ({ name }: Consumer): Leaf => ({
    ...filesOf(cluster, pairName(name)),
    ...client,
    consumer: name,
    commonName: name,
  })
  return [
    ...ownHosts(cluster).flatMap(ofHost),
    ...consumersOf(cluster).map(ofConsumer),
    { ...filesOf(cluster, 'etcd-client'), ...client, commonName: commonNames.client },
  ]
}

function filesOf({ paths }: Cluster, name: string): Files & { title: string } {
  const [certificate, key] = [join(paths.certs, `${name}.crt`), join(paths.certs, `${name}.key`)]
  return { title: `${name}.crt`, certificate, key }
}

/** A pair as files, its key first: after a kill between the two they do not match, and the next run issues new ones. */
export const pairOf = (certificate: string, text = '', key = ''): NewFile[] => [
  { path: certificate.replace(/crt$/, 'key'), content: key, mode: 0o600 },
  { path: certificate, content: text, mode: 0o644 },
]

/**
 * Why a leaf must be issued (again), as a clause for brackets; undefined when it is good as it is. Content decides.
 * A certificate that ends with its authority is not renewed before it expires: a new one would end no later.
 * Looser modes than 0600 are no reason: phase pki takes the rights away again.
 * @throws the system's error for a file that is there and cannot be read
 */
export function reasonToIssue(
  leaf: Leaf,
  authority: X509Certificate,
  asked: Cluster['pki'],
  now = today(),
): string | undefined {
  const certificate = readLeaf(leaf)
  if (typeof certificate === 'string') return certificate
  if (!isSignedBy(certificate, authority)) return "not signed by the cluster's authority"
  return (
    flaw(certificate, leaf, asked) ??
    outOfTime(certificate, now) ??
    nearEnd(certificate, authority, asked.renewBeforeDays, now)
  )
}

/** The certificate of a leaf that has its key; or why it is none. */
export function readLeaf(leaf: Files): X509Certificate | string {
  const [certificateText, keyText] = [readFileIfThere(leaf.certificate), readFileIfThere(leaf.key)]
  if (certificateText === undefined) return 'missing'
  if (keyText === undefined) return 'its key is missing'
  const certificate = attempt(() => new X509Certificate(certificateText))
  if (!certificate) return 'unreadable'
  const key = attempt(() => createPrivateKey(keyText))
  if (!key) return 'its key is unreadable'
  return certificate.checkPrivateKey(key) ? certificate : 'does not match its key'
}

function flaw(certificate: X509Certificate, leaf: Leaf, asked: Cluster['pki']): string | undefined {
  const names = certificate.subject.split('\n')
  if (!names.includes(`CN=${leaf.commonName}`)) return `names ${names.at(-1)}, not CN=${leaf.commonName}`
  const dnsNames = (certificate.subjectAltName ?? '').toLowerCase().split(', ')
  const san = leaf.sans.find((name) =>
    isIP(name) ? !certificate.checkIP(name) : !dnsNames.includes(`dns:${name.toLowerCase()}`),
  )
  if (san) return `lacks SAN ${san}`
  const count = certificate.subjectAltName?.split(', ').length ?? 0
  if (count > leaf.sans.length) return 'has SANs that are not asked for'
  // node calls the extended usages so
  const usage = leaf.usages.find((name) => !certificate.keyUsage?.includes(usageIdentifiers[name]))
  if (usage) return `lacks usage ${usage}`
  const algorithm = keyAlgorithmOf(certificate.publicKey)
  return algorithm === asked.keyAlgorithm ? undefined : `has an ${algorithm} key, not ${asked.keyAlgorithm}`
}

export function outOfTime(certificate: X509Certificate, now: Date): string | undefined {
  if (Date.parse(certificate.validFrom) > now.getTime()) return `not valid before ${isoDay(certificate.validFrom)}`
  return hasExpired(certificate, now) ? `expired on ${isoDay(certificate.validTo)}` : undefined
}

function nearEnd(
  certificate: X509Certificate,
  authority: X509Certificate,
  renewBeforeDays: number,
  now: Date,
): string | undefined {
  const left = daysLeft(certificate, now)
  const endsWithAuthority = Date.parse(certificate.validTo) >= Date.parse(authority.validTo)
  return left < renewBeforeDays && !endsWithAuthority
    ? `expires within ${renewBeforeDays} days, on ${isoDay(certificate.validTo)}`
    : undefined
}

/** By names, key identifiers and signature: node's verify alone passes what openssl refuses, and mixes up namesakes. */
export const isSignedBy = (certificate: X509Certificate, authority: X509Certificate): boolean =>
  certificate.checkIssued(authority) && certificate.verify(authority.publicKey)

/** Every authority in ca.crt: hosts and clients trust them all. @throws OperationError when that is unreadable */
export function trustedAuthorities(cluster: Cluster): X509Certificate[] {
  const path = authorityFiles(cluster).certificate
  const text = readFileIfThere(path)
  if (text === undefined) return []
  const certificates = certificatesIn(text).map((pem) => attempt(() => new X509Certificate(pem)))
  if (certificates.length === 0 || !certificates.every((certificate) => certificate !== undefined))
    throw refusal(cluster, { code: 'no-authority', reason: `${path} is not a readable certificate` })
  return certificates
}

export function oldAuthority(cluster: Cluster): X509Certificate | undefined {
  return certificateAt(changeFiles(cluster).oldCertificate)
}

/** What lies here of the authorities, by their fingerprints; `own`: those of ca.crt that are of this cluster. */
export function papersOf(cluster: Cluster): { papers: Papers; own: string[] } {
  const nameOf = ({ fingerprint256 }: X509Certificate): string => fingerprint256
  const trusted = trustedAuthorities(cluster)
  const own = trusted.filter((certificate) => isOurAuthority(cluster, certificate)).map(nameOf)
  const old = oldAuthority(cluster)
  const hasNextKey = existsSync(changeFiles(cluster).nextKey)
  return { papers: { trusted: trusted.map(nameOf), old: old && nameOf(old), hasNextKey }, own }
}

/** What is left of the old authority while it is changed. */
export const oldOneOf = (cluster: Cluster): OldOne => ({
  hasExpired: hasExpired(oldAuthority(cluster)),
  hasKey: existsSync(authorityKeys(cluster)[0]),
})

/** The certificate in a file; undefined where there is none, or it is unreadable. */
export function certificateAt(path: string): X509Certificate | undefined {
  const text = readFileIfThere(path)
  return text === undefined ? undefined : attempt(() => new X509Certificate(text))
}

export function isOurAuthority(cluster: Cluster, certificate: X509Certificate): boolean {
  const { organization, commonName } = authoritySubject(cluster)
  return subjectOf(certificate) === `O=${organization}, CN=${commonName}`
}

/**
 * The certificate of the authority that issues, or undefined where there is none: the first in ca.crt that is not the
 * old one. It may have expired.
 * @throws OperationError when it is unreadable, is no CA, or belongs to another cluster
 */
export function issuingAuthority(cluster: Cluster): X509Certificate | undefined {
  const path = authorityFiles(cluster).certificate
  const trusted = trustedAuthorities(cluster)
  const names = trusted.map(({ fingerprint256 }) => fingerprint256)
  const issuer = issuerOf({ trusted: names, old: oldAuthority(cluster)?.fingerprint256 })
  const certificate = trusted[names.indexOf(issuer ?? '')]
  if (!certificate) return undefined
  const { name } = cluster
  const no = (reason: string): Error => refusal(cluster, { code: 'no-authority', reason })
  if (!certificate.ca) throw no(`${path} is not the certificate of an authority`)
  if (!isOurAuthority(cluster, certificate))
    throw no(`${path} is not the authority of cluster ${name}: it is ${subjectOf(certificate)}`)
  return certificate
}

/** Nobody is let in by it any more, members among themselves neither. */
export function hasExpired(certificate: X509Certificate | undefined, now = today()): boolean {
  return certificate !== undefined && daysLeft(certificate, now) < 0
}

/**
 * The same, valid now.
 * @throws OperationError when it is not, or cannot be used
 */
export function authorityCertificate(cluster: Cluster, now = today()): X509Certificate | undefined {
  const { name } = cluster
  const certificate = issuingAuthority(cluster)
  if (!certificate) return undefined
  const [from, to] = [isoDay(certificate.validFrom), isoDay(certificate.validTo)]
  if (hasExpired(certificate, now))
    throw refusal(cluster, { code: 'authority-expired', name, is: to, now: isoDay(now) })
  if (Date.parse(certificate.validFrom) > now.getTime())
    throw refusal(cluster, {
      code: 'authority-early',
      at: authorityFiles(cluster).certificate,
      is: from,
      now: isoDay(now),
    })
  return certificate
}

/** What is to be issued again, of the certificates here. */
export const dueCertificates = (cluster: Cluster, authority: X509Certificate): Finding[] =>
  leaves(cluster).flatMap((leaf): Finding[] => {
    const reason = reasonToIssue(leaf, authority, cluster.pki)
    return reason ? [{ code: 'certificate-due', what: leaf.title, host: leaf.host, reason }] : []
  })

/** All certificates that are there and readable, the authorities first; for status and verify. */
export function certificateReport(cluster: Cluster, now = today()): CertificateReport[] {
  const report = (path: string, certificate: X509Certificate): CertificateReport => ({
    path,
    subject: subjectOf(certificate),
    notAfter: new Date(certificate.validTo).toISOString(),
    daysLeft: daysLeft(certificate, now),
  })
  const authorities = attempt(() => trustedAuthorities(cluster)) ?? []
  return [
    ...authorities.map((certificate) => report(authorityFiles(cluster).certificate, certificate)),
    ...leaves(cluster).flatMap(({ certificate: path }) => {
      const certificate = attempt(() => certificateAt(path))
      return certificate ? [report(path, certificate)] : []
    }),
  ]
}

/** Whole days until a certificate ends; negative once it has. */
export const daysLeft = (certificate: X509Certificate, now = today()): number =>
  Math.floor((Date.parse(certificate.validTo) - now.getTime()) / day)

const subjectOf = (certificate: X509Certificate): string => certificate.subject.split('\n').join(', ')

/** As 2027-11-27. */
export const isoDay = (date: string | Date): string => new Date(date).toISOString().slice(0, 10)

export function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
