// schedule --run: what is due is done, one verb after the other, and noted. A timer calls it every few minutes.
import { existsSync } from 'node:fs'
import { type Cluster, requireRecorded } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { atWork, atWorkCode, takeLock } from '../core/lock.ts'
import { runPipeline } from '../core/pipeline.ts'
import { clock, print, type Run, run, today } from '../core/run.ts'
import { perform, type Verb } from '../core/script.ts'
import { listed } from '../core/terminal.ts'
import {
  begun,
  dueNow,
  ended,
  readNotes,
  readSchedules,
  readTimer,
  removeTimer,
  type Schedulable,
  type Schedule,
  tidySchedule,
  withCutShort,
  writeNotes,
} from '../schedule/index.ts'
import { runOf } from './fleet-look.ts'
import { sayDone } from './say.ts'

type Load = (name: Schedulable) => Promise<Verb>

/** How a run of a verb ended. */
interface Performed extends Pick<Run, 'closing' | 'failure' | 'log'> {
  exitCode: number
}

/** Performs a verb on the cluster, in this process. Nothing of it is printed. */
export async function performed(cluster: Cluster, verb: Verb, words: string[]): Promise<Performed> {
  const nowhere = { write: () => true }
  const one = runOf({ stdout: nowhere, stderr: nowhere })
  const exitCode = await perform(verb, [...words, '--cluster', cluster.name], one)
  const { closing, failure, log } = one
  return { exitCode, closing, failure, log }
}

/**
 * Does what is due. While a verb is at work on the cluster, or another run of this, all is left for the next time.
 * @throws OperationError when something failed
 */
export async function runDue(cluster: Cluster, load: Load): Promise<void> {
  if (!cluster.recorded) return endWithCluster(cluster)
  const release = await lockOr(cluster, undefined)
  if (!release) return sayRan(cluster, [])
  try {
    tidySchedule(cluster.paths, true)
    const { runs } = readNotes(cluster.paths)
    const notes = { ticked: today().toISOString(), runs: withCutShort(runs) }
    writeNotes(cluster.paths, notes)
    const schedules = readSchedules(cluster.paths)
    const ran: [verb: Schedulable, how: Performed][] = []
    for (const verb of dueNow(schedules, notes.runs, clock())) {
      if (await atWork(cluster.paths.state)) break
      const how = await runOne(cluster, verb, schedules[verb] as Schedule, load)
      if (!isLate(how)) ran.push([verb, how])
    }
    sayRan(cluster, ran)
  } finally {
    release()
  }
}

/** The cluster is gone, and whoever removed it did not remove the timer. @throws UsageError where there is none */
async function endWithCluster(cluster: Cluster): Promise<void> {
  if (!readTimer(cluster.paths)) requireRecorded(cluster)
  await removeTimer(cluster)
  sayDone(cluster, 'schedule', `There is no cluster ${cluster.name} any more. Its timer is removed.`, { ran: [] })
}

/** Runs a verb that is scheduled now, whether it is due or not. @throws what the verb throws */
export async function runNow(cluster: Cluster, verb: Schedulable, load: Load): Promise<void> {
  const schedule = readSchedules(cluster.paths)[verb]
  if (!schedule) throw new UsageError(`${verb} is not scheduled for ${cluster.name}.`)
  const release = await lockOr(cluster, 'refuse')
  try {
    let how: Performed | undefined
    await runPipeline([
      {
        title: `Do what is scheduled: ${[verb, ...schedule.words].join(' ')}`,
        task: async () => {
          how = await runOne(cluster, verb, schedule, load)
          if (how.exitCode !== 0) throw how.failure
        },
      },
    ])
    sayDone(cluster, 'schedule', how?.closing ?? `${verb} is done.`, { ran: [{ verb, exitCode: 0 }] })
  } finally {
    release?.()
  }
}

/** Another run holds that lock. */
const isAtWork = (error: unknown): boolean => error instanceof OperationError && error.more.code === atWorkCode
/** Another verb was faster. */
const isLate = ({ failure }: Performed): boolean => isAtWork(failure)

/**
 * Two of these never run at once: they have a lock of their own, since each verb takes the cluster's.
 * @returns undefined where another one is at work, unless that is refused
 */
async function lockOr({ paths }: Cluster, refuse: 'refuse' | undefined): Promise<(() => void) | undefined> {
  // nothing is scheduled here, or all of it was removed just now
  if (!existsSync(paths.schedule)) return () => {}
  try {
    return await takeLock(paths.schedule, 'schedule --run')
  } catch (error) {
    if (!refuse && isAtWork(error)) return undefined
    throw error
  }
}

/** Where another verb was faster nothing is noted, and it is due still. */
async function runOne(cluster: Cluster, verb: Schedulable, schedule: Schedule, load: Load): Promise<Performed> {
  const { paths } = cluster
  const before = readNotes(paths)
  const ran = begun(schedule, before.runs[verb], today())
  writeNotes(paths, { ...before, runs: { ...before.runs, [verb]: ran } })
  const how = await performed(cluster, await load(verb), schedule.words)
  run().throwIfStopped() // the note has no end: the next run finds that it was cut short
  const { exitCode, closing: sentence, log } = how
  const now = isLate(how) ? before.runs[verb] : ended(ran, { exitCode, sentence, log }, today())
  const { [verb]: _, ...others } = readNotes(paths).runs
  writeNotes(paths, { ...readNotes(paths), runs: { ...others, ...(now && { [verb]: now }) } })
  return how
}

/** Nothing is printed while all goes well: cron mails whatever is. */
function sayRan(cluster: Cluster, ran: [verb: Schedulable, how: Performed][]): void {
  const told = ran.map(([verb, { exitCode, closing = null, log = null }]) => ({
    verb,
    exitCode,
    sentence: closing,
    log,
  }))
  const failed = told.filter(({ exitCode }) => exitCode !== 0)
  const now = command(cluster, `schedule ${failed[0]?.verb} --run`)
  if (failed.length > 0)
    throw new OperationError(
      `What is scheduled for ${cluster.name} failed: ${listed(failed.map(({ verb }) => verb))}.`,
      {
        lines: failed.map(({ verb, sentence }) => `  ${verb}: ${sentence}`),
        hint: `It is tried again, later each time. To try it now: ${now}`,
      },
    )
  if (run().json) print(`${JSON.stringify({ cluster: cluster.name, ran: told })}\n`)
}
