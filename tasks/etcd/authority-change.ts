// How far a change of the authority (verb rotate-ca) has come: the files under certs/<cluster>/ say it. Reads, never
// writes.
import type { X509Certificate } from 'node:crypto'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import type { Authority } from '../core/x509.ts'
import { readKey } from './authority-key.ts'
import { adviceOn, type ChangeStage, nextOf, stageOf } from './authority-stages.ts'
import {
  authorityCertificate,
  authorityKeys,
  daysLeft,
  oldAuthority,
  oldOneOf,
  papersOf,
  trustedAuthorities,
} from './certificates.ts'
import { inWords } from './findings.ts'

/** Undefined: no change is under way. */
export function changeStage(cluster: Cluster): ChangeStage | undefined {
  const { papers, own } = papersOf(cluster)
  return stageOf(papers, own)
}

function nextAuthority(cluster: Cluster): X509Certificate | undefined {
  const { papers, own } = papersOf(cluster)
  const next = nextOf(papers, own)
  return trustedAuthorities(cluster).find(({ fingerprint256 }) => fingerprint256 === next)
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
  if (stage) return inWords(cluster, { code: adviceOn(stage, oldOneOf(cluster)), name })
  const authority = authorityCertificate(cluster)
  const days = authority ? daysLeft(authority) : Number.POSITIVE_INFINITY
  return days < cluster.pki.renewBeforeDays ? inWords(cluster, { code: 'authority-near-end', name, days }) : undefined
}
