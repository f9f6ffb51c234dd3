// When work that is scheduled is due, by what is noted of its last run. Pure: no clock, no file.

/** The verbs that can be scheduled, in the order in which they run where several are due. */
export const schedulable = ['backup', 'defrag', 'verify', 'metrics'] as const
export type Schedulable = (typeof schedulable)[number]

export interface Schedule {
  /** As it was typed: 6h. */
  every: string
  /** When it is due for the first time, in ISO 8601; then again after each period. */
  from: string
  /** When it was scheduled. It tells one schedule of a verb from a later one. */
  made: string
  /** What the verb itself takes. */
  words: string[]
}
export type Schedules = Partial<Record<Schedulable, Schedule>>

/** What is noted of a verb's last run. */
export interface Ran {
  /** The `made` of the schedule that it was for. */
  of: string
  began: string
  /** Not there while it runs, and where it was cut short. */
  ended?: string | undefined
  /** Null: it was cut short. */
  exitCode?: number | null | undefined
  /** How it ended, as the verb said it. */
  sentence?: string | undefined
  log?: string | undefined
  /** How many runs in a row have failed. */
  fails: number
}
export type Runs = Partial<Record<Schedulable, Ran>>

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000]
const units: Record<string, number> = { m: minute, h: hour, d: day, w: 7 * day }

/** How often it is looked what is due, in minutes. */
export const tickMinutes = 5
/** A period shorter than two looks could not be kept; one longer than a year is a mistake. In ms. */
const [shortest, longest] = [2 * tickMinutes * minute, 52 * 7 * day]

/** Milliseconds of a period as it is typed: 30m, 6h, 1d, 2w. Undefined: it is none. */
export function periodOf(text: string): number | undefined {
  const [, count, unit = ''] = /^([1-9]\d{0,4})([mhdw])$/.exec(text) ?? []
  const ms = Number(count) * (units[unit] ?? Number.NaN)
  return ms >= shortest && ms <= longest ? ms : undefined
}
export const notPeriod = 'must be a period from 10m to 52w, such as 30m, 6h, 1d or 2w'

/** The next moment at which a clock on the wall shows that time (02:30). Undefined: it is none. */
export function nextTime(text: string, now: Date): Date | undefined {
  const [, hours, minutes] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? []
  if (hours === undefined) return undefined
  const at = new Date(now)
  at.setHours(Number(hours), Number(minutes), 0, 0)
  if (at <= now) at.setDate(at.getDate() + 1)
  return at
}

/** So far ahead the clock may have been without having been wrong, in ms. */
const skew = 2 * tickMinutes * minute

/**
 * When a schedule is due, in ms; at or before `now`: it is due now. However many times were missed, it runs once, and
 * then at its usual times. What is noted of the future was noted by a wrong clock, and counts for nothing.
 */
export function dueAt(schedule: Schedule, ran: Ran | undefined, now: number): number {
  const period = periodOf(schedule.every) ?? day
  const first = firstTime(Date.parse(schedule.from), period, now)
  if (ran?.of !== schedule.made) return first
  const last = Date.parse(ran.began)
  if (last > now + skew) return now
  if (ran.fails > 0) {
    const ended = Date.parse(ran.ended ?? ran.began)
    return ended > now + skew ? now : ended + backOff(ran.fails, period)
  }
  return first + (Math.floor((last - first) / period) + 1) * period
}

/** A first time that is more than a day ahead was worked out by a wrong clock. */
const firstTime = (from: number, period: number, now: number): number =>
  from - now > day ? from - Math.ceil((from - now) / period) * period : from

/** How long after a failed run it is tried again: a quarter of an hour, then twice as long each time. */
const backOff = (fails: number, period: number): number => Math.min(15 * minute * 2 ** (fails - 1), period, day)

/** The verbs that are due. */
export const dueNow = (schedules: Schedules, runs: Runs, now: number): Schedulable[] =>
  schedulable.filter((verb) => {
    const schedule = schedules[verb]
    return schedule !== undefined && dueAt(schedule, runs[verb], now) <= now
  })

/** The last run of the schedule that there is now. */
export const lastRun = (verb: Schedulable, schedules: Schedules, runs: Runs): Ran | undefined =>
  runs[verb]?.of === schedules[verb]?.made ? runs[verb] : undefined

/** What is noted as a run begins. Until it has ended, what the one before said still counts. */
export const begun = ({ made }: Schedule, before: Ran | undefined, now: Date): Ran => ({
  of: made,
  began: now.toISOString(),
  ...(before?.of === made
    ? { fails: before.fails, sentence: before.sentence, exitCode: before.exitCode, log: before.log }
    : { fails: 0 }),
})

export const ended = (
  ran: Ran,
  how: { exitCode: number; sentence: string | undefined; log: string | undefined },
  now: Date,
): Ran => ({ ...ran, ...how, ended: now.toISOString(), fails: how.exitCode === 0 ? 0 : ran.fails + 1 })

/** Nobody runs any of them: what has no end was killed, and counts as failed. */
export const withCutShort = (runs: Runs): Runs =>
  Object.fromEntries(Object.entries(runs).map(([verb, ran]) => [verb, ran.ended === undefined ? cutShort(ran) : ran]))

const cutShort = (ran: Ran): Ran => ({
  ...ran,
  ended: ran.began,
  exitCode: null,
  sentence: 'It was cut short: the machine or the run was stopped.',
  fails: ran.fails + 1,
})

/** So long nobody may have looked what is due before that is told, in ms. */
const idleMs = hour

/** Whether nobody looks any more what is due. `signs`: when somebody last did, or set the timer up. */
export const isIdle = (signs: number[], now: number): boolean => signs.every((sign) => Math.abs(now - sign) > idleMs)
