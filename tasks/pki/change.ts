// The authority changed for another, one file at a time: each function may be killed at any moment and called again.
import type { X509Certificate } from 'node:crypto'
import { existsSync, renameSync, rmSync } from 'node:fs'
import type { Cluster } from '../core/cluster.ts'
import { caPassphrase } from '../core/environment.ts'
import { type NewFile, writeFileAtomic, writeFilesAtomic } from '../core/files.ts'
import { keyToPem } from '../core/x509.ts'
import { changeStage } from '../etcd/authority-change.ts'
import { changeFiles, withNext } from '../etcd/authority-stages.ts'
import {
  authorityFiles,
  authorityKeys,
  isOurAuthority,
  issuingAuthority,
  trustedAuthorities,
} from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { newAuthority } from './authority.ts'

/** Makes the next authority, trusted beside the one that issues. Its key comes first: alone it counts for nothing. */
export async function trustNext(cluster: Cluster): Promise<void> {
  if (!['made', undefined].includes(changeStage(cluster))) return
  await requireRightClock(cluster)
  await writeFilesAtomic(await nextBeside(cluster))
}

/** The authority has expired, or its key is lost: the next one issues at once, trusted beside it. */
export async function leaveAtOnce(cluster: Cluster): Promise<void> {
  await requireRightClock(cluster)
  const old = { path: changeFiles(cluster).oldCertificate, content: bundle(issuer(cluster)), mode: 0o644 }
  await writeFilesAtomic([...(await nextBeside(cluster)), old])
}

async function nextBeside(cluster: Cluster): Promise<NewFile[]> {
  const next = await newAuthority(cluster)
  const all = withNext(trustedAuthorities(cluster), issuer(cluster), next.certificate, nameOf)
  return [
    { path: changeFiles(cluster).nextKey, content: keyToPem(next.key, caPassphrase()), mode: 0o600 },
    {
      path: authorityFiles(cluster).certificate,
      content: bundle(all),
      mode: 0o644,
    },
  ]
}

export function issueFromNext(cluster: Cluster): void {
  if (changeStage(cluster) === 'trusted')
    writeFileAtomic(changeFiles(cluster).oldCertificate, bundle(issuer(cluster)), 0o644)
}

export function issueFromOld(cluster: Cluster): void {
  if (changeStage(cluster) === 'issuing') rmSync(changeFiles(cluster).oldCertificate)
}

/** Of the cluster's own authorities only the one that issues is trusted from now on. */
export const trustIssuerOnly = (cluster: Cluster): void =>
  writeFileAtomic(authorityFiles(cluster).certificate, bundle([...issuer(cluster), ...strangers(cluster)]), 0o644)

/** The next authority is the authority: its key takes the place of the old one's, which is gone with that. */
export function forgetOld(cluster: Cluster): void {
  const [key, nextKey] = authorityKeys(cluster)
  if (existsSync(nextKey)) renameSync(nextKey, key)
  rmSync(changeFiles(cluster).oldCertificate, { force: true })
}

/** The change was taken back: the key of the authority that did not come to be is removed. */
export const forgetNext = (cluster: Cluster): void => rmSync(changeFiles(cluster).nextKey, { force: true })

function issuer(cluster: Cluster): X509Certificate[] {
  const certificate = issuingAuthority(cluster)
  return certificate ? [certificate] : []
}

/** What a person put into ca.crt besides stays there. */
const strangers = (cluster: Cluster): X509Certificate[] =>
  trustedAuthorities(cluster).filter((certificate) => !isOurAuthority(cluster, certificate))

const nameOf = ({ fingerprint256 }: X509Certificate): string => fingerprint256

const bundle = (certificates: X509Certificate[]): string => certificates.map(String).join('')
