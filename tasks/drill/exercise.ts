// What drill and smoke are made of: a load at work on a cluster, a fault, its healing, and the check that all held.
// However it ends, what it broke is healed.
import { existsSync } from 'node:fs'
import { requireRecorded, resolveCluster } from '../core/cluster.ts'
import type { Settings } from '../core/config.ts'
import { UsageError } from '../core/errors.ts'
import { atWork } from '../core/lock.ts'
import { runPipeline, type Task } from '../core/pipeline.ts'
import { birthOf } from '../core/processes.ts'
import { clock, inRun, Run, run, sleep } from '../core/run.ts'
import { type Load, startLoad } from '../etcd/load.ts'
import { Scripts } from '../scripts.ts'
import type { Blow } from './blows.ts'
import type { Fault } from './faults.ts'
import { handsOn, undoAll } from './hands.ts'
import { type Line, Mark } from './mark.ts'
import type { DrillReport } from './report.ts'
import { broken, resultOf, slices, type Window } from './results.ts'

/** How long a fault lasts before anybody does anything about it, and how long all is left alone after it, ms. */
const lastsMs = 3000
const calmMs = 1500
/** How long each client waits between two operations, ms: some 70 a second show each stall, and spare the cluster. */
const pauseMs = 100
/** The load ends by itself after this time. */
const maxSeconds = 900

export interface Exercise {
  scripts: Scripts
  mark: Mark
  /** The cluster is the person's own; else it is made for the exercise, and removed at its end. */
  own: boolean
  started: number
  load?: Load
  /** The fault that was made, and is not healed yet. */
  struck?: Blow & { fault: Fault; at: number }
  windows: Window[]
}

export type Judged = Omit<DrillReport, 'leftOut' | 'ended'>
type Say = (what: string) => void

/** @throws UsageError where it needs a cluster of its own, and there is one of that name which no exercise has made */
export async function prepare(settings: Settings, own: boolean, hint: string): Promise<Exercise> {
  const cluster = await resolveCluster(settings)
  const { name, recorded, paths } = cluster
  const mark = new Mark(cluster)
  if (own) requireRecorded(cluster)
  else if (!mark.noted.scratch && (recorded || existsSync(paths.certs) || existsSync(paths.backups)))
    throw new UsageError(`A cluster ${name} is here already; this needs one of its own, which it removes at the end.`, {
      hint,
    })
  return { scripts: new Scripts(name, settings), mark, own, started: clock(), windows: [] }
}

/** Carries the steps out. What an exercise that was killed left is taken back first. */
export async function carryOut(at: Exercise, steps: Task[]): Promise<void> {
  const { scripts, mark, own } = at
  at.started = clock()
  mark.note({ scratch: !own, pid: process.pid, birth: await birthOf(process.pid) })
  await undoAll(await scripts.cluster(), mark)
  try {
    await runPipeline(steps)
  } catch (error) {
    await putRight(at)
    throw error
  }
}

/** Brings the cluster up; one that a killed exercise left broken by the verb that was due. */
export async function bringUp({ scripts, mark }: Exercise, say: Say): Promise<void> {
  const { paths } = await scripts.cluster()
  const idle = async (): Promise<boolean> => (await atWork(paths.state))?.suspended !== false
  if (!(await idle())) say('waits for the verb that is at work') // which a killed exercise has begun
  while (!(await idle())) await sleep(200)
  await scripts.passes(...(mark.noted.heal ?? ['up', '--yes']))
  mark.note({ heal: null })
}

/** Makes a fault while clients write and read, and leaves the cluster alone with it. @returns what was done */
export async function strike(at: Exercise, fault: Fault, say: Say): Promise<string> {
  const hands = await handsOn(at.scripts, at.mark)
  at.load ??= startLoad(hands.cluster, { pauseMs, maxSeconds })
  await sleep(calmMs)
  run().mendsFirst = true
  const struck = clock()
  say(fault.means)
  const blow = await fault.strike(hands)
  at.struck = { ...blow, fault, at: struck }
  say(blow.did)
  await sleep(lastsMs)
  return blow.did
}

/** Heals the fault, and has verify prove that the cluster is whole. */
export async function heal({ scripts, mark, struck, windows }: Exercise, say: Say): Promise<Window> {
  if (!struck) throw new Error('nothing was broken')
  const { fault, did, heal: line, at } = struck
  await undoAll(await scripts.cluster(), mark)
  say(`${did}; ${line ? told(line) : 'it is over'}`)
  if (line) await scripts.passes(...line)
  await scripts.passes('verify', '--json')
  mark.note({ heal: null })
  const healedBy = line ? told(line) : 'itself'
  const { name, outage = false } = fault
  const window = { name, did, healedBy, struck: at, healed: clock(), outage }
  windows.push(window)
  return window
}

/** Ends the load, reads back what it wrote, and says what held. */
export async function judge({ scripts, load, windows, started }: Exercise): Promise<Judged> {
  if (!load) throw new Error('nothing was written')
  await sleep(calmMs)
  const report = await load.stop()
  const { operations, there } = load.history()
  const { name, etcd, hosts } = await scripts.cluster()
  const results = windows.map((window) => resultOf(window, operations, there))
  return {
    cluster: name,
    version: etcd.version ?? '',
    members: hosts.length,
    started,
    results,
    broken: broken(results, report, operations),
    load: report,
    latency: slices(operations, operations[0]?.start ?? started, clock(), 500),
  }
}

/** The end of a cluster that was made for the exercise; a person's own stays. */
export async function finish({ scripts, mark, own }: Exercise): Promise<void> {
  if (own) mark.forget()
  else await scripts.passes('down', '--purge', '--yes')
}

/** An exercise that was stopped, or failed, leaves nothing broken. This run is over: another one does it. */
async function putRight({ scripts, mark, load }: Exercise): Promise<void> {
  const { env, stderr } = run()
  const { heal: line, undos = [] } = mark.noted
  if (line || undos.length > 0) {
    const how = line ? `: ${told(line)}` : ''
    stderr.write(`What was broken is put right first${how} (Ctrl-C again leaves it broken)\n`)
    const mend = async (): Promise<void> => {
      await undoAll(await scripts.cluster(), mark)
      if (line) await scripts.passes(...line)
      mark.note({ heal: null })
    }
    await inRun(new Run({ env }), mend).catch(() => stderr.write('That failed; the next drill tries it again.\n'))
  }
  await load?.stop().catch(() => undefined)
}

/** As a person says it, without its flags. */
const told = (line: Line): string => line.filter((word) => !word.startsWith('--')).join(' ')
