// Judges the certificates that a member really serves, as its clients and peers see them.
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { readFileIfThere } from '../core/files.ts'
import { clock } from '../core/run.ts'
import { daysLeft, isSignedBy } from '../etcd/certificates.ts'
import type { Finding } from '../etcd/findings.ts'

/** What a port showed. */
export interface Served {
  host: Host
  port: number
  certificate: X509Certificate
}

/** What keeps a client that checks from connecting; undefined when nothing does. */
export function whyUntrusted(
  { host: { name: host, address }, port, certificate }: Served,
  trusted: X509Certificate[],
): Finding | undefined {
  if (!signer(certificate, trusted)) return { code: 'other-authority', host, port, is: oneLine(certificate.issuer) }
  const [begins, ends] = [new Date(certificate.validFrom), new Date(certificate.validTo)]
  if (ends.getTime() < clock()) return { code: 'certificate-expired', host, port, is: isoDay(ends) }
  if (begins.getTime() > clock()) return { code: 'certificate-early', host, port, is: isoDay(begins) }
  if (!certificate.checkIP(address)) return { code: 'certificate-of-other-address', host, port, due: address }
  return undefined
}

/** What does not keep anybody out yet, but will, or shows that the host has other files than we do. */
export function whyStale(
  cluster: Cluster,
  { host: { name: host }, port, certificate }: Served,
  trusted: X509Certificate[],
  file: string,
): Finding | undefined {
  const days = daysLeft(certificate)
  const endsWithAuthority = Date.parse(certificate.validTo) >= Date.parse(signer(certificate, trusted)?.validTo ?? '')
  if (days < cluster.pki.renewBeforeDays && !endsWithAuthority)
    return { code: 'certificate-near-end', host, port, days, is: isoDay(new Date(certificate.validTo)) }
  const here = certificateAt(join(cluster.paths.certs, file))
  return here && here.fingerprint256 !== certificate.fingerprint256
    ? { code: 'other-certificate', host, port, due: file }
    : undefined
}

const signer = (served: X509Certificate, trusted: X509Certificate[]): X509Certificate | undefined =>
  trusted.find((authority) => isSignedBy(served, authority))

function certificateAt(path: string): X509Certificate | undefined {
  const text = readFileIfThere(path)
  try {
    return text === undefined ? undefined : new X509Certificate(text)
  } catch {
    return undefined
  }
}

const isoDay = (date: Date): string => date.toISOString().slice(0, 10)
const oneLine = (name: string): string => name.split('\n').join(', ')
