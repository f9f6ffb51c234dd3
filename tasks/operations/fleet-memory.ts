// Which clusters a verb over many of them is done with: one small file, so that the same command goes on.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { home } from '../core/environment.ts'
import { readFileIfThere, writeFileAtomic } from '../core/files.ts'
import { clusterPaths, readRecord, recordedClusters } from '../core/record.ts'
import { clock } from '../core/run.ts'
import { shellQuoted } from '../core/shell.ts'
import { attempt } from '../etcd/certificates.ts'
import { counts, doneBefore, type Noted, notedWith } from '../plans/fleet.ts'

/** By the command, as keyOf makes it. */
const schema = v.record(
  v.string(),
  v.object({ at: v.string(), asked: v.array(v.string()), done: v.record(v.string(), v.string()) }),
)

/** The verb with its words, as they are typed: other flags of fleet make no other command of it. */
export const keyOf = (verb: string, words: string[]): string =>
  [verb, ...(words.length > 0 ? ['--', ...words] : [])].map(shellQuoted).join(' ')

/** No cluster can have that name. */
const memoryFile = (): string => join(home(), '.cluster/.fleet.json')

/** What still counts. A file that cannot be understood counts for nothing. */
function all(): Record<string, Noted> {
  const source = readFileIfThere(memoryFile()) ?? '{}'
  const noted = v.parse(v.fallback(v.pipe(v.string(), v.parseJson(), schema), {}), source)
  return Object.fromEntries(Object.entries(noted).filter(([, one]) => counts(one, clock())))
}

/** Those of the clusters that the command is done with, and when it was done with the last of them. */
export function doneAlready(command: string, names: string[]): { done: string[]; at: number } {
  const noted = all()[command]
  return { done: doneBefore(noted, livesOf(names)), at: Date.parse(noted?.at ?? '') }
}

/** A command that some of its clusters are done with; how to go on with those that are left. */
export interface HalfDone {
  command: string
  done: string[]
  left: string[]
  goOn: string
}

export function halfDone(): HalfDone[] {
  const there = recordedClusters()
  return Object.entries(all()).flatMap(([command, noted]) => {
    const asked = noted.asked.filter((name) => there.includes(name))
    const done = doneBefore(noted, livesOf(asked))
    const left = asked.filter((name) => !done.includes(name))
    const only = asked.length < there.length ? `--only ${left.join(',')} ` : ''
    return left.length > 0 ? [{ command, done, left, goOn: `npx zx scripts/fleet.ts ${only}${command}` }] : []
  })
}

/** `asked`: the clusters that this run goes over. */
export function noteDone(command: string, name: string, asked: string[]): void {
  const { [command]: before, ...others } = all()
  const now = notedWith(before, name, { asked, lives: livesOf(recordedClusters()) }, clock())
  write(now ? { ...others, [command]: now } : others)
}

export function forget(command: string): void {
  const { [command]: _, ...others } = all()
  write(others)
}

function write(noted: Record<string, Noted>): void {
  if (Object.keys(noted).length > 0) writeFileAtomic(memoryFile(), `${JSON.stringify(noted, null, 2)}\n`, 0o600)
  else rmSync(memoryFile(), { force: true })
}

const livesOf = (names: string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, attempt(() => readRecord(clusterPaths(name).record))?.life ?? '']))
