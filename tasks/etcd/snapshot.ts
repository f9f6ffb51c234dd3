// Snapshots as files: whether one is whole, what is in it, and restoring one into a data directory.
import { createHash, type Hash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { unheard } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { ask } from '../core/shell.ts'
import { byMachine, type EtcdBinaries, requireEtcd, requireEtcdHere } from './binaries.ts'
import { type Integer, lastWords, parse } from './etcdctl-output.ts'
import { isDatabase } from './snapshot-version.ts'

/** What a snapshot holds. `hash` is etcd's own of the whole file's content, in hexadecimal; sizes in bytes. */
export interface SnapshotContent {
  revision: number
  hash: string
  sizeBytes: number
  /** SHA-256 of the file, in hexadecimal. */
  sha256: string
}

/** The member that a snapshot is restored as, and who it believes the members to be. */
export interface RestoredMember {
  name: string
  peerURL: string
  initialCluster: string
  token: string
  dataDirectory: string
}

const slowMs = 600_000
/** etcd appends the SHA-256 of the database to it; the database itself is whole pages, so 512 divides its size. */
const sumBytes = 32

/** Compares a file with the checksum that etcd appends to a snapshot, by no program of etcd; `damage`: what differs. */
export async function checkSnapshot(
  file: string,
): Promise<{ sizeBytes: number; sha256: string; damage: string | undefined }> {
  const sizeBytes = statSync(file).size
  const { sum, appended, sha256 } = await sums(file, sizeBytes - sumBytes)
  const different = sum === appended ? undefined : 'its content does not match its own checksum'
  return {
    sizeBytes,
    sha256,
    damage: sizeBytes % 512 === sumBytes ? different : 'it is truncated, or its checksum is missing',
  }
}

/** Whether it is a member's own database (member/snap/db): bbolt's whole pages, without a snapshot's checksum. */
export async function isBareDatabase(file: string): Promise<boolean> {
  return statSync(file).size % 512 === 0 && (await isDatabase(file))
}

/**
 * Reads a snapshot, which must be as etcd wrote it to the last bit. `bare`: a member's own database will do.
 * @throws OperationError when it is truncated, changed, or no snapshot
 */
export async function readSnapshot(cluster: Cluster, file: string, bare = false): Promise<SnapshotContent> {
  const damaged = (why: string): OperationError =>
    new OperationError(`${file} is not a whole snapshot: ${why}.`, {
      hint: 'Use another backup; this one cannot be restored.',
    })
  const { program, args } = tool(await requireEtcdHere(cluster))
  const { sizeBytes, sha256, damage } = await checkSnapshot(file)
  if (damage && !bare) throw damaged(damage)
  const result = await ask(program, [...args, 'status', file], { env: unheard('ETCDCTL_'), timeout: slowMs })
  const status = result.exitCode === 0 ? parse<{ hash?: Integer; revision?: Integer }>(result.stdout) : undefined
  if (!status) throw damaged(lastWords(result))
  return { revision: Number(status.revision ?? 0), hash: BigInt(status.hash ?? 0).toString(16), sizeBytes, sha256 }
}

/** Restores a snapshot into a data directory not there yet. @throws OperationError with the tool's last words */
export async function restoreSnapshot(cluster: Cluster, file: string, member: RestoredMember): Promise<void> {
  const { program, args } = tool(await requireEtcdHere(cluster))
  const flags = [
    ...['--name', member.name, '--initial-advertise-peer-urls', member.peerURL],
    ...['--initial-cluster', member.initialCluster, '--initial-cluster-token', member.token],
    ...['--data-dir', member.dataDirectory],
    ...(await sumFlags(file)),
  ]
  const result = await ask(program, [...args, 'restore', file, ...flags], { env: unheard('ETCDCTL_'), timeout: slowMs })
  if (result.exitCode !== 0) throw new OperationError(`${file} could not be restored.`, { output: lastWords(result) })
}

/**
 * The program that restores snapshots (one for each architecture of mixed hosts), and whether it can raise the revision
 * and mark all before as compacted: whoever watches or caches notices then, and sees no revisions go back.
 */
export async function restoreTool(
  cluster: Cluster,
): Promise<{ program: string | Record<string, string>; raises: boolean }> {
  const program = byMachine(await requireEtcd(cluster), (folder) => tool({ folder }).program) // it runs on the hosts
  const here = tool(await requireEtcdHere(cluster))
  const { stdout, stderr } = await ask(here.program, ['snapshot', 'restore', '--help'], { env: unheard('ETCDCTL_') })
  const help = stdout + stderr
  return { program, raises: help.includes('--bump-revision') && help.includes('--mark-compacted') }
}

/** The tool's flags for a file without a checksum. */
export const sumFlags = async (file: string): Promise<string[]> =>
  (await isBareDatabase(file)) ? ['--skip-hash-check'] : []

/** The tool's flags that raise a snapshot's revision. */
export const raiseFlags = (from: number, to: number): string[] => [`--bump-revision=${to - from}`, '--mark-compacted']

/** etcdutl where it is there: from 3.6 on only that can, and no folder without it is taken. */
function tool({ folder }: Pick<EtcdBinaries, 'folder'>): { program: string; args: string[] } {
  const etcdutl = join(folder, 'etcdutl')
  const program = existsSync(etcdutl) ? etcdutl : join(folder, 'etcdctl')
  return { program, args: ['--write-out', 'json', 'snapshot'] }
}

/** The SHA-256 of the first `end` bytes, the one that follows them, and that of the whole file. */
async function sums(file: string, end: number): Promise<{ sum: string; appended: string; sha256: string }> {
  const [database, whole]: [Hash, Hash] = [createHash('sha256'), createHash('sha256')]
  const tail: Buffer[] = []
  let at = 0
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    whole.update(chunk)
    const mine = Math.max(0, Math.min(chunk.length, end - at))
    database.update(chunk.subarray(0, mine))
    if (mine < chunk.length) tail.push(chunk.subarray(mine))
    at += chunk.length
  }
  return { sum: database.digest('hex'), appended: Buffer.concat(tail).toString('hex'), sha256: whole.digest('hex') }
}
