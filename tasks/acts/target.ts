// What a target holds: for each backup its snapshot and the pack of the cluster, both sealed, and a note that comes
// last. Without a note, or with one whose files are not there as it says, nothing is called a backup.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Cluster } from '../core/cluster.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { readFileIfThere, writeFileAtomic } from '../core/files.ts'
import { type Entry, getAll, list, put, remove } from '../core/rclone.ts'
import { run } from '../core/run.ts'
import { suggest } from '../core/suggest.ts'
import { listed } from '../core/terminal.ts'
import { backupFacts } from './backup-store.ts'

const fileSchema = v.object({ sizeBytes: v.number(), sha256: v.string() })
const noteSchema = v.object({
  format: v.literal(1),
  ...backupFacts.entries,
  /** The public keys that both files are sealed for. */
  recipients: v.array(v.string()),
  snapshot: fileSchema,
  pack: fileSchema,
})

/** TIME.json: what its backup's metadata.json has but the members' addresses, and of which files it consists. */
export type Note = v.InferOutput<typeof noteSchema>

/** A backup at a target. `name`: its time, as the local folder is called. */
export interface Kept {
  name: string
  note: Note
}

/** What there is of a cluster at a target. */
export interface Held {
  /** The newest first, by their names. */
  kept: Kept[]
  /** Notes that are damaged, or that say of files what is not so, with the reason: they count for nothing. */
  wrong: string[]
  /** Files of backups without a note: an upload was cut off, or is under way. */
  strays: string[]
}

const parts = ['snapshot', 'pack'] as const
type Part = (typeof parts)[number]
/** Where a file of a backup is at the target. */
export const placed = (cluster: string, name: string, part: Part | 'note'): string =>
  `${cluster}/${name}.${part === 'note' ? 'json' : `${part}.age`}`

/** Judges what lies in the cluster's folder. Pure. @param notes the text of each note, by its file's name */
export function heldIn(entries: Entry[], notes: Map<string, string>): Held {
  const sizes = new Map(entries.map(({ name, sizeBytes }) => [name, sizeBytes]))
  const held: Held = { kept: [], wrong: [], strays: [] }
  for (const [file, text] of notes) {
    const name = file.slice(0, -'.json'.length)
    const note = v.safeParse(v.pipe(v.string(), v.parseJson(), noteSchema), text)
    const lacking =
      note.success && parts.find((part) => sizes.get(`${name}.${part}.age`) !== note.output[part].sizeBytes)
    if (!note.success) held.wrong.push(`${file} is damaged`)
    else if (lacking) held.wrong.push(`${name}.${lacking}.age is not there, or not as large as ${file} says`)
    else held.kept.push({ name, note: note.output })
  }
  held.kept.sort((one, other) => (one.name < other.name ? 1 : -1))
  const isStray = (file: string): boolean => timeOfName(file) !== undefined && !notes.has(`${file.split('.')[0]}.json`)
  held.strays = entries.map(({ name }) => name).filter(isStray)
  return held
}

