// A change of the authority: its three kinds of steps, each with the proof that every member does as it must.
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { clock, sleep } from '../core/run.ts'
import type { Authority } from '../core/x509.ts'
import { readOther } from '../etcd/authority-change.ts'
import { authorityCertificate, leaves, reasonToIssue } from '../etcd/certificates.ts'
import { clientOf, knock } from '../etcd/probe.ts'
import * as pki from '../pki/index.ts'
import type { Marks } from './authority-rules.ts'
import { aroundRotateCa } from './clients.ts'
import { isInstalled, servedCertificates } from './served.ts'

/** One step: it writes files below certs/, the role brings them to the hosts, and a proof ends it. */
export interface ChangeStep extends Marks {
  title: string
  /** May be done twice, and on copies. @returns the certificates that it issued */
  write: (cluster: Cluster) => Promise<string[]>
  /** Whether etcd must start again to know: then the role restarts one member at a time. */
  restarts: boolean
  proof: string
  /** Why the proof cannot be made; false where it can. */
  unproven?: () => string | false
  /** What is not as it must be once the step is done, as a clause; asks the members. */
  missing: (cluster: Cluster) => Promise<string | undefined>
  /** What a person may do between this step and the next; nothing after the last one. */
  between?: (cluster: Cluster) => string
}

/** A new authority, and a client of it that every member must let in. */
export function trustBoth(title: string, marks: Marks): ChangeStep {
  return {
    title,
    ...marks,
    write: async (cluster) => {
      await pki.trustNext(cluster)
      return []
    },
    restarts: true,
    proof: 'every member lets a client of the new authority in',
    missing: async (cluster) => {
      const admitting = await whoAdmits(cluster, readOther(cluster))
      const others = cluster.hosts.map(({ name }) => name).filter((name) => !admitting.includes(name))
      return others.length > 0 ? `${others.join(', ')} refuses a client of the new authority` : undefined
    },
    between: aroundRotateCa.trust,
  }
}

/** Both are trusted everywhere, so nobody is refused meanwhile. etcd reads its leaves at every handshake. */
export function issueAll(title: string, start: (cluster: Cluster) => void, marks: Marks): ChangeStep {
  return {
    title,
    ...marks,
    write: async (cluster) => {
      start(cluster)
      return (await pki.renewLeaves(cluster, (_, due) => due)).map(({ path }) => path)
    },
    restarts: false,
    proof: 'new connections to both ports of every member show the new serial numbers',
    missing: async (cluster) => {
      const due = dueLeaves(cluster)
      return due.length > 0 ? `${due.join(', ')} must be issued` : servedProof(cluster)
    },
    between: aroundRotateCa.identify,
  }
}

/** Which ports do not serve the certificate that lies here, as a clause. */
export async function servedProof(cluster: Cluster): Promise<string | undefined> {
  const other = (await servedCertificates(cluster))
    .filter((one) => !isInstalled(one))
    .map(({ host, port }) => `${host.name} (${port} port)`)
  const wrong = 'another certificate than the one here is served by, or our client is refused by'
  return other.length > 0 ? `${wrong} ${other.join(', ')}` : undefined
}

/** A client of the authority that was left must be refused; where its key is not to be had there is none to try. */
export function trustOne(title: string, marks: Marks, which: string): ChangeStep {
  let left: Authority | string = 'it was left before this run'
  return {
    title,
    ...marks,
    write: async (cluster) => {
      if (typeof left === 'string') left = theOther(cluster)
      pki.trustIssuerOnly(cluster)
      return []
    },
    restarts: true,
    proof: `every member refuses a client of the ${which} authority`,
    unproven: () => typeof left === 'string' && left,
    missing: async (cluster) => {
      const admitting = typeof left === 'string' ? [] : await whoAdmits(cluster, left)
      return admitting.length > 0
        ? `${admitting.join(', ')} still lets a client of the ${which} authority in`
        : undefined
    },
  }
}

/** The leaves that the authority that issues has not signed, or that are due for another reason. */
function dueLeaves(cluster: Cluster): string[] {
  const authority = authorityCertificate(cluster)
  return leaves(cluster).flatMap((leaf) =>
    authority && reasonToIssue(leaf, authority, cluster.pki) ? [leaf.title] : [],
  )
}

async function whoAdmits(cluster: Cluster, authority: Authority): Promise<string[]> {
  const as = await clientOf(authority, cluster.name, 1)
  const admits = async (host: Host): Promise<string[]> =>
    (await knock(cluster, host, { as })).kind === 'answered' ? [host.name] : []
  return (await Promise.all(cluster.hosts.map(admits))).flat()
}

/** The authority that is to be left, or why no client of it can be made. */
function theOther(cluster: Cluster): Authority | string {
  try {
    return readOther(cluster)
  } catch (error) {
    if (error instanceof OperationError) return error.message
    throw error
  }
}

const proofMs = 10_000

/** Looks for what is missing until nothing is. @throws OperationError saying it, after ten seconds */
export async function prove(cluster: Cluster, missing: () => Promise<string | undefined>): Promise<void> {
  for (const deadline = clock() + proofMs; ; await sleep(200)) {
    const words = await missing()
    if (words === undefined) return
    if (clock() > deadline)
      throw new OperationError(`${words}.`, {
        hint: `Run the same command again; if that does not help: ${command(cluster, 'verify')}`,
      })
  }
}
