// A backup leaves this machine: sealed, brought to a target, and there the surplus removed.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Backup, type BackupMetadata, type Keep, surplusOf } from '../acts/backup-store.ts'
import {
  type Away,
  awayFile,
  bring,
  type Held,
  heldAt,
  type Kept,
  lastAway,
  type Note,
  noteAway,
  removeAt,
  timeOfName,
} from '../acts/target.ts'
import { withScratch } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { writeFileAtomic } from '../core/files.ts'
import { isFolder, refuseUnwritable, remove } from '../core/rclone.ts'
import { clock, run } from '../core/run.ts'
import { seal, sealFile, sumOf } from '../core/sealed.ts'
import { shellQuoted } from '../core/shell.ts'
import { archive } from './pack.ts'

/** Where a backup goes besides, and the public keys that it is sealed for. */
export interface OffSite {
  target: string
  recipients: string[]
}

const dayMs = 86_400_000

/**
 * That the target can be had, and written where that can be told, before anything takes time.
 * @throws OperationError where it has nothing of the cluster any more: the disk or share is another one, or not mounted
 */
export function lookThere(cluster: Cluster, target: string): Promise<void> {
  return withScratch(cluster, async (scratch) => {
    refuseUnwritable(target, cluster.name)
    const held = await heldAt(target, cluster.name, scratch)
    const away = lastAway(cluster)
    if (isFolder(target) && away && isGone(away, target, held))
      throw new OperationError(`The target ${target} is empty, though backup ${away.name} was brought there.`, {
        hint:
          'Mount the disk or share that belongs there. If the backups were removed on purpose: ' +
          `rm ${shellQuoted(awayFile(cluster))}`,
      })
  })
}

/** Whether nothing is left of what was brought to this target. Pure. */
export const isGone = (away: Away, target: string, { kept, wrong, strays }: Held): boolean =>
  away.target === target && kept.length + wrong.length + strays.length === 0

/** Seals the backup in `folder` and what this machine alone knows of the cluster, and brings both there. */
export function bringAway(
  cluster: Cluster,
  { folder, name, metadata }: { folder: string; name: string; metadata: BackupMetadata },
  { target, recipients }: OffSite,
  say: (step: string) => void,
): Promise<void> {
  return withScratch(cluster, async (scratch) => {
    const held = await heldAt(target, cluster.name, scratch)
    warnOfOthers(cluster, target, held)
    await tidyUp(cluster, target, held)
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

export async function removeSurplusAt(target: string, cluster: Cluster, names: string[]): Promise<void> {
  for (const name of names) {
    await removeAt(target, cluster.name, name)
    run().changes.push(`removed backup ${name} at ${target}`)
  }
}

/** Two clusters of one name that back up to one place: who restores must choose, and should not have to. */
function warnOfOthers({ name, life }: Cluster, target: string, { kept }: Held): void {
  const latest = (mine: boolean): number =>
    Math.max(...kept.filter(({ note }) => (note.life === life) === mine).map(({ note }) => Date.parse(note.time)))
  if (latest(true) > Number.NEGATIVE_INFINITY && latest(false) > latest(true))
    run().warn(
      `Another cluster that is called ${name} brings its backups to ${target}, too. Give each a target of its own.`,
    )
}

/** Removes what uploads that were cut off have left: ours, as we hold the lock, and what is older than a day. */
async function tidyUp(cluster: Cluster, target: string, { strays, wrong }: Held): Promise<void> {
  const isOurs = (file: string): boolean => existsSync(join(cluster.paths.backups, file.split('.')[0] ?? ''))
  const isOld = (file: string): boolean => (timeOfName(file) ?? 0) < clock() - dayMs
  for (const file of strays.filter((one) => isOurs(one) || isOld(one))) await remove(target, `${cluster.name}/${file}`)
  for (const why of wrong) run().warn(`At ${target}, ${why}: it is not counted, and never removed.`)
}
