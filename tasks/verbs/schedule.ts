import { isAbsolute } from 'node:path'
import { requireRecorded } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import { type Flags, parseAfter, planFlag } from '../core/flags.ts'
import { today } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { suggest } from '../core/suggest.ts'
import { listed } from '../core/terminal.ts'
import { listSchedules, repairTimer, schedule, unschedule, type Wish } from '../operations/schedule.ts'
import { runDue, runNow } from '../operations/schedule-run.ts'
import { nextTime, notPeriod, periodOf, type Schedulable, schedulable } from '../schedule/index.ts'

const modes = ['every', 'list', 'remove', 'run', 'repair'] as const

export const verb: Verb = {
  name: 'schedule',
  summary: 'Do backup, defrag, verify or metrics by the clock, and see how it went.',
  words: {
    ...{ usage: '[VERB] [-- WORDS]', least: 0, most: Number.POSITIVE_INFINITY },
    hint: 'What the verb itself takes goes after --.',
  },
  writes: true,
  evenHalfDone: true,
  byRecord: true,
  flags: {
    every: { value: 'PERIOD', summary: 'how often: 30m, 6h, 1d, 2w' },
    at: { value: 'HH:MM', summary: "for the first time then, by this machine's clock (default: at once)" },
    list: { summary: 'what is scheduled, when it is due, how it ended' },
    remove: { summary: 'schedule VERB no more; without VERB: nothing any more' },
    run: { summary: 'do what is due, as the timer does; with VERB: do that now' },
    repair: { summary: 'set the timer up again, with the Node and PATH of now' },
    ...planFlag,
  },
  help: `VERB: ${listed([...schedulable])}. What the verb itself takes goes after --.

A timer of this machine does it: systemd's, else cron. While the machine was off
it is made up for, once. A run that fails is shown by status, and tried again.
docs/schedule.md has the rest.

Examples:
  npx zx scripts/schedule.ts backup --every 6h -- --keep 14
  npx zx scripts/schedule.ts verify --every 1d --at 06:15
  npx zx scripts/schedule.ts metrics --every 10m -- --output /PATH/FILE.prom
  npx zx scripts/schedule.ts --list`,
  act: async (cluster, given, words) => {
    const { mode, name, own } = asked(given, words)
    if (mode !== 'run' || name) requireRecorded(cluster)
    if (mode === 'list') return listSchedules(cluster)
    if (mode === 'run') return name ? runNow(cluster, name, load) : runDue(cluster, load)
    if (mode === 'repair') return repairTimer(cluster, given.plan === true)
    if (mode === 'remove') return unschedule(cluster, name, given.plan === true)
    const wish = wishOf(given, name, own)
    const verb = await load(wish.verb)
    refuseWords(verb, own)
    return schedule(cluster, wish, verb, given.plan === true)
  },
}

/** By its name, and only when it is asked for. */
const load = async (name: Schedulable): Promise<Verb> => ((await import(`./${name}.ts`)) as { verb: Verb }).verb

/** @throws UsageError for flags and words that do not go together */
function asked(given: Flags, [name, ...own]: string[]) {
  const [mode = name === undefined ? 'list' : 'every', other] = modes.filter((flag) => given[flag])
  if (other) throw new UsageError(`--${mode} and --${other} exclude each other.`)
  if (given.at !== undefined && mode !== 'every') throw new UsageError(`--at does not go with --${mode}.`)
  if (given.plan && ['list', 'run'].includes(mode)) throw new UsageError(`--plan does not go with --${mode}.`)
  const isKnown = (one: string | undefined): one is Schedulable => schedulable.some((verb) => verb === one)
  if (name !== undefined && !isKnown(name))
    throw new UsageError(`${name} cannot be scheduled.${suggest(name, [...schedulable])}`, {
      hint: `These can: ${listed([...schedulable])}.`,
    })
  const extra = mode === 'every' ? undefined : ['list', 'repair'].includes(mode) ? name : own[0]
  if (extra !== undefined) throw new UsageError(`Unexpected argument ${JSON.stringify(extra)}.`)
  return { mode, name, own }
}

/** @throws UsageError */
function wishOf({ every, at }: Flags, name: Schedulable | undefined, words: string[]): Wish {
  if (!name) throw new UsageError('VERB is missing.', { hint: `Name one: ${listed([...schedulable])}.` })
  if (every === undefined) throw new UsageError('--every is missing.', { hint: 'Say how often: --every 6h.' })
  if (!periodOf(String(every))) throw new UsageError(`--every ${notPeriod}, not ${JSON.stringify(every)}.`)
  const first = at === undefined ? undefined : nextTime(String(at), today())
  if (at !== undefined && !first) throw new UsageError(`--at must be a time such as 02:30, not ${JSON.stringify(at)}.`)
  return { verb: name, every: String(every), first, words }
}

/**
 * Flags of every verb say where and how it is run: that is decided here. What is printed by the clock nobody reads.
 * @throws UsageError
 */
function refuseWords({ flags: own, words: wanted, name }: Verb, words: string[]): void {
  const { flags, shared } = parseAfter(own, wanted, words)
  if (shared) throw new UsageError(`--${shared} does not go after the --: ${name} is performed by itself.`)
  if (own?.output && !isAbsolute(String(flags.output ?? '')))
    throw new UsageError(`By the clock ${name} needs --output with a path that begins with /.`, {
      hint: 'Add at the end: -- --output /var/lib/prometheus/node-exporter/FILE.prom',
    })
}
