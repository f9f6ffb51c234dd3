// Phase pki: the authority and the leaves below certs/<cluster>/, each issued only where its content asks for it.
import { X509Certificate } from 'node:crypto'
import { chmodSync, readdirSync, statSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { type NewFile, readFileIfThere, writeFilesAtomic } from '../core/files.ts'
import type { Task } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { type Authority, issueLeaf, keyToPem, makeKeyPair } from '../core/x509.ts'
import { readAuthority } from '../etcd/authority-key.ts'
import {
  attempt,
  authorityCertificate,
  authorityKeys,
  daysLeft,
  type Leaf,
  leaves,
  reasonToIssue,
} from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { type AuthorityState, ensureAuthority } from './authority.ts'

export { forgetNext, forgetOld, issueFromNext, issueFromOld, trustIssuerOnly, trustNext } from './change.ts'

/** A certificate that was issued: its path below certs/<cluster>/, and why. */
export interface Issued {
  path: string
  reason: string
}

/** What a run of this phase did. */
export interface Outcome {
  authority: AuthorityState
  issued: Issued[]
  /**
   * Files and folders whose rights were taken back from group and others: paths below certs/<cluster>/, or the
   * cluster's name for that folder itself.
   */
  closed: string[]
}

/** The steps of the phase, for a pipeline. */
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

/**
 * The folder is read first, so that something else in its place is named itself. By a wrong clock a good authority
 * seems expired.
 */
async function checkAuthority(cluster: Cluster): Promise<AuthorityState> {
  if (mode(cluster.paths.certs) !== undefined) readdirSync(cluster.paths.certs)
  if (!attempt(() => authorityCertificate(cluster))) await requireRightClock(cluster)
  return ensureAuthority(cluster)
}

/**
 * Issues again the leaves that are asked for, and no other; a reason of content is shown where there is one.
 * @throws OperationError as ensureCertificates
 */
export async function renewLeaves(cluster: Cluster, asked: (leaf: Leaf, due: boolean) => boolean): Promise<Issued[]> {
  const outcome = await ensureLeaves(cluster, await checkAuthority(cluster), (leaf, reason) =>
    asked(leaf, reason !== undefined) ? (reason ?? 'asked for') : undefined,
  )
  return outcome.issued
}

/** Which leaves are to be issued, and why: of content, where nothing else is asked for. */
type Choose = (leaf: Leaf, reason: string | undefined) => string | undefined
const whatIsDue: Choose = (_, reason) => reason

const toIssue = (cluster: Cluster, authority: X509Certificate, choose: Choose): { leaf: Leaf; reason: string }[] =>
  leaves(cluster).flatMap((leaf) => {
    const reason = choose(leaf, reasonToIssue(leaf, authority, cluster.pki))
    return reason ? [{ leaf, reason }] : []
  })

/**
 * What is to be issued can be: for a verb to ask before it changes anything.
 * @throws OperationError where the authority's key is missing, or cannot be opened
 */
export function requireKey(cluster: Cluster, asked = (_: Leaf, due: boolean): boolean => due): void {
  const authority = attempt(() => authorityCertificate(cluster))
  const choose: Choose = (leaf, reason) => (asked(leaf, reason !== undefined) ? 'asked for' : undefined)
  if (authority && toIssue(cluster, authority, choose).length > 0) readAuthority(cluster)
}

async function ensureLeaves(cluster: Cluster, state: AuthorityState, choose = whatIsDue): Promise<Outcome> {
  const wanted = toIssue(cluster, state.certificate, choose)
  if (wanted.length > 0) {
    if (!state.created) await requireRightClock(cluster) // else it was compared for the authority
    const authority = readAuthority(cluster)
    const pairs = await Promise.all(wanted.map(({ leaf }) => issue(leaf, authority, cluster.pki)))
    run().throwIfStopped()
    await writeFilesAtomic(pairs.flat())
  }
  return {
    authority: state,
    issued: wanted.map(({ leaf, reason }) => ({ path: leaf.title, reason })),
    closed: closeToOthers(cluster),
  }
}

/**
 * A new pair, its key first: a kill between the two leaves a pair that does not match, and the next run issues it
 * again.
 */
async function issue(leaf: Leaf, authority: Authority, { keyAlgorithm, leafDays }: Cluster['pki']): Promise<NewFile[]> {
  const keys = await makeKeyPair(keyAlgorithm)
  const certificate = await issueLeaf(authority, keys.publicKey, { ...leaf, ends: leafDays })
  return [
    { path: leaf.key, content: keyToPem(keys.privateKey), mode: 0o600 },
    { path: leaf.certificate, content: certificate.toString(), mode: 0o644 },
  ]
}

/**
 * Takes group's and others' rights to keys and folders away again: a copy put back has often lost its modes.
 * The keys stay in use. A person who thinks that one was read removes it, and gets a new one.
 */
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
    return `Issue ${count(issued.length, 'certificate')}${authority.created ? ': there was none yet' : ''}`
  const left = Math.min(
    ...all.map(({ certificate }) => daysLeft(new X509Certificate(readFileIfThere(certificate) ?? ''))),
  )
  return `All ${all.length} certificates are valid, the next expires in ${count(left, 'day')}`
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`