/** When a backup of this name, or a file of it, was made, in ms since 1970; undefined where it is none's. */
export function timeOfName(name: string): number | undefined {
  const [, day, hours, minutes, seconds] = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z\./.exec(name) ?? []
  return day === undefined ? undefined : Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`)
}

/** @param scratch a folder for the notes */
export async function heldAt(target: string, cluster: string, scratch: string): Promise<Held> {
  const folder = join(scratch, cluster)
  mkdirSync(folder, { recursive: true })
  const entries = await list(target, cluster)
  if (entries.some(({ name }) => name.endsWith('.json'))) await getAll(target, cluster, '.json', folder)
  return heldIn(entries, new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')])))
}

const awaySchema = v.object({ target: v.string(), name: v.string(), time: v.pipe(v.string(), v.isoTimestamp()) })
/** The last backup that was brought away from here. */
export type Away = v.InferOutput<typeof awaySchema>

export const awayFile = ({ paths }: Cluster): string => join(paths.state, 'off-site.json')

export const noteAway = (cluster: Cluster, away: Away): void =>
  writeFileAtomic(awayFile(cluster), `${JSON.stringify(away, null, 2)}\n`, 0o600)

/** Undefined where none was; a damaged note says nothing. */
export function lastAway(cluster: Cluster): Away | undefined {
  const note = v.safeParse(v.pipe(v.string(), v.parseJson(), awaySchema), readFileIfThere(awayFile(cluster)))
  return note.success ? note.output : undefined
}

/** The clusters of which there is something. */
export const clustersAt = async (target: string): Promise<string[]> =>
  (await list(target, '', true)).map(({ name }) => name).sort()

/** A backup's two sealed files, and then the note: from now on it is one. @param files where they lie here, by part */
export async function bring(
  target: string,
  { name, note }: Kept,
  files: Record<Part, string>,
  scratch: string,
  say: (progress: string) => void,
): Promise<void> {
  for (const part of parts) await put(target, files[part], placed(note.cluster, name, part), say)
  const there = new Map((await list(target, note.cluster)).map((entry) => [entry.name, entry.sizeBytes]))
  for (const part of parts)
    if (there.get(`${name}.${part}.age`) !== note[part].sizeBytes)
      throw new OperationError(`The target ${target}: ${name}.${part}.age did not arrive whole.`, {
        hint: 'Run the same command again.',
      })
  const file = join(scratch, `${name}.json`)
  writeFileAtomic(file, `${JSON.stringify(note, null, 2)}\n`, 0o600)
  await put(target, file, placed(note.cluster, name, 'note'), say)
}

/** The note goes first: what is left of a removal that was cut off is no backup. */
export async function removeAt(target: string, cluster: string, name: string): Promise<void> {
  await remove(target, placed(cluster, name, 'note'))
  for (const part of parts) await remove(target, placed(cluster, name, part))
}

/**
 * The backup that is meant: CLUSTER/TIME, TIME, CLUSTER or nothing. By default the newest of `cluster`, or of the only
 * cluster that there is something of.
 * @throws UsageError where there is none such, or several are as likely
 */
export async function chosenAt(
  target: string,
  word: string | undefined,
  { name: cluster, life }: Pick<Cluster, 'name' | 'life'>,
  scratch: string,
): Promise<Kept> {
  const [first = '', time] = (word ?? '').split('/')
  const isTime = time === undefined && /^\d{4}-\d\d-\d\dT/.test(first)
  const of = first === '' || isTime ? cluster : first
  const name = time ?? (isTime ? first : undefined)
  const { kept, wrong } = await heldAt(target, of, scratch)
  const found = name === undefined ? newestOf(kept, life) : kept.find((one) => one.name === name)
  if (name === undefined) for (const why of wrong) run().warn(`At ${target}, ${why}: it is no backup.`)
  if (found) return found
  const bad = wrong.find((one) => name !== undefined && one.startsWith(name))
  if (bad) throw new UsageError(`${of}/${name} at ${target} is no backup: ${bad}.`, { hint: 'Choose another one.' })
  const what = name === undefined ? `no backup of ${of}` : `no backup ${of}/${name}`
  if (kept.length > 0)
    throw new UsageError(
      `The target ${target} has ${what}.${suggest(
        name ?? '',
        kept.map((one) => one.name),
      )}`,
      {
        hint: `The newest: ${kept[0]?.name}`,
      },
    )
  const others = (await clustersAt(target)).filter((one) => one !== of)
  throw new UsageError(`The target ${target} has ${what}.`, {
    hint:
      others.length > 0
        ? `It has backups of ${listed(others)}. Say --cluster ${others[0]}; or, for a copy under another name, name ` +
          `it: restore ${others[0]} --from …`
        : 'Nothing that backup --to brought is there: see whether it is the right target.',
  })
}

/**
 * The furthest of `mine`, the life of the cluster here; without one, of the life that was backed up last: a clock may
 * have been wrong, revisions are not.
 */
export function newestOf(kept: Kept[], mine?: string): Kept | undefined {
  const latest = kept.toSorted((a, b) => Date.parse(b.note.time) - Date.parse(a.note.time))[0]?.note.life
  const life = kept.some(({ note }) => note.life === mine) ? mine : latest
  return kept.filter(({ note }) => note.life === life).toSorted((a, b) => b.note.revision - a.note.revision)[0]
}
