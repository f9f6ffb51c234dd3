// Where backups are kept: a folder for each, there whole and proven or not under that name.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { makeFolder, writeFileAtomic } from '../core/files.ts'
import type { Member } from '../etcd/etcdctl.ts'

/** metadata.json of a backup. `hashKV` is the hash of all keys at `revision`, equal in the live cluster and in what was restored. */
export interface BackupMetadata {
  cluster: string
  time: string
  etcdVersion: string
  /** The host it was taken from. */
  takenFrom: string
  revision: number
  hashKV: number
  compactRevision: number
  /** The SHA-256 of snapshot.db. */
  sha256: string
  keys: number
  sizeBytes: number
  members: Member[]
}

const named = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/

/** The folders of the proven backups, the newest first. */
export function backups(cluster: Cluster): string[] {
  const { backups: folder } = cluster.paths
  const names = existsSync(folder)
    ? readdirSync(folder).filter((name) => named.test(name) && existsSync(join(folder, name, 'metadata.json')))
    : []
  return names
    .sort()
    .reverse()
    .map((name) => join(folder, name))
}

/** The revisions of the backups that are kept here. */
export const notedRevisions = (cluster: Cluster): number[] =>
  backups(cluster).flatMap((folder) => {
    const { revision } = JSON.parse(readFileSync(join(folder, 'metadata.json'), 'utf8')) as Partial<BackupMetadata>
    return revision === undefined ? [] : [revision]
  })

/** An empty folder for a backup in the making; what killed runs left is removed. Only whoever holds the lock may. */
export function beginBackup(cluster: Cluster, time: Date): string {
  const { backups: folder } = cluster.paths
  makeFolder(folder)
  for (const name of readdirSync(folder))
    if (name.endsWith('.part')) rmSync(join(folder, name), { recursive: true, force: true })
  const part = join(folder, `${time.toISOString().slice(0, 19).replaceAll(':', '-')}Z.part`)
  makeFolder(part)
  return part
}

/** Makes a proven backup one that counts; returns its folder. */
export function keepBackup(part: string, metadata: BackupMetadata): string {
  writeFileAtomic(join(part, 'metadata.json'), `${JSON.stringify(metadata, null, 2)}\n`, 0o600)
  const kept = part.slice(0, -'.part'.length)
  renameSync(part, kept)
  return kept
}

/** Keeps what could not be proven for a person to look at, and only the last of them: a full disk helps nobody. */
export function setAside(part: string): string {
  const aside = `${part.slice(0, -'.part'.length)}.unproven`
  const folder = join(part, '..')
  for (const name of readdirSync(folder))
    if (name.endsWith('.unproven')) rmSync(join(folder, name), { recursive: true, force: true })
  renameSync(part, aside)
  return aside
}

/** Removes the oldest proven backups beyond `count`; the newest always stays. */
export function removeOldest(cluster: Cluster, count: number): string[] {
  const surplus = backups(cluster).slice(Math.max(1, count))
  for (const folder of surplus) rmSync(folder, { recursive: true, force: true })
  return surplus
}
