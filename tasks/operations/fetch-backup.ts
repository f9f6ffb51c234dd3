// restore --from: a backup comes back from a target, is opened, and lies here as backup made it. Where this machine
// knows nothing of the cluster, what the backup has of the controller's own files is put in place, too.
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type BackupMetadata, keepBackup } from '../acts/backup-store.ts'
import { chosenAt, type Kept, placed } from '../acts/target.ts'
import { withScratch } from '../copies.ts'
import { agreeTo, checkTasks } from '../core/check.ts'
import { type Cluster, resolveCluster } from '../core/cluster.ts'
import { loadSettings } from '../core/config.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { makeFolder, type NewFile } from '../core/files.ts'
import type { Flags } from '../core/flags.ts'
import { concurrently } from '../core/pipeline.ts'
import { get, rcloneCheck } from '../core/rclone.ts'
import { recordedConfigFile } from '../core/record.ts'
import { run } from '../core/run.ts'
import { openFile, publicKeysOf, type Sum, sumOf } from '../core/sealed.ts'
import { bytes, listed } from '../core/terminal.ts'
import { doSteps, look, planOfSteps, type Step } from './steps.ts'
import { missingOf, putInPlace, told } from './unpack.ts'

export interface FetchOptions {
  target: string
  /** CLUSTER/TIME, TIME or CLUSTER; undefined: the newest. */
  word: string | undefined
  identities: string[]
  /** Take hosts and certificates as they are configured here. */
  dataOnly: boolean
}

/**
 * Fetched once: what is here already with the same content is not fetched again, so that a killed run goes on.
 * @returns the folder of the backup, and the cluster as it is known from now on
 * @throws UsageError where there is no such backup, or another key opens it
 */
export const fetchBackup = (
  cluster: Cluster,
  from: FetchOptions,
  flags: Flags,
): Promise<{ folder: string; cluster: Cluster }> =>
  withScratch(cluster, async (scratch) => {
    const { steps, coming } = await fetching(cluster, from, scratch, fetchedFolder(cluster))
    await agreeTo([rcloneCheck])
    await doSteps([concurrently('doctor: check what is needed', checkTasks([rcloneCheck])), ...steps])
    const { missing, folder } = coming
    const known = missing.length > 0 ? await resolveCluster(loadSettings(flags, recordedConfigFile)) : cluster
    return { folder, cluster: known }
  })

/** What would be fetched and put in place, a line each, and the folder of the backup, opened in `scratch`. */
export async function planFetch(
  cluster: Cluster,
  from: FetchOptions,
  scratch: string,
): Promise<{ would: string[]; file: string }> {
  const { steps, coming } = await fetching(cluster, from, scratch, join(scratch, 'fetched'))
  const would = await planOfSteps(steps)
  return { would, file: coming.folder }
}

/**
 * @param into where the backup is to lie, unless it is here already
 * @returns the steps, and what comes of them: what this machine lacks of certificates and record, the backup's folder
 */
async function fetching(
  cluster: Cluster,
  { target, word, identities, dataOnly }: FetchOptions,
  scratch: string,
  into: string,
): Promise<{ steps: Step[]; coming: { missing: NewFile[]; folder: string } }> {
  const keys = await publicKeysOf(identities)
  const coming = { missing: [] as NewFile[], folder: '' }
  let kept!: Kept
  const nameOf = ({ name, note }: Kept): string => `${note.cluster}/${name}`
  const steps: Step[] = [
    look(`Choose the backup at ${target}`, async () => {
      kept = await chosenAt(target, word, cluster, scratch)
      refuseOtherKey(kept, keys)
      return `Choose the backup at ${target}: ${nameOf(kept)}`
    }),
    {
      ...look('Open its certificates and its record', async () => {
        const pack = await opened(target, kept, 'pack', identities, join(scratch, 'pack.tar'))
        coming.missing = await missingOf(cluster, readFileSync(pack))
      }),
      skip: () => whyNoPack(cluster, kept, dataOnly),
    },
    {
      ...look('Fetch the snapshot, and open it', async (say) => {
        const file = join(scratch, 'snapshot.db')
        const fetched = () => opened(target, kept, 'snapshot', identities, file, say)
        coming.folder = (await hereAlready(cluster, kept)) ?? keep(await fetched(), into, kept, target)
      }),
      would: () => [`fetch backup ${nameOf(kept)} (${bytes(kept.note.sizeBytes)}) from ${target}, and open it`],
    },
    {
      title: 'Put its certificates and its record in place',
      skip: () => coming.missing.length === 0,
      task: () => putInPlace(coming.missing),
      would: () => told(coming.missing),
    },
  ]
  return { steps, coming }
}

/** False: it is put in place. */
function whyNoPack({ name, recorded }: Cluster, { note }: Kept, dataOnly: boolean): string | false {
  if (dataOnly) return 'only the data is wanted'
  if (note.cluster !== name) return `${name} is another cluster than ${note.cluster}`
  return recorded && `those of ${name} are here`
}

function refuseOtherKey({ name, note: { recipients } }: Kept, keys: string[]): void {
  if (!recipients.some((one) => keys.includes(one)))
    throw new UsageError(`Backup ${name} is sealed for ${listed(recipients)}, and the identity is of another key.`, {
      hint: 'Name with --identity the file that age-keygen made with that key.',
    })
}

/** Fetches a part, checks that it is what was brought, and opens it. @returns `file` */
async function opened(
  target: string,
  { name, note }: Kept,
  part: 'snapshot' | 'pack',
  identities: string[],
  file: string,
  say: (step: string) => void = () => {},
): Promise<string> {
  const sealed = `${file}.age`
  const path = placed(note.cluster, name, part)
  await get(target, path, sealed, (progress) => say(`fetch it: ${progress}`))
  if (!isSame(await sumOf(sealed), note[part]))
    throw new OperationError(`${path} at ${target} is damaged: it is not what was brought there.`, {
      hint: 'Choose another backup: --list shows those that there are. Nothing was changed.',
    })
  say('open it')
  await openFile(sealed, file, identities)
  rmSync(sealed)
  return file
}

const isSame = (one: Sum, other: Sum): boolean => one.sha256 === other.sha256 && one.sizeBytes === other.sizeBytes

/** The snapshot as a backup below `into`. @returns its folder */
function keep(snapshot: string, into: string, kept: Kept, target: string): string {
  rmSync(into, { recursive: true, force: true }) // an earlier one, or what a killed run left
  const part = join(into, `${kept.name}.part`)
  makeFolder(part)
  renameSync(snapshot, join(part, 'snapshot.db'))
  if (run().writes) run().changes.push(`fetched backup ${kept.name} from ${target}`)
  return keepBackup(part, metadataOf(kept, target))
}

/** As backup noted it here, but for what did not leave its machine. */
function metadataOf({ note }: Kept, target: string): BackupMetadata {
  const { format: _, recipients: __, snapshot: ___, pack: ____, ...facts } = note
  return { ...facts, takenFrom: target, members: [] }
}

/** What was fetched is no backup of this machine's; it goes once it is restored. */
export const fetchedFolder = ({ paths }: Cluster): string => join(paths.state, 'fetched')

/** The folder of that backup where it lies here already, whole. */
async function hereAlready(cluster: Cluster, { name, note }: Kept): Promise<string | undefined> {
  for (const place of [cluster.paths.backups, fetchedFolder(cluster)]) {
    const file = join(place, name, 'snapshot.db')
    if (existsSync(file) && (await sumOf(file)).sha256 === note.sha256) return join(place, name)
  }
  return undefined
}
