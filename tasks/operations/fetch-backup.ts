// restore --from: a backup comes back from a target, is opened, and lies here as backup made it. Where this machine
// knows nothing of the cluster, what the backup has of the controller's own files is put in place, too.
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type BackupMetadata, keepBackup } from '../acts/backup-store.ts'
import { chosenAt, type Kept, placed } from '../acts/target.ts'
import { withScratch } from '../copies.ts'
import { checkTasks } from '../core/check.ts'
import { type Cluster, resolveCluster } from '../core/cluster.ts'
import { loadSettings } from '../core/config.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { makeFolder, type NewFile, writeFileAtomic } from '../core/files.ts'
import type { Flags } from '../core/flags.ts'
import { concurrently, runPipeline, type Task } from '../core/pipeline.ts'
import { get, rcloneCheck } from '../core/rclone.ts'
import { recordedConfigFile } from '../core/record.ts'
import { run } from '../core/run.ts'
import { openFile, publicKeysOf, type Sum, sumOf } from '../core/sealed.ts'
import { bytes, listed } from '../core/terminal.ts'
import { agreeTo } from './steps.ts'
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
export async function fetchBackup(
  cluster: Cluster,
  { target, word, identities, dataOnly }: FetchOptions,
  flags: Flags,
): Promise<{ folder: string; cluster: Cluster }> {
  const keys = await publicKeysOf(identities)
  await agreeTo([rcloneCheck])
  return withScratch(cluster, async (scratch) => {
    let kept: Kept | undefined
    let missing: NewFile[] = []
    let folder = ''
    const choose: Task = {
      title: `Choose the backup at ${target}`,
      task: async (_, task) => {
        kept = await chosenAt(target, word, cluster, scratch)
        refuseOtherKey(kept, keys)
        task.title = `Choose the backup at ${target}: ${kept.note.cluster}/${kept.name}`
      },
    }
    const openPack: Task = {
      title: 'Open its certificates and its record',
      skip: () => whyNoPack(cluster, kept as Kept, dataOnly),
      task: async () => {
        const pack = await opened(target, kept as Kept, 'pack', identities, join(scratch, 'pack.tar'), () => {})
        missing = await missingOf(cluster, readFileSync(pack))
      },
    }
    const fetch: Task = {
      title: 'Fetch the snapshot, and open it',
      task: async (_, task) => {
        const file = join(scratch, 'snapshot.db')
        folder = await fetched(cluster, target, kept as Kept, identities, file, (said) => void (task.output = said))
      },
    }
    const put: Task = {
      title: 'Put its certificates and its record in place',
      skip: () => missing.length === 0,
      task: () => putInPlace(missing),
    }
    await runPipeline([
      concurrently('doctor: check what is needed', checkTasks([rcloneCheck])),
      choose,
      openPack,
      fetch,
      put,
    ])
    const known = missing.length > 0 ? await resolveCluster(loadSettings(flags, recordedConfigFile)) : cluster
    return { folder, cluster: known }
  })
}

/** What would be fetched and put in place, a line each, and the snapshot, opened in `scratch`. */
export async function planFetch(
  cluster: Cluster,
  { target, word, identities, dataOnly }: FetchOptions,
  scratch: string,
): Promise<{ would: string[]; file: string }> {
  const keys = await publicKeysOf(identities)
  const kept = await chosenAt(target, word, cluster, scratch)
  refuseOtherKey(kept, keys)
  const open = (part: 'snapshot' | 'pack', file: string): Promise<string> =>
    opened(target, kept, part, identities, join(scratch, file), () => {})
  const pack = whyNoPack(cluster, kept, dataOnly) ? undefined : await open('pack', 'pack.tar')
  const put = pack ? told(await missingOf(cluster, readFileSync(pack))) : []
  const { cluster: of, sizeBytes } = kept.note
  const fetch = `fetch backup ${of}/${kept.name} (${bytes(sizeBytes)}) from ${target}, and open it`
  const here = await hereAlready(cluster, kept)
  if (here) return { would: [fetch, ...put], file: here }
  writeFileAtomic(join(scratch, kept.name, 'metadata.json'), JSON.stringify(metadataOf(kept, target)), 0o600)
  return { would: [fetch, ...put], file: await open('snapshot', join(kept.name, 'snapshot.db')) }
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
  say: (step: string) => void,
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

/** @returns the folder of the backup here */
async function fetched(
  cluster: Cluster,
  target: string,
  kept: Kept,
  identities: string[],
  scratch: string,
  say: (step: string) => void,
): Promise<string> {
  const { name } = kept
  const here = await hereAlready(cluster, kept)
  if (here) return here
  await opened(target, kept, 'snapshot', identities, scratch, say)
  rmSync(fetchedFolder(cluster), { recursive: true, force: true }) // an earlier one, or what a killed run left
  const part = join(fetchedFolder(cluster), `${name}.part`)
  makeFolder(part)
  renameSync(scratch, join(part, 'snapshot.db'))
  run().changes.push(`fetched backup ${name} from ${target}`)
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
