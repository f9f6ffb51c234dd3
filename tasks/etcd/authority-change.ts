// How far a change of the authority (verb rotate-ca) has come: the files under certs/<cluster>/ say it. Reads, never
// writes.
import type { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import type { Authority } from '../core/x509.ts'
import { readKey } from './authority-key.ts'
import {
  authorityCertificate,
  authorityKeys,
  changeFiles,
  daysLeft,
  hasExpired,
  isOurAuthority,
  issuingAuthority,
  oldAuthority,
  trustedAuthorities,
} from './certificates.ts'
import { inWords } from './findings.ts'

/**
 * made: the next authority's key lies here, and nobody trusts it. trusted: ca.crt has both, and the old one issues.
 * issuing: ca.crt has both, and the new one issues. leaving: ca.crt has the new one only.
 */
export type ChangeStage = 'made' | 'trusted' | 'issuing' | 'leaving'

/** Undefined: no change is under way. */
export function changeStage(cluster: Cluster): ChangeStage | undefined {
  const old = oldAuthority(cluster)
  if (old)
    return trustedAuthorities(cluster).some(({ fingerprint256 }) => fingerprint256 === old.fingerprint256)
      ? 'issuing'
      : 'leaving'
  if (!existsSync(changeFiles(cluster).nextKey)) return undefined
  return nextAuthority(cluster) ? 'trusted' : 'made'
}

/**
 * The one in ca.crt that is of this cluster, and neither the old one nor, before that has a name of its own, the one
 * that issues.
 */
function nextAuthority(cluster: Cluster): X509Certificate | undefined {
  const old = oldAuthority(cluster) ?? issuingAuthority(cluster)
  return trustedAuthorities(cluster).find(
    (certificate) => certificate.fingerprint256 !== old?.fingerprint256 && isOurAuthority(cluster, certificate),
  )
}

/**
 * The authority of the two that does not issue, with its key.
 * @throws OperationError when there is none, or its key cannot be had
 */
export function readOther(cluster: Cluster): Authority {
  const [key, nextKey] = authorityKeys(cluster)
  const old = oldAuthority(cluster)
  const certificate = old ?? nextAuthority(cluster)
  if (!certificate) throw new OperationError(`Cluster ${cluster.name} has no second authority.`)
  return { certificate, key: readKey(cluster, old ? key : nextKey, certificate) }
}

/**
 * A sentence or two, with the command that helps, while a change is under way, once the authority's end is near, or
 * where it cannot be used.
 */
export function authorityWarning(cluster: Cluster): string | undefined {
  try {
    return warning(cluster)
  } catch (error) {
    if (!(error instanceof OperationError)) throw error
    return `${error.message} ${error.more.hint ?? ''}`.trim()
  }
}

function warning(cluster: Cluster): string | undefined {
  const { name } = cluster
  const stage = changeStage(cluster)
  const [oldKey] = authorityKeys(cluster)
  const isOut = stage === 'leaving' || hasExpired(oldAuthority(cluster)) || (stage === 'issuing' && !existsSync(oldKey))
  if (stage) return inWords(cluster, { code: isOut ? 'authority-leaving' : 'authority-changing', name })
  const authority = authorityCertificate(cluster)
  const days = authority ? daysLeft(authority) : Number.POSITIVE_INFINITY
  return days < cluster.pki.renewBeforeDays ? inWords(cluster, { code: 'authority-near-end', name, days }) : undefined
}
