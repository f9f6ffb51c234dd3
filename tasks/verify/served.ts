// Judges a certificate that a member really serves by what lies here.
import type { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { certificateAt, daysLeft, isSignedBy } from '../etcd/certificates.ts'
import type { Finding } from '../etcd/findings.ts'

/** What does not keep anybody out yet, but will, or shows that the host has other files than we do. */
export function whyStale(
  cluster: Cluster,
  { name: host }: Host,
  port: number,
  certificate: X509Certificate,
  trusted: X509Certificate[],
  file: string,
): Finding | undefined {
  const signer = trusted.find((authority) => isSignedBy(certificate, authority))
  const days = daysLeft(certificate)
  const endsWithAuthority = Date.parse(certificate.validTo) >= Date.parse(signer?.validTo ?? '')
  if (days < cluster.pki.renewBeforeDays && !endsWithAuthority)
    return {
      code: 'certificate-near-end',
      host,
      port,
      days,
      is: new Date(certificate.validTo).toISOString().slice(0, 10),
    }
  const here = certificateAt(join(cluster.paths.certs, file))
  return here && here.fingerprint256 !== certificate.fingerprint256
    ? { code: 'other-certificate', host, port, due: file }
    : undefined
}
