// The key of an authority: opened only where something must be issued. Reads, never writes.
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Cluster } from '../core/cluster.ts'
import { caPassphrase } from '../core/environment.ts'
import { readFileIfThere } from '../core/files.ts'
import { today } from '../core/run.ts'
import type { Authority } from '../core/x509.ts'
import { codeOfLostKey } from './authority-stages.ts'
import {
  attempt,
  authorityCertificate,
  authorityFiles,
  isSignedBy,
  type Leaf,
  leaves,
  oldOneOf,
  outOfTime,
  papersOf,
  readLeaf,
  reasonToIssue,
  trustedAuthorities,
} from './certificates.ts'
import { type Finding, type KeyCode, refusal } from './findings.ts'

/**
 * The authority with its key, to issue with. An encrypted key is opened with the passphrase from the environment.
 * @throws OperationError when a file is missing or unreadable, the two do not match, or the passphrase is missing or
 * wrong
 */
export function readAuthority(cluster: Cluster): Authority {
  const files = authorityFiles(cluster)
  const certificate = authorityCertificate(cluster)
  if (!certificate)
    throw refusal(cluster, {
      code: 'no-authority',
      reason: `Cluster ${cluster.name} has no authority: ${files.certificate} is missing`,
    })
  return { certificate, key: readKey(cluster, files.key, certificate) }
}

/** An authority's key. @throws OperationError when it is missing, cannot be opened, or is another one's */
export function readKey(cluster: Cluster, path: string, certificate: X509Certificate): KeyObject {
  const key = keyIn(cluster, path, certificate)
  if ('code' in key) throw refusal(cluster, key)
  return key
}

/** Why certificates that must be issued cannot be; undefined where they can, or none must be. */
export function whyNotIssued(cluster: Cluster): Finding | undefined {
  const authority = attempt(() => authorityCertificate(cluster))
  if (!authority || !leaves(cluster).some((leaf) => reasonToIssue(leaf, authority, cluster.pki))) return undefined
  const key = attempt(() => keyIn(cluster, authorityFiles(cluster).key, authority))
  return key && 'code' in key ? key : undefined
}

/** The same, for whoever leaves an authority by itself: that its passphrase is not known here is no reason to. */
export function lostKey(cluster: Cluster): Finding | undefined {
  const found = whyNotIssued(cluster)
  return found?.code === 'authority-key-closed' ? undefined : found
}

function keyIn(cluster: Cluster, path: string, certificate: X509Certificate): KeyObject | Finding {
  const pem = readFileIfThere(path)
  const lost = (reason: string): Finding => ({
    ...{ code: codeOf(cluster, certificate), at: path, reason },
    what: missingHere(cluster),
  })
  if (pem === undefined) return lost('is missing: no certificate can be issued without it')
  const passphrase = caPassphrase()
  const key = attempt(() => createPrivateKey({ key: pem, ...(passphrase && { passphrase }) }))
  if (!key && isEncrypted(pem)) return closed(cluster, path, certificate)
  if (!key) return lost('is not a readable private key')
  return certificate.checkPrivateKey(key) ? key : lost(`is not the key of ${authorityFiles(cluster).certificate}`)
}

const closed = (cluster: Cluster, path: string, of: X509Certificate): Finding => ({
  code: 'authority-key-closed',
  reason: caPassphrase()
    ? `HA_ETCD_CA_PASSPHRASE does not open ${path}: the passphrase is wrong, or the file is damaged`
    : `${path} is encrypted, and HA_ETCD_CA_PASSPHRASE is not set`,
  lost: codeOf(cluster, of),
  what: missingHere(cluster),
})

/** True for a private key in PEM that only a passphrase opens. */
export const isEncrypted = (pem: string): boolean => /-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(pem)

/** A certificate that is missing here may be on the hosts. */
const missingHere = (cluster: Cluster): string | undefined =>
  leaves(cluster).find((leaf) => !existsSync(leaf.certificate) || !existsSync(leaf.key))?.title

function codeOf(cluster: Cluster, { fingerprint256 }: X509Certificate): KeyCode {
  const { papers, own } = papersOf(cluster)
  return codeOfLostKey(papers, fingerprint256, oldOneOf(cluster), own)
}

/**
 * Why no member lets in who shows the clients' certificate, as a clause; undefined where nothing here shows it. Where
 * its authority is not the one here, and that one has no key here either, it is the authority that is in doubt.
 */
export function whyKeptOut(cluster: Cluster, now = today()): string | undefined {
  const certificate = readLeaf(leaves(cluster).at(-1) as Leaf)
  if (typeof certificate === 'string') return certificate
  if (trustedAuthorities(cluster).some((authority) => isSignedBy(certificate, authority)))
    return outOfTime(certificate, now)
  return attempt(() => readAuthority(cluster)) && "not signed by the cluster's authority"
}
