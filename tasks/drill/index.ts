// The fire drill: a load at work, one fault after another, each healed by the verb that it is healed by in real life.
import { accessSync, constants, existsSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Cluster, requireRecorded, resolveCluster } from '../core/cluster.ts'
import type { Settings } from '../core/config.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { runPipeline, type Task } from '../core/pipeline.ts'
import { birthOf } from '../core/processes.ts'
import { clock, inRun, print, Run, run, sleep, today } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { chalk, duration, listed, table } from '../core/terminal.ts'
import { type Load, startLoad } from '../etcd/load.ts'
import { Scripts } from '../scripts.ts'
import { type Fault, faults, type Hands, type Line, notYet } from './faults.ts'
import { Mark } from './mark.ts'
import { type DrillReport, html } from './report.ts'
import { broken, resultOf, slices, type Window } from './results.ts'

export interface DrillOptions {
  /** The cluster is the person's own; else one for the drill alone. */
  own: boolean
  /** Names of faults; undefined: all that can be made here. */
  only: string[] | undefined
  /** The report's file; undefined: one of the cluster's name and the time, where the person stands. */
  report: string | undefined
  plan: boolean
}

/** How long a fault lasts before anybody does anything about it, and how long all is left alone after it, ms. */
const lastsMs = 3000
const calmMs = 1500
/** How long each client waits between two operations, ms: some 70 a second show each stall, and spare the cluster. */
const loadPauseMs = 100
/** A drill ends by itself after this time. */
const maxSeconds = 900

/** @throws OperationError where a promise did not hold, or what a fault broke could not be healed */
export async function drill(settings: Settings, { own, only, report, plan }: DrillOptions): Promise<void> {
  const cluster = await resolveCluster(settings)
  const mark = new Mark(cluster)
  if (own) requireRecorded(cluster)
  else requireScratch(cluster, mark)
  const { chosen, left } = choose(cluster, only)
  const path = requireWritable(report ?? reportName(cluster))
  if (plan) return sayPlan(cluster, chosen, left)
  await mark.requireIdle()
  const times = chosen.length === 1 ? 'once' : `${chosen.length} times`
  const question = `Break ${cluster.name}, which holds data, on purpose ${times}, and heal it each time?`
  if (own && !(await confirm(question))) throw new OperationError('Nothing was changed.')
  const scripts = new Scripts(cluster.name, settings)
  const drilled = await carryOut(scripts, chosen, mark, own)
  const data: DrillReport = { ...drilled, leftOut: left, ended: clock() }
  say(data, path)
  writeFileSync(path, html(data))
  if (data.broken.length > 0)
    throw new OperationError(`${cluster.name} did not hold: ${listed(data.broken)}.`, { hint: `See ${path}` })
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
  try {
    accessSync(folder, constants.W_OK)
  } catch (error) {
    throw no((error as NodeJS.ErrnoException).code ?? '')
  }
  return path
}

/** What a drill did not make, it does not remove. @throws UsageError */
function requireScratch(cluster: Cluster, mark: Mark): void {
  const { name, recorded, paths } = cluster
  if (mark.scratch || !(recorded || existsSync(paths.certs) || existsSync(paths.backups))) return
  throw new UsageError(`There is a cluster ${name} already, which no drill has made.`, {
    hint: `Drill that one: npx zx scripts/drill.ts --cluster ${name}`,
  })
}

/** @throws UsageError for a fault that there is none of, or that cannot be made here */
function choose(cluster: Cluster, only: string[] | undefined): { chosen: Fault[]; left: [string, string][] } {
  const unknown = only?.find((name) => !Object.hasOwn(faults, name))
  if (unknown) throw new UsageError(`There is no fault ${unknown}. Valid: ${Object.keys(faults).join(', ')}.`)
  const wanted = Object.entries(faults).filter(([name]) => !only || only.includes(name))
  const impossible = ({ localOnly }: Fault): boolean => localOnly === true && cluster.provider !== 'local'
  const out = wanted.filter(([, fault]) => impossible(fault))
  const why = 'drills make it on local hosts only'
  return {
    chosen: wanted.filter(([, fault]) => !impossible(fault)).map(([, fault]) => fault),
    left: [...out.map(([, { name }]): [string, string] => [name, why]), ...Object.entries(notYet)],
  }
}

function sayPlan(cluster: Cluster, chosen: Fault[], left: [string, string][]): void {
  const where = cluster.recorded ? cluster.name : `${cluster.name}, a cluster for the drill alone`
  const lines = chosen.map(({ name, means }, index) => `${String(index + 1).padStart(2)}. ${name} (${means})`)
  const out = left.map(([name, why]) => `    ${name}: ${why}`)
  const text = [`What drill would do to ${where}; nothing was touched.`, '', ...lines, '', 'Left out:', ...out].join(
    '\n',
  )
  const plan = chosen.map(({ name }) => name)
  print(run().json ? `${JSON.stringify({ cluster: cluster.name, verb: 'drill', plan, leftOut: left })}\n` : `${text}\n`)
}

