// A backup leaves this machine: sealed, brought to a target, and there the surplus removed.
import { join } from 'node:path'
import * as v from 'valibot'
import { type Backup, type BackupMetadata, type Keep, surplusOf } from '../acts/backup-store.ts'
import { bring, heldAt, type Kept, type Note, removeAt } from '../acts/target.ts'
import { withScratch } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { readFileIfThere, writeFileAtomic } from '../core/files.ts'
import { remove } from '../core/rclone.ts'
import { run } from '../core/run.ts'
import { seal, sealFile, sumOf } from '../core/sealed.ts'
import { archive } from './pack.ts'

/** Where a backup goes besides, and the public keys that it is sealed for. */
export interface OffSite {
  target: string
  recipients: string[]
}

const dayMs = 86_400_000

/** Seals the backup in `folder` and what this machine alone knows of the cluster, and brings both there. */
export function bringAway(
  cluster: Cluster,
  { folder, name, metadata }: { folder: string; name: string; metadata: BackupMetadata },
  { target, recipients }: OffSite,
  say: (step: string) => void,
): Promise<void> {
  return withScratch(cluster, async (scratch) => {
    const [snapshot, pack] = [join(scratch, 'snapshot.age'), join(scratch, 'pack.age')]
    say('seal it')
    const sum = await sealFile(join(folder, 'snapshot.db'), snapshot, recipients)
    writeFileAtomic(pack, await seal(await archive(cluster), { recipients }), 0o600)
    const { members: _, takenFrom: __, ...facts } = metadata
    const note: Note = { format: 1, ...facts, recipients, snapshot: sum, pack: await sumOf(pack) }
    await bring(target, { name, note }, { snapshot, pack }, scratch, (progress) => say(`bring it away: ${progress}`))
    noteAway(cluster, { target, name, time: metadata.time })
  })
}

/** Backups of this life of the cluster that are too many there, by name; those of another are left to a person. */
export const surplusAt = (target: string, cluster: Cluster, made: Backup, keep: Keep): Promise<string[]> =>
  withScratch(cluster, async (scratch) => {
    const { kept } = await heldAt(target, cluster.name, scratch)
    const ofLife = kept.filter(({ note }) => note.life === made.metadata.life)
    return surplusOf(ofLife.map(asBackup), made, keep).map(({ folder }) => folder)
  })

const asBackup = ({ name, note }: Kept): Backup => ({ folder: name, metadata: note })

/** Removes them, and what uploads that were cut off have left; what is younger than a day may be under way. */
export async function removeSurplusAt(target: string, cluster: Cluster, names: string[], now: number): Promise<void> {
  for (const name of names) {
    await removeAt(target, cluster.name, name)
    run().changes.push(`removed backup ${name} at ${target}`)
  }
  const { strays, wrong } = await withScratch(cluster, (scratch) => heldAt(target, cluster.name, scratch))
  for (const stray of strays.filter((name) => isOlder(name, now - dayMs)))
    await remove(target, `${cluster.name}/${stray}`)
  run().warnings.push(...wrong.map((why) => `At ${target}, ${why}: it is not counted, and never removed.`))
}

/** By the time that it is called by. */
export function isOlder(name: string, than: number): boolean {
  const [, day, hours, minutes, seconds] = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z/.exec(name) ?? []
  return Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`) < than
}

const awaySchema = v.object({ target: v.string(), name: v.string(), time: v.pipe(v.string(), v.isoTimestamp()) })
/** The last backup that was brought away. */
export type Away = v.InferOutput<typeof awaySchema>

const awayFile = ({ paths }: Cluster): string => join(paths.state, 'off-site.json')

const noteAway = (cluster: Cluster, away: Away): void =>
  writeFileAtomic(awayFile(cluster), `${JSON.stringify(away, null, 2)}\n`, 0o600)

/** Undefined where none was. A damaged note says nothing. */
export function lastAway(cluster: Cluster): Away | undefined {
  const text = readFileIfThere(awayFile(cluster))
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), awaySchema), text)
  return read.success ? read.output : undefined
}
