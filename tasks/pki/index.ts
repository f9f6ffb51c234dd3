// Phase pki: the authority and the leaves below certs/<cluster>/, each issued only where its content asks for it.
import { X509Certificate } from 'node:crypto'
import { chmodSync, readdirSync, statSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { type NewFile, readFileIfThere, writeFilesAtomic } from '../core/files.ts'
import type { Task } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { counted } from '../core/terminal.ts'
import { issuePair } from '../core/x509.ts'
import { readAuthority } from '../etcd/authority-key.ts'
import {
  attempt,
  authorityCertificate,
  authorityKeys,
  daysLeft,
  type Leaf,
  leaves,
  pairOf,
  reasonToIssue,
} from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { type AuthorityState, ensureAuthority } from './authority.ts'

export {
  forgetNext,
  forgetOld,
  issueFromNext,
  issueFromOld,
  leaveAtOnce,
  trustIssuerOnly,
  trustNext,
} from './change.ts'

/** A certificate that was issued: its path below certs/<cluster>/, and why. */
export interface Issued {
  path: string
  reason: string
}

export interface Outcome {
  authority: AuthorityState
  issued: Issued[]
  /** What group and others could read: paths below certs/<cluster>/, or the cluster's name for that folder itself. */
  closed: string[]
}

export function tasks(cluster: Cluster): Task[] {
  let authority: AuthorityState
  return [
    {
      title: 'Check the certificate authority',
      rendererOptions: { persistentOutput: true },
      task: async (_, task) => {
        authority = await checkAuthority(cluster)
        if (authority.created) task.title = 'Make the certificate authority'
        if (!authority.warning) return
        run().warnings.push(authority.warning)
        task.output = authority.warning
      },
    },
    {
      title: 'Check the certificates',
      rendererOptions: { persistentOutput: true },
      task: async (_, task) => {
        const outcome = await ensureLeaves(cluster, authority)
        run().report.issued = outcome.issued
        run().changes.push(
          ...outcome.issued.map(({ path }) => `issued ${path}`),
          ...outcome.closed.map((path) => `closed ${path} to other users`),
        )
        task.title = summary(cluster, outcome)
        const lines = [
          ...outcome.closed.map((path) => `Close ${path} to other users`),
          ...(authority.created ? [] : outcome.issued).map(({ path, reason }) => `Issue ${path} (${reason})`),
        ]
        if (lines.length > 0) task.output = lines.join('\n')
      },
    },
  ]
}

/** What the phase would do, a line each; does it in the cluster's certs folder, which must be a copy. */
export async function plan(copy: Cluster): Promise<string[]> {
  const { authority, issued, closed } = await ensureCertificates(copy)
  return [
    ...(authority.created ? ['make the certificate authority'] : []),
    ...closed.map((path) => `close ${path} to other users`),
    ...issued.map(({ path, reason }) => `issue ${path} (${reason})`),
  ]
}

/**
 * Leaves the cluster with an authority and valid certificates, and touches nothing that is good already.
 * May be killed at any moment and run again.
 * @throws OperationError for an authority that cannot be used, UsageError for a SAN that cannot be
 */
export async function ensureCertificates(cluster: Cluster): Promise<Outcome> {
  return ensureLeaves(cluster, await checkAuthority(cluster))
}

/** Something else in the folder's place is named first. By a wrong clock a good authority seems expired. */
async function checkAuthority(cluster: Cluster): Promise<AuthorityState> {
  if (mode(cluster.paths.certs) !== undefined) readdirSync(cluster.paths.certs)
  if (!attempt(() => authorityCertificate(cluster))) await requireRightClock(cluster)
  return ensureAuthority(cluster)
}

/** Which leaves are to be issued; `due`: whether one asks for that by its content. */
type Asked = (leaf: Leaf, due: boolean) => boolean
const whatIsDue: Asked = (_, due) => due

/** Issues again the leaves that are asked for, and no other. @throws OperationError as ensureCertificates */
export const renewLeaves = async (cluster: Cluster, asked: Asked): Promise<Issued[]> =>
  (await ensureLeaves(cluster, await checkAuthority(cluster), asked)).issued

const toIssue = (cluster: Cluster, authority: X509Certificate, asked: Asked): { leaf: Leaf; reason: string }[] =>
  leaves(cluster).flatMap((leaf) => {
    const reason = reasonToIssue(leaf, authority, cluster.pki)
    return asked(leaf, reason !== undefined) ? [{ leaf, reason: reason ?? 'asked for' }] : []
  })

/** For a verb to ask before it changes anything. @throws OperationError where the authority's key cannot be had */
export function requireKey(cluster: Cluster, asked = whatIsDue): void {
  const authority = attempt(() => authorityCertificate(cluster))
  if (authority && toIssue(cluster, authority, asked).length > 0) readAuthority(cluster)
}

async function ensureLeaves(cluster: Cluster, state: AuthorityState, asked = whatIsDue): Promise<Outcome> {
  const wanted = toIssue(cluster, state.certificate, asked)
  if (wanted.length > 0) {
    if (!state.created) await requireRightClock(cluster) // else it was compared for the authority
    const authority = state.created ?? readAuthority(cluster)
    const { keyAlgorithm, leafDays } = cluster.pki
    const issue = async (leaf: Leaf): Promise<NewFile[]> =>
      pairOf(leaf.certificate, ...(await issuePair(authority, keyAlgorithm, { ...leaf, ends: leafDays })))
    const pairs = await Promise.all(wanted.map(({ leaf }) => issue(leaf)))
    run().throwIfStopped()
    await writeFilesAtomic(pairs.flat())
  }
  return {
    authority: state,
    issued: wanted.map(({ leaf, reason }) => ({ path: leaf.title, reason })),
    closed: closeToOthers(cluster),
  }
}

/** A copy put back has often lost its modes. Keys stay in use: who thinks that one was read removes it. */
function closeToOthers(cluster: Cluster): string[] {
  const keys = [...authorityKeys(cluster), ...leaves(cluster).map(({ key }) => key)]
  const paths = [...new Set([...keys.map(dirname), ...keys])]
  const open = paths.filter((path) => (mode(path) ?? 0) & 0o077)
  for (const path of open) chmodSync(path, (mode(path) ?? 0) & 0o700)
  return open.map((path) => relative(cluster.paths.certs, path) || cluster.name)
}

const mode = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.mode

function summary(cluster: Cluster, { issued, authority }: Outcome): string {
  const all = leaves(cluster)
  if (issued.length > 0)
    return `Issue ${counted(issued.length, 'certificate')}${authority.created ? ': there was none yet' : ''}`
  const left = Math.min(
    ...all.map(({ certificate }) => daysLeft(new X509Certificate(readFileIfThere(certificate) ?? ''))),
  )
  return `All ${all.length} certificates are valid, the next expires in ${counted(left, 'day')}`
}
