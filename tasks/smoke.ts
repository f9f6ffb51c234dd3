// The smoke pipeline: a cluster's short life, through the same scripts that a person types. The smallest fire drill.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, resolveCluster } from './core/cluster.ts'
import { command } from './core/command.ts'
import type { Settings } from './core/config.ts'
import { OperationError } from './core/errors.ts'
import { type Task, titled } from './core/pipeline.ts'
import { clock, print, run } from './core/run.ts'
import { chalk, duration, listed, table } from './core/terminal.ts'
import { bringUp, carryOut, type Exercise, finish, heal, judge, prepare, strike } from './drill/exercise.ts'
import { type Fault, faults } from './drill/faults.ts'
import type { LoadReport } from './etcd/history.ts'
import type { Scripts } from './scripts.ts'
import type { Report } from './verify/index.ts'
import { memberPids } from './vms/index.ts'

/** A step of the life; what it gives says how it went. */
type LifeStep = [title: string, step: (say: (what: string) => void) => Promise<string>]

/** What comes of it: how long each step took, and what became of the writes. */
interface Told {
  steps: { name: string; tookMs: number }[]
  writes?: LoadReport
}

/** Runs the whole life and prints the table of step times (or, with --json, the same as data). */
export async function smoke(settings: Settings): Promise<void> {
  const { name } = await resolveCluster(settings)
  const hint = `Choose another name with --cluster, or remove it: ${command({ name }, 'down --purge')}`
  const at = await prepare(settings, false, hint)
  await at.mark.requireIdle()
  const told: Told = { steps: [] }
  const { steps } = told
  const timed = ([title, step]: LifeStep): Task =>
    titled(title, async (say) => {
      const started = clock()
      const how = await step(say)
      steps.push({ name: title, tookMs: clock() - started })
      return `${title}: ${how}`
    })
  await carryOut(at, lifeOf(at, told).map(timed))
  const totalMs = steps.reduce((sum, step) => sum + step.tookMs, 0)
  const rows = steps.map((step) => [step.name, duration(step.tookMs)])
  const total = [chalk.bold('total'), chalk.bold(duration(totalMs))]
  print(
    run().json
      ? `${JSON.stringify({ cluster: name, passed: true, ...told, totalMs })}\n`
      : `\n${table([...rows, total])}\n\n${chalk.green('The smoke pipeline passed.')}\n`,
  )
}

const lifeOf = (at: Exercise, told: Told): LifeStep[] => [
  ['up', (say) => bringUp(at, say).then(() => 'a healthy cluster')],
  ...['doctor', 'pki', 'vms', 'etcd-role', 'verify'].map(
    (phase): LifeStep => [`${phase} alone`, () => again(at.scripts, phase)],
  ),
  ['up again', () => again(at.scripts, 'up')],
  ['kill a member while writing', (say) => strike(at, faults.member as Fault, say)],
  ['verify says so', () => verifySaysSo(at.scripts)],
  ['up heals it', (say) => heal(at, say).then(() => held(at, told))],
  ['down', () => finish(at).then(() => 'nothing left')],
]

/** @throws OperationError where a promise did not hold */
async function held(at: Exercise, told: Told): Promise<string> {
  const { broken, load } = await judge(at)
  told.writes = load
  if (broken.length > 0) throw new OperationError(`Writes did not survive a killed member: ${listed(broken)}.`)
  return (
    `${load.acknowledged} writes acknowledged, none lost, none failed, no read back in time, ` +
    `longest stall ${load.longestStallMs} ms`
  )
}

async function verifySaysSo(scripts: Scripts): Promise<string> {
  const cluster = await scripts.cluster()
  const alive = await memberPids(cluster)
  const dead = cluster.hosts.find(({ name }) => !alive[name])?.name
  const { exitCode, stdout, stderr } = await scripts.end('verify', '--json', '--timeout', '3')
  if (exitCode !== 1)
    throw new OperationError(`verify ended with ${exitCode} while a member was dead.`, { output: stderr })
  const { checks } = JSON.parse(stdout) as Pick<Report, 'checks'>
  if (!checks.some(({ findings = [] }) => findings.some(({ host }) => host === dead)))
    throw new OperationError(`verify failed without naming ${dead}.`, { output: stderr })
  return `${dead} named`
}

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
