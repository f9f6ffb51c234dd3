// What is done by the clock. No phase: the verb `schedule` uses it; `down`, `status` and `metrics` ask it.
export {
  begun,
  dueAt,
  dueNow,
  ended,
  lastRun,
  nextTime,
  notPeriod,
  periodOf,
  type Schedulable,
  type Schedule,
  type Schedules,
  schedulable,
  tickMinutes,
  withCutShort,
} from './due.ts'
export { scheduledOf, scheduleFindings } from './findings.ts'
export { readNotes, readSchedules, readTimer, tidySchedule, writeNotes, writeSchedules } from './store.ts'
export { checkRemoval, checkTimer, removeTimer, setUpTimer, tickOf } from './timer.ts'
export { timerNames } from './timers.ts'
