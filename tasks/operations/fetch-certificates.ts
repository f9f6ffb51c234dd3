// Taking back what is lost of certs/<cluster>/ from the hosts: they have all but the authority's key.
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { makeFolder, type NewFile, readFileIfThere, writeFilesAtomic } from '../core/files.ts'
import type { Task } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { listed } from '../core/terminal.ts'
import { requireEtcd } from '../etcd/binaries.ts'
import { attempt, authorityFiles, leaves } from '../etcd/certificates.ts'
import { refusal } from '../etcd/findings.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import * as etcdRole from '../etcd-role/index.ts'

/** The step that comes before phase pki with --from-hosts. */
export const fetchTasks = (cluster: Cluster): Task[] => [
  {
    title: 'Take back from the hosts what is lost here',
    rendererOptions: { persistentOutput: true },
    task: async (_, task) => {
      const taken = await fetchCertificates(cluster)
      recordCluster(cluster)
      run().report.takenBack = taken
      task.output = taken.map((path) => `Take ${path} back`).join('\n') || 'Nothing is lost here'
    },
  },
]

/**
 * Takes certificates, each with its key, from the hosts; what lies here and is readable stays as it is. Where no host
 * has an authority's certificate, nothing trusts the lost one: from then on a new one may be made.
 * @returns what was taken: paths below certs/<cluster>/
 * @throws OperationError where no host can be reached; and, with what the hosts have taken, where only a host that
 * cannot be reached has what is missing, or no host and no key is left to issue it
 */
export async function fetchCertificates(cluster: Cluster): Promise<string[]> {
  if (lostOf(cluster).length === 0) return []
  const folder = join(cluster.paths.state, 'fetched')
  try {
    return await takeFrom(folder, cluster, await fetchInto(cluster, folder))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Hosts that could not be reached, and why. */
interface Silent {
  hosts: string[]
  why: OperationError
}

/** `folder`: what the hosts have, a folder for each that was reached. @returns and @throws as fetchCertificates */
export async function takeFrom(folder: string, cluster: Cluster, silent?: Silent): Promise<string[]> {
  const found = lostOf(cluster).flatMap((paths) => find(cluster, folder, paths))
  await writeFilesAtomic(found)
  const taken = found.map(({ path }) => relative(cluster.paths.certs, path))
  refuseIncomplete(cluster, lostOf(cluster), taken, silent)
  if (isLost([authorityFiles(cluster).certificate])) cluster.formed = undefined
  return taken
}

/** The authority's certificate, and each leaf of a host or of ours with its key, that is not here. */
function lostOf(cluster: Cluster): string[][] {
  const onHosts = leaves(cluster).filter(({ consumer }) => consumer === undefined)
  const all = [[authorityFiles(cluster).certificate], ...onHosts.map(({ certificate, key }) => [certificate, key])]
  return all.filter(isLost)
}

/** Leaves that are missing are issued where the authority's key is here. */
function refuseIncomplete(cluster: Cluster, lost: string[][], taken: string[], silent?: Silent): void {
  const { certificate: ca, key } = authorityFiles(cluster)
  if (!isLost([ca]) && existsSync(key)) return
  const { hosts = [], why } = silent ?? {}
  const reached = cluster.hosts.map(({ name }) => name).filter((name) => !hosts.includes(name))
  const inNames = (files: string[][]): string => listed(files.map(([path = '']) => relative(cluster.paths.certs, path)))
  const theirs = lost.filter(([path = '']) => !reached.includes(ownerOf(path)))
  if (why && theirs.length > 0)
    throw new OperationError(
      `${inNames(theirs)} can only be on ${listed(hosts)}, which cannot be reached.` +
        `${taken.length > 0 ? ' What the others have was taken back.' : ''}`,
      { output: why.message, hint: `Bring ${listed(hosts)} back, then run the same command again.` },
    )
  if (isLost([ca]) || lost.length === 0) return
  const reason = `is missing, and no host has ${inNames(lost)}, which only it could issue`
  throw refusal(cluster, { code: 'no-authority-key', at: key, reason }, 'What the hosts have was taken back. But ')
}

const isLost = (paths: string[]): boolean =>
  !paths.every(existsSync) || !attempt(() => new X509Certificate(readFileSync(paths[0] ?? '')))

/** Keys are among them: only we may enter. @returns the hosts that cannot be reached, where others can */
async function fetchInto(cluster: Cluster, folder: string): Promise<Silent | undefined> {
  rmSync(folder, { recursive: true, force: true }) // what a killed run left
  makeFolder(folder)
  etcdRole.writeInventory(cluster, await requireEtcd(cluster))
  let silent: Silent | undefined
  await runPlaybook(cluster, {
    playbook: 'fetch-certificates',
    variables: { etcd_fetch_directory: folder },
    onUnreachable: (hosts, why) => void (silent = { hosts, why }),
  })
  return silent
}

/** The host that alone has a certificate; else no host's name: all share it. */
const ownerOf = (path: string): string => basename(dirname(path))

/** A certificate and its key from the first host that has both whole: its own host's, or for what all share any. */
function find(cluster: Cluster, folder: string, paths: string[]): NewFile[] {
  const owner = ownerOf(paths[0] ?? '')
  const hosts = cluster.hosts.map(({ name }) => name)
  for (const host of hosts.includes(owner) ? [owner] : hosts) {
    const there = paths.map((path) => join(folder, host, basename(path)))
    if (isLost(there)) continue
    return paths.map((path, index) => ({
      path,
      content: readFileIfThere(there[index] ?? '') ?? '',
      mode: path.endsWith('.key') ? 0o600 : 0o644,
    }))
  }
  return []
}
