// schedule: what is to be done by the clock is noted, and a timer of this machine set up that calls us to do it.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { UsageError } from '../core/errors.ts'
import { clock, run, tell, today } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { shellQuoted } from '../core/shell.ts'
import { age, chalk, listed, table } from '../core/terminal.ts'
import {
  checkRemoval,
  checkTimer,
  dueAt,
  lastRun,
  readNotes,
  readSchedules,
  readTimer,
  removeTimer,
  type Schedulable,
  type Schedule,
  type Schedules,
  schedulable,
  setUpTimer,
  tickMinutes,
  tickOf,
  timerNames,
  writeSchedules,
} from '../schedule/index.ts'
import { sayDone, sayPlan } from './say.ts'
import { performed } from './schedule-run.ts'

/** What a person asks for. `first`: when it is due for the first time; undefined: at once. */
export interface Wish {
  verb: Schedulable
  every: string
  first: Date | undefined
  words: string[]
}

/** Notes it and sees to the timer; the same once more changes nothing. @throws UsageError for words that are wrong */
export async function schedule(cluster: Cluster, wish: Wish, asked: Verb, plan: boolean): Promise<void> {
  const kind = await checkTimer(cluster)
  await tryOut(cluster, asked, wish.words)
  const before = readSchedules(cluster.paths)
  const next = wished(wish, before[wish.verb])
  const last = lastRun(wish.verb, { [wish.verb]: next }, readNotes(cluster.paths).runs)
  const due = dueAt(next, last, clock())
  const starts = due <= clock() ? `within ${tickMinutes} minutes` : `at ${local(new Date(due).toISOString())}`
  const told = `${lineOf(wish)} every ${wish.every}`
  if (plan) return sayPlan(cluster, 'schedule', [`do ${told}, the next time ${starts}`, timerLine(cluster, kind)])
  writeSchedules(cluster.paths, { ...before, [wish.verb]: next })
  await setUpTimer(cluster)
  run().changes.push(`scheduled ${told}`)
  const sentence = `Scheduled: ${told}, by ${timerNames[kind]}. The next run begins ${starts}.`
  sayDone(cluster, 'schedule', sentence, { schedules: { [wish.verb]: next }, timer: kind })
}

/** What was asked before as it is asked now goes on at its times. */
function wished({ every, first, words }: Wish, before: Schedule | undefined): Schedule {
  const same = before?.every === every && JSON.stringify(before.words) === JSON.stringify(words)
  const now = today().toISOString()
  if (before && same && (!first || timeOf(first) === timeOf(new Date(before.from)))) return before
  return { every, from: first?.toISOString() ?? now, made: now, words }
}

const timeOf = (moment: Date): string => `${moment.getHours()}:${moment.getMinutes()}`

/**
 * Flags that the verb does not take are refused now, and not at night. Where it would fail for another reason, that is
 * a warning.
 */
async function tryOut(cluster: Cluster, verb: Verb, words: string[]): Promise<void> {
  const { exitCode, failure, closing } = await performed(cluster, verb, [
    ...words,
    ...(verb.flags?.plan ? ['--plan'] : []),
  ])
  run().throwIfStopped()
  if (exitCode === 2 && failure instanceof UsageError) throw failure
  if (exitCode !== 0) run().warn(`${verb.name} would fail now: ${closing}`)
}

const timerLine = (cluster: Cluster, kind: keyof typeof timerNames): string =>
  `look every ${tickMinutes} minutes what is due, by ${timerNames[kind]} (${tickOf(cluster).name})`

const lineOf = ({ verb, words }: { verb: string; words: string[] }): string =>
  [verb, ...words.map(shellQuoted)].join(' ')

/** Sets the timer up again, as this machine is now. @throws UsageError where nothing is scheduled */
export async function repairTimer(cluster: Cluster, plan: boolean): Promise<void> {
  if (Object.keys(readSchedules(cluster.paths)).length === 0) throw nothing(cluster)
  const kind = await checkTimer(cluster)
  if (plan) return sayPlan(cluster, 'schedule', [timerLine(cluster, kind)])
  await setUpTimer(cluster)
  run().changes.push('set the timer up')
  const sentence = `Every ${tickMinutes} minutes ${timerNames[kind]} looks what is due.`
  sayDone(cluster, 'schedule', sentence, { timer: kind })
}

