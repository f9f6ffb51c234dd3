// The cluster's certificate authority: loaded, or made once. It is never overwritten, for every host trusts it.
import type { X509Certificate } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import { relative } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { caPassphrase } from '../core/environment.ts'
import { readFileIfThere, writeFilesAtomic } from '../core/files.ts'
import { type Authority, keyToPem, makeAuthority, makeKeyPair } from '../core/x509.ts'
import { authorityWarning } from '../etcd/authority-change.ts'
import { isEncrypted, readAuthority } from '../etcd/authority-key.ts'
import { authorityCertificate, authorityFiles, authoritySubject, leaves } from '../etcd/certificates.ts'
import { refusal } from '../etcd/findings.ts'

export interface AuthorityState {
  certificate: X509Certificate
  /** With its key, where it was made just now. */
  created?: Authority
  /** One sentence when its end is near, or it is being changed for another. */
  warning: string | undefined
}

/**
 * The cluster's authority, made when there is neither an authority nor any certificate of one. An encrypted key
 * stays closed here; a missing one is no fault until something must be issued (readAuthority says so then).
 * @throws OperationError when half of it is missing, when it is not this cluster's, not valid, or damaged
 */
export async function ensureAuthority(cluster: Cluster): Promise<AuthorityState> {
  finishCreation(cluster)
  const found = authorityCertificate(cluster)
  if (!found) {
    const created = await createAuthority(cluster)
    return { certificate: created.certificate, created, warning: undefined }
  }
  const pem = readFileIfThere(authorityFiles(cluster).key)
  if (pem !== undefined && !isEncrypted(pem)) readAuthority(cluster)
  return { certificate: found, warning: authorityWarning(cluster) }
}

/** As the configuration wants it; in memory only. */
export const newAuthority = async (cluster: Cluster): Promise<Authority> =>
  makeAuthority(await makeKeyPair(cluster.pki.keyAlgorithm), authoritySubject(cluster), cluster.pki.caDays)

async function createAuthority(cluster: Cluster): Promise<Authority> {
  const { certificate: path, key: keyPath } = authorityFiles(cluster)
  const no = (reason: string): Error => refusal(cluster, { code: 'no-authority', reason })
  if (existsSync(keyPath)) throw no(`The authority's key ${keyPath} is there, but its certificate ca.crt is missing`)
  const left = leaves(cluster)
    .flatMap(({ certificate, key }) => [certificate, key])
    .find(existsSync)
  if (left)
    throw no(
      `The authority ${path} is missing, but certificates it signed are there ` +
        `(${relative(cluster.paths.certs, left)}): a new authority would part the cluster from its hosts`,
    )
  if (cluster.formed)
    throw no(
      `The authority of ${cluster.name} is missing: there is no ${path}. Its hosts trust that one, and ` +
        'would refuse a new one. Nothing was changed',
    )
  const authority = await newAuthority(cluster)
  await writeFilesAtomic([
    { path: pendingKey(cluster), content: keyToPem(authority.key, caPassphrase()), mode: 0o600 },
    { path, content: authority.certificate.toString(), mode: 0o644 },
  ])
  renameSync(pendingKey(cluster), keyPath)
  return authority
}

/** After a kill its key may have this name yet: with ca.crt beside it the last step is made up for. */
function finishCreation(cluster: Cluster): void {
  const { certificate, key } = authorityFiles(cluster)
  if (existsSync(certificate) && !existsSync(key) && existsSync(pendingKey(cluster)))
    renameSync(pendingKey(cluster), key)
}

const pendingKey = (cluster: Cluster): string => `${authorityFiles(cluster).key}.new`
