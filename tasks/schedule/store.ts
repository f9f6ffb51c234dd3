// What is scheduled (schedules.json, a part of the cluster), and what came of it on this machine (schedule/).
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { UsageError } from '../core/errors.ts'
import { readFileIfThere, removeHalfWritten, writeFileAtomic } from '../core/files.ts'
import type { ClusterPaths } from '../core/record.ts'
import { periodOf, type Runs, type Schedules, schedulable } from './due.ts'
import { timerKinds } from './timers.ts'

type Paths = Pick<ClusterPaths, 'schedules' | 'schedule'>

const moment = v.pipe(v.string(), v.isoTimestamp())
const ofVerbs = <T extends v.GenericSchema>(one: T) => v.record(v.picklist(schedulable), one)

const schedulesSchema = ofVerbs(
  v.object({
    every: v.pipe(
      v.string(),
      v.check((text) => periodOf(text) !== undefined, 'is no period'),
    ),
    from: moment,
    made: moment,
    words: v.array(v.string()),
  }),
)

/** @throws UsageError where the file is damaged */
export function readSchedules({ schedules: path }: Paths): Schedules {
  const found = v.safeParse(v.pipe(v.string(), v.parseJson(), schedulesSchema), readFileIfThere(path) ?? '{}')
  if (found.success) return found.output
  throw new UsageError(`${path} cannot be understood: ${found.issues[0].message}.`, {
    hint: 'Remove that file, then schedule again what is to be done.',
  })
}

export function writeSchedules({ schedules: path }: Paths, schedules: Schedules): void {
  if (Object.keys(schedules).length > 0) writeFileAtomic(path, `${JSON.stringify(schedules, null, 2)}\n`, 0o600)
  else rmSync(path, { force: true })
}

const notesSchema = v.object({
  /** When it was last looked what is due. */
  ticked: v.optional(moment),
  runs: ofVerbs(
    v.object({
      of: moment,
      began: moment,
      ended: v.optional(moment),
      exitCode: v.optional(v.nullable(v.number())),
      sentence: v.optional(v.string()),
      log: v.optional(v.string()),
      fails: v.number(),
    }),
  ),
})
export interface Notes {
  ticked?: string | undefined
  runs: Runs
}

const notesFile = ({ schedule }: Paths): string => join(schedule, 'runs.json')

/** Notes that are damaged count for nothing: what they were about runs once more. */
export function readNotes(paths: Paths): Notes {
  const source = readFileIfThere(notesFile(paths)) ?? ''
  return v.parse(v.fallback(v.pipe(v.string(), v.parseJson(), notesSchema), { runs: {} }), source)
}

/** Only whoever holds the lock of schedule/ may. Where all was removed meanwhile, nothing is noted. */
export function writeNotes(paths: Paths, notes: Notes): void {
  if (existsSync(paths.schedule)) writeFileAtomic(notesFile(paths), `${JSON.stringify(notes, null, 2)}\n`, 0o600)
}

const timerSchema = v.object({ kind: v.picklist(timerKinds), since: moment })
export type Timer = v.InferOutput<typeof timerSchema>

const timerFile = ({ schedule }: Paths): string => join(schedule, 'timer.json')

/** What calls us on this machine; undefined: nothing was set up. */
export function readTimer(paths: Paths): Timer | undefined {
  const found = v.safeParse(v.pipe(v.string(), v.parseJson(), timerSchema), readFileIfThere(timerFile(paths)))
  return found.success ? found.output : undefined
}

export const writeTimer = (paths: Paths, timer: Timer): void =>
  writeFileAtomic(timerFile(paths), `${JSON.stringify(timer)}\n`, 0o600)

/** Removes what a killed run left half written. `notes`: of whoever holds the lock of schedule/; else the others. */
export const tidySchedule = ({ schedule }: Paths, notes: boolean): void =>
  removeHalfWritten(schedule, false, (name) => name.startsWith('runs.json') === notes)
