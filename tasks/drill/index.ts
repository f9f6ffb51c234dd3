// The fire drill: a load at work, one fault after another, each healed by the verb that it is healed by in real life.
import { statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Cluster, resolveCluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import type { Settings } from '../core/config.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { whyNotWritable } from '../core/files.ts'
import type { Task } from '../core/pipeline.ts'
import { clock, today } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { capital, duration, listed } from '../core/terminal.ts'
import { bringUp, carryOut, type Exercise, finish, heal, type Judged, judge, prepare, strike } from './exercise.ts'
import { choose, type Fault, type LeftOut, possible } from './faults.ts'
import { type DrillReport, html } from './report.ts'
import { sayPlan, sayResult } from './say.ts'

export interface DrillOptions {
  /** The cluster is the person's own; else one for the drill alone. */
  own: boolean
  /** Names of faults; undefined: all that can be made here. */
  only: string[] | undefined
  /** The report's file; undefined: one of the cluster's name and the time, where the person stands. */
  report: string | undefined
  plan: boolean
}

/** @throws OperationError where a promise did not hold, or what a fault broke could not be healed */
export async function drill(settings: Settings, { own, only, report, plan }: DrillOptions): Promise<void> {
  const cluster = await resolveCluster(settings)
  const { name } = cluster
  const hint = `Drill that one: ${command(cluster, 'drill')}. Or remove it: ${command(cluster, 'down --purge')}`
  const at = await prepare(settings, own, hint)
  const chosen = choose(only)
  const path = requireWritable(report ?? reportName(cluster))
  const { can, leftOut } = await possible(cluster, chosen)
  if (plan) return sayPlan(cluster, can, leftOut)
  await at.mark.requireIdle()
  if (can.length === 0) throw new UsageError(`Nothing can be drilled here. ${capital(leftOut[0]?.join(': ') ?? '')}.`)
  const times = can.length === 1 ? 'once' : `${can.length} times`
  const question = `Break ${name}, which holds data, on purpose ${times}, and heal it each time?`
  if (own && !(await confirm(question))) throw new OperationError('Nothing was changed.')
  const data = await exercise(at, chosen)
  sayResult(data, path)
  writeFileSync(path, html(data))
  if (data.broken.length > 0)
    throw new OperationError(`${name} did not hold: ${listed(data.broken)}.`, { hint: `See ${path}` })
}

const reportName = ({ name }: Cluster): string =>
  `drill-${name}-${today().toISOString().slice(0, 19).replaceAll(':', '-')}.html`

/** Tried before anything is broken. @throws UsageError */
function requireWritable(report: string): string {
  const path = resolve(report)
  const folder = dirname(path)
  const no = (why: string): UsageError => new UsageError(`The report cannot be written to ${path}: ${why}.`)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw no(`there is no folder ${folder}`)
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw no('it is a folder')
  const why = whyNotWritable(folder)
  if (why) throw no(why)
  return path
}

async function exercise(at: Exercise, chosen: Fault[]): Promise<DrillReport> {
  const left: LeftOut = []
  let judged: Judged | undefined
  await carryOut(at, [
    { title: 'up', task: (_, task) => bringUp(at, (what) => void (task.output = what)) },
    ...chosen.map((fault) => faulty(at, fault, left)),
    { title: 'Read back what was written', task: async () => void (judged = await judge(at)) },
    { title: at.own ? 'Forget the drill' : 'Remove the cluster', task: () => finish(at) },
  ])
  return { ...(judged as unknown as Judged), leftOut: left, ended: clock() }
}

const faulty = (at: Exercise, fault: Fault, left: LeftOut): Task => ({
  title: fault.name,
  task: async (_, task) => {
    const why = await fault.lacks?.(await at.scripts.cluster())
    if (why) {
      left.push([fault.name, why])
      return task.skip(`${fault.name}: ${why}`)
    }
    const say = (what: string): void => void (task.output = what)
    await strike(at, fault, say)
    const { did, healedBy, healed, struck } = await heal(at, say)
    task.title = `${fault.name}: ${did}; healed by ${healedBy} in ${duration(healed - struck)}`
  },
})