const nothing = (cluster: Cluster): UsageError =>
  new UsageError(`Nothing is scheduled for ${cluster.name}.`, {
    hint: `For example: ${command(cluster, 'schedule backup --every 1d')}`,
  })

/** Removes one schedule, or all; with the last one the timer goes. @throws UsageError for one that is not there */
export async function unschedule(cluster: Cluster, verb: Schedulable | undefined, plan: boolean): Promise<void> {
  const schedules = readSchedules(cluster.paths)
  const timer = readTimer(cluster.paths)
  const gone = schedulable.filter((one) => schedules[one] && (!verb || one === verb))
  if (gone.length === 0 && (verb || !timer))
    throw verb ? new UsageError(`${verb} is not scheduled for ${cluster.name}.`) : nothing(cluster)
  const left = Object.fromEntries(Object.entries(schedules).filter(([one]) => !gone.some((verb) => verb === one)))
  const isLast = Object.keys(left).length === 0
  if (isLast) await checkRemoval(cluster)
  if (plan)
    return sayPlan(cluster, 'schedule', [
      ...gone.map((one) => `do ${one} by the clock no more`),
      ...(isLast && timer ? [`remove ${timerNames[timer.kind]} (${tickOf(cluster).name})`] : []),
    ])
  writeSchedules(cluster.paths, left)
  if (isLast) await removeTimer(cluster)
  run().changes.push(...gone.map((one) => `unscheduled ${one}`))
  const what = gone.length > 0 ? `${listed(gone)} ${gone.length === 1 ? 'is' : 'are'} no longer scheduled.` : ''
  sayDone(cluster, 'schedule', `${what}${isLast ? ' The timer is removed.' : ''}`.trim(), { removed: gone })
}

/** What is scheduled, when it is due, and how the last runs ended. */
export function listSchedules(cluster: Cluster): void {
  const { paths } = cluster
  const [schedules, { ticked, runs }, timer] = [readSchedules(paths), readNotes(paths), readTimer(paths)]
  const rows = schedulable.flatMap((verb) => (schedules[verb] ? [rowOf(verb, schedules, runs)] : []))
  const data = { cluster: cluster.name, timer: timer?.kind ?? null, ticked: ticked ?? null, schedules: rows }
  const empty = `Nothing is scheduled for ${cluster.name}.`
  const last = ticked ? `; it last looked ${age(clock() - Date.parse(ticked))} ago` : ''
  const by = timer ? `By ${timerNames[timer.kind]}${last}.` : 'No timer is set up on this machine.'
  tell(data, rows.length > 0 ? `${tableOf(rows)}\n\n${by}` : empty)
}

type Row = ReturnType<typeof rowOf>

function tableOf(rows: Row[]): string {
  const titles = ['VERB', 'EVERY', 'NEXT', 'LAST', 'HOW IT ENDED'].map((title) => chalk.dim(title))
  const cells = rows.map(({ line, every, due, began, sentence, failed }) => [
    ...[line, every, Date.parse(due) <= clock() ? 'now' : local(due), began ? local(began) : 'never'],
    failed ? chalk.red(sentence ?? '') : (sentence ?? ''),
  ])
  return table([titles, ...cells])
}

function rowOf(verb: Schedulable, schedules: Schedules, runs: ReturnType<typeof readNotes>['runs']) {
  const { every, from, made, words } = schedules[verb] as Schedule
  const last = lastRun(verb, schedules, runs)
  const due = new Date(dueAt({ every, from, made, words }, last, clock())).toISOString()
  return {
    ...{ verb, line: lineOf({ verb, words }), words, every, due, began: last?.began ?? null },
    ...{ ended: last?.ended ?? null, exitCode: last?.exitCode ?? null, sentence: last?.sentence ?? null },
    ...{ failed: (last?.fails ?? 0) > 0, log: last?.log ?? null },
  }
}

/** By this machine's clock, as it shows on the wall: 2026-11-27 02:30. */
function local(iso: string): string {
  const at = new Date(iso)
  const two = (count: number): string => String(count).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`
}
