// The snapshot that restore is given: found, read to its last bit, and judged by what its backup says of it.
import { existsSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { BackupMetadata } from '../acts/backup-store.ts'
import { restoredData } from '../acts/proof.ts'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { readFileIfThere } from '../core/files.ts'
import { compareVersions, minorOf } from '../core/programs.ts'
import { shellQuoted } from '../core/shell.ts'
import { requireEtcd } from '../etcd/binaries.ts'
import { checkSnapshot, isBareDatabase, readSnapshot, type SnapshotContent } from '../etcd/snapshot.ts'
import { storageVersionOf } from '../etcd/snapshot-version.ts'

export interface Source extends SnapshotContent {
  file: string
  time: Date
  /** Undefined where nobody has counted them yet. */
  keys: number | undefined
  metadata: BackupMetadata | undefined
}

/**
 * The snapshot's file: the path itself, or the one in a backup's folder. Needs no program. A member's own database is
 * taken on a person's word alone, or where that was given to a run that was killed.
 * @throws UsageError where there is none, where it is damaged, or not what its backup noted
 */
export async function snapshotFile(cluster: Cluster, given: string, skipHashCheck: boolean): Promise<string> {
  const path = resolve(given)
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'snapshot.db') : path
  if (!existsSync(file) || !statSync(file).isFile())
    throw new UsageError(`There is no snapshot at ${file}.`, {
      hint: 'Name a folder that backup made, or a snapshot file.',
    })
  const { sha256, damage } = await checkSnapshot(file)
  const bare = await isBareDatabase(file)
  if (bare && !skipHashCheck && cluster.begun?.sha256 !== sha256)
    throw new UsageError(
      `${file} is a member's own database, not a snapshot: it has no checksum that shows whether it is whole.`,
      {
        hint:
          'Restore a backup instead. Only if there is none, and no etcd uses this file: ' +
          command(cluster, `restore ${shellQuoted(file)} --skip-hash-check`),
      },
    )
  if (damage && !bare)
    throw new UsageError(`${file} is not a whole snapshot: ${damage}.`, {
      hint: 'Use another backup; this one cannot be restored.',
    })
  const noted = readMetadata(file)?.sha256 ?? sha256
  if (noted === sha256) return file
  throw new UsageError(
    `${file} has changed since its backup: its SHA-256 is ${sha256}, but metadata.json beside it says ${noted}.`,
    { hint: 'Use another backup; this one cannot be trusted.' },
  )
}

/** Reads it. @throws OperationError when it is damaged, or of a newer etcd than ours */
export async function readSource(cluster: Cluster, file: string): Promise<Source> {
  const content = await readSnapshot(cluster, file, await isBareDatabase(file))
  const metadata = readMetadata(file)
  await refuseNewer(cluster, file, metadata)
  return {
    ...content,
    file,
    metadata,
    keys: metadata?.keys,
    time: metadata ? new Date(metadata.time) : statSync(file).mtime,
  }
}

function readMetadata(file: string): BackupMetadata | undefined {
  const path = join(dirname(file), 'metadata.json')
  const text = basename(file) === 'snapshot.db' ? readFileIfThere(path) : undefined
  if (text === undefined) return undefined
  try {
    const metadata = JSON.parse(text) as BackupMetadata
    if (typeof metadata.sha256 === 'string' && typeof metadata.etcdVersion === 'string') return metadata
  } catch {}
  throw new UsageError(`${path} is damaged: it describes no snapshot.`, {
    hint: 'Use another backup; or move that file away to restore the snapshot without it.',
  })
}

async function refuseNewer(cluster: Cluster, file: string, metadata: BackupMetadata | undefined): Promise<void> {
  const { version: ours } = await requireEtcd(cluster)
  const theirs = (await storageVersionOf(file)) ?? metadata?.etcdVersion
  if (!theirs || compareVersions(minorOf(theirs), minorOf(ours)) <= 0) return
  throw new OperationError(
    `${file} is of etcd ${minorOf(theirs)}, and ${cluster.name} runs ${ours}, which would not understand it.`,
    {
      hint:
        `Restore it where etcd ${minorOf(theirs)} runs: name its programs with etcd.binaries (or ` +
        'etcd.version) and a new cluster with --cluster; or upgrade this one first.',
    },
  )
}

/** Proves that an etcd comes up on it with the data that was backed up. @returns its keys @throws OperationError */
export async function proveSource(cluster: Cluster, { file, revision, metadata }: Source): Promise<number> {
  const folder = join(cluster.paths.state, 'restore-proof')
  rmSync(folder, { recursive: true, force: true }) // what a killed run left
  const { hash, compactRevision, keys } = await restoredData(cluster, file, revision, folder)
  const { version } = await requireEtcd(cluster)
  const comparable =
    metadata && compactRevision === metadata.compactRevision && minorOf(metadata.etcdVersion) === minorOf(version)
  if (comparable && hash !== metadata.hashKV)
    throw new OperationError(
      `The restored data of ${file} has the hash ${hash}, but its backup noted ${metadata.hashKV}.`,
      { hint: 'Use another backup.' },
    )
  return keys
}
