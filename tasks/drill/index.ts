// The fire drill: a load at work, one fault after another, each healed by the verb that it is healed by in real life.
import { accessSync, constants, existsSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Cluster, type Host, hostNamed, requireRecorded, resolveCluster } from '../core/cluster.ts'
import type { Settings } from '../core/config.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { runPipeline, type Task } from '../core/pipeline.ts'
import { birthOf } from '../core/processes.ts'
import { clock, inRun, print, Run, run, sleep, today } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { shellQuoted } from '../core/shell.ts'
import { capital, chalk, duration, listed, table } from '../core/terminal.ts'
import { type Load, startLoad } from '../etcd/load.ts'
import { Scripts } from '../scripts.ts'
import { shell } from '../vms/index.ts'
import type { Hands, Line } from './blows.ts'
import { type Fault, faults, notYet } from './faults.ts'
import { Mark, type Undo } from './mark.ts'
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
  const chosen = choose(only)
  const path = requireWritable(report ?? reportName(cluster))
  if (plan) return sayPlan(cluster, chosen)
  await mark.requireIdle()
  const { can, left } = await possible(cluster, chosen)
  if (can.length === 0) throw new UsageError(`Nothing can be drilled here. ${capital(left[0]?.join(': ') ?? '')}.`)
  const times = can.length === 1 ? 'once' : `${can.length} times`
  const question = `Break ${cluster.name}, which holds data, on purpose ${times}, and heal it each time?`
  if (own && !(await confirm(question))) throw new OperationError('Nothing was changed.')
  const scripts = new Scripts(cluster.name, settings)
  const drilled = await carryOut(scripts, chosen, mark, own)
  const data: DrillReport = { ...drilled, ended: clock() }
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

/** @throws UsageError for a fault that there is none of */
function choose(only: string[] | undefined): Fault[] {
  const unknown = only?.find((name) => !Object.hasOwn(faults, name))
  if (unknown) throw new UsageError(`There is no fault ${unknown}. Valid: ${Object.keys(faults).join(', ')}.`)
  return Object.entries(faults).flatMap(([name, fault]) => (!only || only.includes(name) ? [fault] : []))
}

type LeftOut = [name: string, why: string][]

/** Those that can be made on its hosts, and why the others cannot; hosts that are still to be made are not asked. */
async function possible(cluster: Cluster, chosen: Fault[]): Promise<{ can: Fault[]; left: LeftOut }> {
  const there = cluster.recorded || cluster.provider === 'local'
  const why = await Promise.all(chosen.map(async ({ lacks }) => (there ? lacks?.(cluster) : undefined)))
  return {
    can: chosen.filter((_, index) => !why[index]),
    left: [
      ...chosen.flatMap(({ name }, index): LeftOut => [[name, why[index] ?? '']]),
      ...Object.entries(notYet),
    ].filter(([, reason]) => reason !== ''),
  }
}

async function sayPlan(cluster: Cluster, all: Fault[]): Promise<void> {
  const { can: chosen, left } = await possible(cluster, all)
  const where = cluster.recorded ? cluster.name : `${cluster.name}, a cluster for the drill alone`
  const lines = chosen.map(({ name, means }, index) => `${String(index + 1).padStart(2)}. ${name} (${means})`)
  const out = left.map(([name, why]) => `    ${name}: ${why}`)
  const text = [`What drill would do to ${where}; nothing was touched.`, '', ...lines, '', 'Left out:', ...out].join(
    '\n',
  )
  const plan = chosen.map(({ name }) => name)
  print(run().json ? `${JSON.stringify({ cluster: cluster.name, verb: 'drill', plan, leftOut: left })}\n` : `${text}\n`)
}

type Drilled = Omit<DrillReport, 'ended'>

async function carryOut(scripts: Scripts, chosen: Fault[], mark: Mark, own: boolean): Promise<Drilled> {
  const windows: Window[] = []
  const left: LeftOut = []
  let load: Load | undefined
  const faulty = (fault: Fault): Task => ({
    title: fault.name,
    task: async (_, task) => {
      run().mendsFirst = true
      const cluster = await scripts.cluster()
      const why = await fault.lacks?.(cluster)
      if (why) {
        left.push([fault.name, why])
        return task.skip(`${fault.name}: ${why}`)
      }
      const foresee = (heal: Line): void => mark.note({ heal })
      const hands: Hands = { cluster, scripts, foresee, breaks: (...what) => breakIt(cluster, mark, ...what) }
      const window = await endure(fault, hands, mark, (what) => (task.output = what))
      mark.note({ heal: null })
      windows.push(window)
      const took = duration(window.healed - window.struck)
      task.title = `${fault.name}: ${window.did}; healed by ${window.healedBy} in ${took}`
    },
  })
  const started = clock()
  mark.note({ scratch: !own, pid: process.pid, birth: await birthOf(process.pid) })
  await undoAll(await scripts.cluster(), mark)
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
    await inRun(new Run({ env: run().env }), async () => undoAll(await scripts.cluster(), mark)).catch(() => undefined)
    if (mark.heal) await healAfter(scripts, mark)
    await load?.stop().catch(() => undefined)
    throw error
  }
  const drilled = await judge(scripts, windows, { load: load as unknown as Load, mark, started, own })
  return { ...drilled, leftOut: [...left, ...Object.entries(notYet)] }
}

async function judge(
  scripts: Scripts,
  windows: Window[],
  { load, mark, started, own }: { load: Load; mark: Mark; started: number; own: boolean },
): Promise<Omit<Drilled, 'leftOut'>> {
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

/** What it does to a host is taken back there after this time, whatever becomes of us, s. */
const switchSeconds = 180

/** Notes how it is taken back, has the host do that by itself after a while, and only then breaks it. */
async function breakIt(cluster: Cluster, mark: Mark, host: Host, script: string, undo: string): Promise<void> {
  const better = mark.foresee({ host: host.name, script: undo })
  const later = shellQuoted(`sleep ${switchSeconds}; ${undo}`)
  const printed = await shell(cluster, host, `setsid sh -c ${later} >/dev/null 2>&1 </dev/null & echo $!; ${script}`)
  better({ host: host.name, script: `kill -- -${printed.split('\n')[0]} 2>/dev/null; ${undo}` })
}

const undoAll = (cluster: Cluster, mark: Mark): Promise<void> =>
  mark.undo(({ host, script }: Undo) => shell(cluster, hostNamed(cluster, host), `${script}; true`))

/** Makes the fault, waits, heals, and has verify prove that the cluster is whole. */
async function endure(fault: Fault, hands: Hands, mark: Mark, say: (what: string) => void): Promise<Window> {
  const struck = clock()
  say(fault.means)
  const { did, heal } = await fault.strike(hands)
  say(did)
  await sleep(lastsMs)
  await undoAll(hands.cluster, mark)
  say(`${did}; ${heal ? told(heal) : 'it is over'}`)
  if (heal) await hands.scripts.passes(...heal)
  await hands.scripts.passes('verify', '--json')
  const healed = clock()
  await sleep(calmMs)
  return {
    name: fault.name,
    did,
    healedBy: heal ? told(heal) : 'itself',
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
