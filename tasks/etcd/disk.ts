// How much room a host's disk has left for etcd's data.
import { statfs } from 'node:fs/promises'
import type { Cluster, Host } from '../core/cluster.ts'
import { ask } from '../core/shell.ts'
import { bytes } from '../core/terminal.ts'
import { sshOptions } from './reach.ts'

/** Bytes below which a disk counts as full: etcd's next log file does not fit (SegmentSizeBytes in its wal.go). */
export const fullBytes = 64 * 2 ** 20

/** Bytes that etcd needs besides its database to begin with; the role asks for as many (LEAST_DISK). */
export const leastBytes = 256 * 2 ** 20

/** Inodes below which a disk counts as full, too: logs, snapshots and their temporary files, with some to spare. */
const leastInodes = 32

/** What is left of a disk, in words. */
export const leftIn = (free: number): string => (free > 0 ? bytes(free) : '0 B or no inodes')

/** As statfs tells it. `files`: inodes in all, 0 where a file system has no fixed number; `ffree`: the free ones. */
type Space = Record<'bavail' | 'bsize' | 'files' | 'ffree', number>

/** Bytes that can be written: none where no file can be made. */
export const roomIn = ({ bavail, bsize, files, ffree }: Space): number =>
  files > 0 && ffree < leastInodes ? 0 : bavail * bsize

/** Where the role puts the data on hosts of their own. */
const usualFolder = '/var/lib/etcd'

/** Bytes that are free there; undefined where that cannot be known. @param overSsh whether hosts are asked over ssh */
export async function freeBytes(
  cluster: Cluster,
  { name, connection }: Host,
  overSsh: boolean,
): Promise<number | undefined> {
  if (cluster.provider === 'local') {
    const found = await statfs(String(connection?.etcd_data_directory)).catch(() => undefined)
    return found && roomIn(found)
  }
  if (!overSsh) return undefined
  const stat = `stat -f -c '%a %S %c %d' ${usualFolder}`
  const said = await ask('ssh', [...sshOptions(cluster), name, stat], { timeout: 6000 }).catch(() => undefined)
  const [bavail, bsize, files, ffree] = said?.stdout.trim().split(' ').map(Number) ?? []
  const space = { bavail, bsize, files, ffree } as Space
  return Object.values(space).every(Number.isInteger) ? roomIn(space) : undefined
}
