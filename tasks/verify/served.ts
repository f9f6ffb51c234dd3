// Judges the certificates that a member really serves, as its clients and peers see them.
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { readFileIfThere } from '../core/files.ts'
import { daysLeft, isSignedBy } from '../etcd/certificates.ts'

/** What keeps a client that checks from connecting; undefined when nothing does. */
export function whyUntrusted(host: Host, served: X509Certificate, trusted: X509Certificate[]): string | undefined {
  if (!signer(served, trusted)) return `its certificate is of another authority (${oneLine(served.issuer)})`
  const [begins, ends] = [new Date(served.validFrom), new Date(served.validTo)]
  if (ends.getTime() < Date.now()) return `its certificate expired on ${isoDay(ends)}`
  if (begins.getTime() > Date.now())
    return `its certificate is not valid before ${isoDay(begins)}: a clock is wrong, there or here`
  if (!served.checkIP(host.address)) return `its certificate does not name its address ${host.address}`
  return undefined
}

/** What does not keep anybody out yet, but will, or shows that the host has other files than we do. */
export function whyStale(
  cluster: Cluster,
  served: X509Certificate,
  trusted: X509Certificate[],
  file: string,
): string | undefined {
  const left = daysLeft(served)
  const endsWithAuthority = Date.parse(served.validTo) >= Date.parse(signer(served, trusted)?.validTo ?? '')
  if (left < cluster.pki.renewBeforeDays && !endsWithAuthority)
    return `its certificate expires in ${left} ${left === 1 ? 'day' : 'days'}, on ${isoDay(new Date(served.validTo))}`
  const here = certificateAt(join(cluster.paths.certs, file))
  return here && here.fingerprint256 !== served.fingerprint256
    ? `it serves another certificate than ${file} here`
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
