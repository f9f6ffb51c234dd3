// What is wrong with what is done by the clock: a run that failed, and a timer that does not call us any more.
import type { Cluster } from '../core/cluster.ts'
import { clock } from '../core/run.ts'
import type { Finding } from '../etcd/findings.ts'
import { isIdle, lastRun, schedulable } from './due.ts'
import { readNotes, readSchedules, readTimer } from './store.ts'

/** How each verb that is scheduled does, for our own metrics. Moments in ms. */
export interface Scheduled {
  /** When it was last looked what is due; undefined: never on this machine. */
  ticked: number | undefined
  /** `began`: undefined where it has never run. */
  verbs: { verb: string; began: number | undefined; failed: boolean }[]
}

/** Undefined: nothing is scheduled. @throws UsageError where the schedules are damaged */
export function scheduledOf({ paths }: Cluster): Scheduled | undefined {
  const schedules = readSchedules(paths)
  const { ticked, runs } = readNotes(paths)
  const verbs = schedulable.flatMap((verb) => {
    const last = lastRun(verb, schedules, runs)
    return schedules[verb] ? { verb, began: last && Date.parse(last.began), failed: (last?.fails ?? 0) > 0 } : []
  })
  return verbs.length > 0 ? { ticked: ticked === undefined ? undefined : Date.parse(ticked), verbs } : undefined
}

/** @throws UsageError where the schedules are damaged */
export function scheduleFindings({ paths }: Cluster): Finding[] {
  const schedules = readSchedules(paths)
  const all = schedulable.filter((verb) => schedules[verb])
  if (all.length === 0) return []
  const { ticked, runs } = readNotes(paths)
  const signs = [ticked, readTimer(paths)?.since].flatMap((sign) => (sign ? Date.parse(sign) : []))
  const failed = all.flatMap((verb): Finding[] => {
    const last = lastRun(verb, schedules, runs)
    if (!last || last.fails === 0) return []
    const at = (last.ended ?? last.began).slice(0, 16).replace('T', ' ')
    return [{ code: 'schedule-failed', what: verb, at, reason: lower(last.sentence ?? 'it did not say why') }]
  })
  const idle: Finding = { code: 'schedule-idle', what: all.join(', ') }
  return [...failed, ...(isIdle(signs, clock()) ? [idle] : [])]
}

/** As it stands in the middle of a sentence, without its full stop. */
const lower = (sentence: string): string => sentence.replace(/\.$/, '')