type Drilled = Omit<DrillReport, 'leftOut' | 'ended'>

async function carryOut(scripts: Scripts, chosen: Fault[], mark: Mark, own: boolean): Promise<Drilled> {
  const windows: Window[] = []
  let load: Load | undefined
  const faulty = (fault: Fault): Task => ({
    title: fault.name,
    task: async (_, task) => {
      run().mendsFirst = true
      const hands = {
        cluster: await scripts.cluster(),
        scripts,
        freeze: (pid: number) => mark.freeze(pid),
        foresee: (heal: Line) => mark.note({ heal }),
      }
      const window = await endure(fault, hands, mark, (what) => (task.output = what))
      mark.note({ heal: null })
      windows.push(window)
      const took = duration(window.healed - window.struck)
      task.title = `${fault.name}: ${window.did}; healed by ${window.healedBy} in ${took}`
    },
  })
  const started = clock()
  mark.note({ scratch: !own, pid: process.pid, birth: await birthOf(process.pid) })
  mark.thaw()
  try {
    await runPipeline([
      { title: 'up', task: async () => void (await scripts.passes(...(mark.heal ?? ['up', '--yes']))) },
      {
        title: 'Begin to write and read',
        task: async () => {
          load = startLoad(await scripts.cluster(), { pauseMs: loadPauseMs, maxSeconds })
          await sleep(calmMs)
        },
      },
      ...chosen.map(faulty),
    ])
  } catch (error) {
    mark.thaw()
    if (mark.heal) await healAfter(scripts, mark)
    await load?.stop().catch(() => undefined)
    throw error
  }
  return judge(scripts, windows, { load: load as unknown as Load, mark, started, own })
}

async function judge(
  scripts: Scripts,
  windows: Window[],
  { load, mark, started, own }: { load: Load; mark: Mark; started: number; own: boolean },
): Promise<Drilled> {
  const report = await load.stop()
  const { operations, there } = load.history()
  const { name, etcd, hosts } = await scripts.cluster()
  const results = windows.map((window) => resultOf(window, operations, there))
  if (own) mark.forget()
  else await scripts.passes('down', '--purge', '--yes')
  return {
    cluster: name,
    version: etcd.version ?? '',
    members: hosts.length,
    started,
    results,
    broken: broken(results, report),
    load: report,
    latency: slices(operations, started, clock(), 500),
  }
}

/** Makes the fault, waits, heals, and has verify prove that the cluster is whole. */
async function endure(fault: Fault, hands: Hands, mark: Mark, say: (what: string) => void): Promise<Window> {
  const struck = clock()
  say(fault.means)
  const { did, heal } = await fault.strike(hands)
  say(did)
  await sleep(lastsMs)
  const thawed = mark.thaw()
  say(`${did}; ${told(heal)}`)
  await hands.scripts.passes(...heal)
  await hands.scripts.passes('verify', '--json')
  const healed = clock()
  await sleep(calmMs)
  return {
    name: fault.name,
    did,
    healedBy: thawed ? 'itself' : told(heal),
    struck,
    healed,
    outage: fault.outage === true,
  }
}

/** A drill that was stopped, or failed, leaves no member down. This run is over: another one does it. */
async function healAfter(scripts: Scripts, mark: Mark): Promise<void> {
  const heal = mark.heal ?? ['up', '--yes']
  run().stderr.write(`The drill heals what it broke: ${told(heal)} (Ctrl-C again leaves it broken)\n`)
  try {
    await inRun(new Run({ env: run().env }), () => scripts.passes(...heal))
    mark.note({ heal: null })
  } catch {
    run().stderr.write('That failed; the next drill tries it again.\n')
  }
}

/** As a person says it, without its flags. */
const told = (line: Line): string => line.filter((word) => !word.startsWith('--')).join(' ')

function say(data: DrillReport, path: string): void {
  const { results, leftOut, broken: faultsFound, load } = data
  const head = ['fault', 'lost', 'failed', 'longest stall', 'whole again', 'by']
  const rows = results.map(({ name, lost, failed, stallMs, tookMs, healedBy }) => [
    name,
    lost === 0 ? chalk.green('0') : chalk.red(String(lost)),
    String(failed),
    duration(stallMs),
    duration(tookMs),
    healedBy,
  ])
  const verdict =
    faultsFound.length === 0
      ? chalk.green(`${data.cluster} held: ${load.acknowledged} writes acknowledged, none lost, no read back in time.`)
      : chalk.red(`${data.cluster} did not hold: ${listed(faultsFound)}.`)
  const left = leftOut.map(([name, why]) => chalk.dim(`Left out: ${name} (${why})`)).join('\n')
  const text = `\n${verdict}\n\n${table([head, ...rows])}\n\n${left}\nReport: ${path}`
  print(`${run().json ? JSON.stringify({ ...data, latency: undefined, report: path }) : text}\n`)
}
