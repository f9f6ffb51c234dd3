// The smoke pipeline: a cluster's short life, through the same scripts that a person types.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, type Host, resolveCluster } from './core/cluster.ts'
import { command } from './core/command.ts'
import type { Settings } from './core/config.ts'
import { OperationError, UsageError } from './core/errors.ts'
import { runPipeline, type Task } from './core/pipeline.ts'
import { clock, print, run, sleep } from './core/run.ts'
import { chalk, duration, table } from './core/terminal.ts'
import { type LoadReport, startLoad } from './etcd/load.ts'
import { brokenPromises } from './load.ts'
import { Scripts } from './scripts.ts'
import type { Report } from './verify/index.ts'
import { crashMember, memberPids } from './vms/index.ts'

interface Step {
  name: string
  tookMs: number
}

/** Runs the whole life and prints the table of step times (or, with --json, the same as data). */
export async function smoke(settings: Settings): Promise<void> {
  const { name, recorded } = await resolveCluster(settings)
  if (recorded)
    throw new UsageError(
      `A cluster ${name} is here already; the smoke pipeline needs one of its own, which it removes at the end.`,
      { hint: `Choose another name with --cluster, or remove it: ${command({ name }, 'down --purge')}` },
    )
  const steps: Step[] = []
  const told: Told = {}
  const timed = ([title, step]: LifeStep): Task => ({
    title,
    task: async (_, task) => {
      const started = clock()
      task.title = `${title}: ${await step()}`
      steps.push({ name: title, tookMs: clock() - started })
    },
  })
  await runPipeline(lifeOf(new Scripts(name, settings), told).map(timed))
  const totalMs = steps.reduce((sum, step) => sum + step.tookMs, 0)
  const rows = steps.map((step) => [step.name, duration(step.tookMs)])
  const total = [chalk.bold('total'), chalk.bold(duration(totalMs))]
  print(
    run().json
      ? `${JSON.stringify({ cluster: name, passed: true, steps, writes: told.writes, totalMs })}\n`
      : `\n${table([...rows, total])}\n\n${chalk.green('The smoke pipeline passed.')}\n`,
  )
}

/** A step of the life; what it gives says how it went. */
type LifeStep = [title: string, step: () => Promise<string>]

/** What steps leave for the report. */
interface Told {
  writes?: LoadReport
}

const lifeOf = (scripts: Scripts, told: Told): LifeStep[] => [
  ['up', () => scripts.passes('up', '--yes').then(() => 'a healthy cluster')],
  ...['doctor', 'pki', 'vms', 'etcd-role', 'verify'].map(
    (phase): LifeStep => [`${phase} alone`, () => again(scripts, phase)],
  ),
  ['up again', () => again(scripts, 'up')],
  ['kill a member while writing', () => killWhileWriting(scripts, told)],
  ['verify says so', () => verifySaysSo(scripts)],
  ['up heals it', () => scripts.passes('up', '--yes').then(() => 'a healthy cluster again')],
  ['down', () => scripts.passes('down', '--purge', '--yes').then(() => 'nothing left')],
]

async function killWhileWriting(scripts: Scripts, told: Told): Promise<string> {
  const cluster = await scripts.cluster()
  const load = startLoad(cluster)
  await sleep(500)
  await crashMember(cluster, victimIn(cluster))
  await sleep(3000)
  const writes = await load.stop()
  told.writes = writes
  const broken = brokenPromises(writes)
  if (broken) throw new OperationError(`Writes did not survive a killed member: ${broken}.`)
  return (
    `${writes.acknowledged} writes acknowledged, none lost, none failed, no read back in time, ` +
    `longest stall ${writes.longestStallMs} ms`
  )
}

async function verifySaysSo(scripts: Scripts): Promise<string> {
  const { name: dead } = victimIn(await scripts.cluster())
  const { exitCode, stdout, stderr } = await scripts.end('verify', '--json', '--timeout', '3')
  if (exitCode !== 1)
    throw new OperationError(`verify ended with ${exitCode} while a member was dead.`, { output: stderr })
  const { checks } = JSON.parse(stdout) as Pick<Report, 'checks'>
  if (!checks.some(({ findings = [] }) => findings.some(({ host }) => host === dead)))
    throw new OperationError(`verify failed without naming ${dead}.`, { output: stderr })
  return `${dead} named`
}

const victimIn = ({ hosts }: Cluster): Host => hosts.at(-1) as Host

/** @throws OperationError where a second run does anything */
async function again(scripts: Scripts, script: string): Promise<string> {
  const before = await fingerprint(await scripts.cluster())
  const { changed = {} } = JSON.parse(await scripts.passes(script, '--json', '--yes')) as {
    changed?: Record<string, number>
  }
  if (Object.values(changed).some((count) => count > 0) || (await fingerprint(await scripts.cluster())) !== before)
    throw new OperationError(`${script}, run again, changed a host or a certificate, or restarted a member.`)
  return 'nothing changed'
}

/** What must stay as it is on a second run: every certificate's file, and every member's process. */
async function fingerprint(cluster: Cluster): Promise<string> {
  const files = readdirSync(cluster.paths.certs, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { ino, mtimeMs, size } = statSync(join(cluster.paths.certs, name))
      return [name, ino, mtimeMs, size].join()
    })
  return JSON.stringify([files, await memberPids(cluster)])
}
