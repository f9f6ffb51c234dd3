// Where backups are kept: a folder for each, there whole and proven or not under that name.

import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Cluster } from '../core/cluster.ts'
import { entriesIn, makeFolder, writeFileAtomic } from '../core/files.ts'
import { stamp } from '../core/terminal.ts'
import type { Member } from '../etcd/etcdctl.ts'

/** What is known of a backup, here and at a target. `hashKV`: of all keys at `revision`, the same live and restored. */
export const backupFacts = v.object({
  cluster: v.string(),
  /** The cluster's `life` in its record; backups of older releases have none. */
  life: v.optional(v.string()),
  time: v.pipe(v.string(), v.isoTimestamp()),
  etcdVersion: v.string(),
  revision: v.pipe(v.number(), v.safeInteger()),
  hashKV: v.number(),
  compactRevision: v.number(),
  /** The SHA-256 of snapshot.db. */
  sha256: v.string(),
  keys: v.number(),
  sizeBytes: v.number(),
})

/** metadata.json of a backup. `takenFrom`: the host, or the target that it was fetched from. */
export type BackupMetadata = v.InferOutput<typeof backupFacts> & { takenFrom: string; members: Member[] }

/** Of which life of which cluster a backup is, how far it goes, and when it was made. */
type Of = Pick<BackupMetadata, 'cluster' | 'life' | 'revision' | 'time'>

export interface Backup {
  folder: string
  metadata: Of
}

/**
 * Which backups stay: the newest `count`, and all of the last `days` before the one just made; at least one is given.
 */
export interface Keep {
  count: number | undefined
  days: number | undefined
}

const dayMs = 86_400_000
const named = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/
const skewMs = 60_000

/** The proven backups, in no order. `unreadable`: folders like one whose metadata.json is damaged. */
function backups({ paths: { backups: store } }: Cluster): { found: Backup[]; unreadable: string[] } {
  const names = entriesIn(store).filter((name) => named.test(name))
  const [found, unreadable]: [Backup[], string[]] = [[], []]
  for (const folder of names.map((name) => join(store, name))) {
    const metadata = readMetadata(join(folder, 'metadata.json'))
    if (metadata) found.push({ folder, metadata })
    else if (existsSync(join(folder, 'metadata.json'))) unreadable.push(folder)
  }
  return { found, unreadable }
}

function readMetadata(path: string): Of | undefined {
  try {
    const metadata = JSON.parse(readFileSync(path, 'utf8')) as Of
    const whole = typeof metadata.cluster === 'string' && Number.isSafeInteger(metadata.revision)
    return whole && !Number.isNaN(Date.parse(metadata.time)) ? metadata : undefined
  } catch {
    return undefined
  }
}

/**
 * The backups that are too many once `made` is kept. Within the life of `made` the revision says which is newer, since
 * a clock may have been wrong; backups of other lives come after them, by time. Never `made`, nor the newest of a life;
 * where one is later than `made`, a clock was wrong, and none is called old. Age counts from the one before `made`:
 * when the clock has just jumped ahead, nothing has grown old by that.
 */
export function surplusOf<B extends Backup>(found: B[], made: B, { count, days }: Keep): B[] {
  const all = [made, ...found.filter(({ folder }) => folder !== made.folder)]
  const mine = lifeOf(made)
  const oldestFirst = all.toSorted(byRevision).reverse()
  const newestOf = new Map(oldestFirst.map((backup) => [lifeOf(backup), backup]))
  const ordered = [
    ...all.filter((backup) => lifeOf(backup) === mine).toSorted(byRevision),
    ...all.filter((backup) => lifeOf(backup) !== mine).toSorted(byTime),
  ]
  const before = all.filter((backup) => backup !== made).map(timeOf)
  const [time, latest] = [timeOf(made), Math.max(...before)]
  const isRecent = (backup: B): boolean =>
    days !== undefined && (latest > time + skewMs || timeOf(backup) >= latest - days * dayMs)
  return ordered
    .slice(count ?? 0)
    .filter((backup) => backup !== made && !isRecent(backup) && newestOf.get(lifeOf(backup)) !== backup)
}

const timeOf = ({ metadata: { time } }: Backup): number => Date.parse(time)

const lifeOf = ({ metadata: { life, cluster } }: Backup): string => life ?? `of ${cluster}`
const byTime = (a: Backup, b: Backup): number => Date.parse(b.metadata.time) - Date.parse(a.metadata.time)
const byRevision = (a: Backup, b: Backup): number => b.metadata.revision - a.metadata.revision || byTime(a, b)

/** What a person should know of the backups that are there: a clock was wrong, or a folder is damaged. */
export function doubts(cluster: Cluster, now: number): string[] {
  const { found, unreadable } = backups(cluster)
  const ahead = found.filter(({ metadata }) => Date.parse(metadata.time) > now + skewMs)
  return [
    ...ahead.map(
      ({ folder, metadata: { time } }) =>
        `The time of backup ${folder} lies in the future (${time}): a clock was wrong then, or ` +
        `this machine's is wrong now.`,
    ),
    ...unreadable.map(
      (folder) => `The metadata.json of backup ${folder} is damaged: the backup is not counted, and never removed.`,
    ),
  ]
}

/** How many backups of this cluster are kept, and when the newest was made, in ms; those of the future count not. */
export function keptBackups(cluster: Cluster, now: number): { count: number; newest: number | undefined } {
  const times = backups(cluster)
    .found.filter(({ metadata }) => isOfLife(cluster, metadata))
    .map(({ metadata }) => Date.parse(metadata.time))
  const past = times.filter((time) => time <= now + skewMs)
  return { count: times.length, newest: past.length > 0 ? Math.max(...past) : undefined }
}

/** A cluster that was made again under its name has another life; older releases noted none. */
const isOfLife = ({ name, life }: Cluster, of: Of): boolean => of.cluster === name && (!of.life || of.life === life)

/** What a backup notes of its cluster and its time. */
export const whoseAndWhen = ({ name, life }: Cluster, time: Date): Omit<Of, 'revision'> => ({
  cluster: name,
  ...(life && { life }),
  time: time.toISOString(),
})

/** The revisions of the backups that are kept here. */
export const notedRevisions = (cluster: Cluster): number[] =>
  backups(cluster).found.map(({ metadata }) => metadata.revision)

/** An empty folder for a backup in the making; what killed runs left is removed. Only whoever holds the lock may. */
export function beginBackup(cluster: Cluster, time: Date): string {
  const { backups: folder } = cluster.paths
  makeFolder(folder)
  removeEnding(folder, '.part')
  const part = join(folder, `${stamp(time)}.part`)
  makeFolder(part)
  return part
}

function removeEnding(folder: string, end: string): void {
  for (const name of readdirSync(folder))
    if (name.endsWith(end)) rmSync(join(folder, name), { recursive: true, force: true })
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
  removeEnding(join(part, '..'), '.unproven')
  renameSync(part, aside)
  return aside
}

/** The folders of the backups that are too many beside `made`, the newest first. */
export const surplus = (cluster: Cluster, made: Backup, keep: Keep): string[] =>
  surplusOf(backups(cluster).found, made, keep).map(({ folder }) => folder)

/** The backups of this machine, the newest first by their names, and what is damaged. */
export function keptHere(cluster: Cluster): { kept: Backup[]; wrong: string[] } {
  const { found, unreadable } = backups(cluster)
  return { kept: found.toSorted((a, b) => (a.folder < b.folder ? 1 : -1)), wrong: unreadable }
}
