// The smoke pipeline: a cluster's short life, through the same scripts that a person types.
import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, type Host, resolveCluster } from './core/cluster.ts'
import { command } from './core/command.ts'
import type { Settings } from './core/config.ts'
import { projectFolder } from './core/environment.ts'
import { OperationError, UsageError } from './core/errors.ts'
import { runPipeline, type Task } from './core/pipeline.ts'
import { clock, print, run, sleep } from './core/run.ts'
import { type Result, work } from './core/shell.ts'
import { chalk, duration, table } from './core/terminal.ts'
import { type Load, type LoadReport, startLoad } from './etcd/load.ts'
import { brokenPromises } from './load.ts'
import type { Report } from './verify/index.ts'
import { crashMember, memberPids } from './vms/index.ts'

interface Step {
  name: string
  tookMs: number
}

/** Runs the whole life and prints the table of step times (or, with --json, the same as data). */
export async function smoke(settings: Settings): Promise<void> {
  const steps: Step[] = []
  const { name, recorded } = await resolveCluster(settings)
  if (recorded)
    throw new UsageError(
      `A cluster ${name} is here already; the smoke pipeline needs one of its own, which it removes at the end.`,
      {
        hint: `Choose another name with --cluster, or remove it: ${command({ name }, 'down --purge')}`,
      },
    )
  const world: { before?: string; load?: Load; report?: LoadReport } = {}
  const cluster = (): Promise<Cluster> => resolveCluster(settings)
  const attempt = (script: string, ...flags: string[]): Promise<Result> => runVerb(script, name, settings, flags)
  const verb = async (script: string, ...flags: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await attempt(script, ...flags)
    if (exitCode !== 0)
      throw new OperationError(`${script} ended with exit code ${exitCode}.`, { output: `${stdout}${stderr}` })
    return stdout
  }
  const victim = async (): Promise<Host> => (await cluster()).hosts.at(-1) as Host

  const life: [string, () => Promise<string>][] = [
    ['up', () => verb('up', '--yes').then(() => 'a healthy cluster')],
    ...['doctor', 'pki', 'vms', 'etcd-role', 'verify'].map((phase): [string, () => Promise<string>] => [
      `${phase} alone`,
      async () => {
        world.before = await fingerprint(await cluster())
        const answer = JSON.parse(await verb(phase, '--json', '--yes')) as { changed?: Record<string, number> }
        if (Object.values(answer.changed ?? {}).some((count) => count > 0))
          throw new OperationError(`${phase} changed something on its second run.`)
        await requireUnchanged(world.before, await cluster(), phase)
        return 'nothing changed'
      },
    ]),
    [
      'up again',
      async () => {
        world.before = await fingerprint(await cluster())
        await verb('up', '--yes')
        await requireUnchanged(world.before, await cluster(), 'up')
        return 'nothing changed'
      },
    ],
    [
      'kill a member while writing',
      async () => {
        const now = await cluster()
        world.load = startLoad(now)
        await sleep(500)
        await crashMember(now, await victim())
        await sleep(3000)
        const report = (world.report = await world.load.stop())
        const broken = brokenPromises(report)
        if (broken) throw new OperationError(`Writes did not survive a killed member: ${broken}.`)
        return (
          `${report.acknowledged} writes acknowledged, none lost, none failed, no read back in time, ` +
          `longest stall ${report.longestStallMs} ms`
        )
      },
    ],
    [
      'verify says so',
      async () => {
        const { name: dead } = await victim()
        const { exitCode, stdout, stderr } = await attempt('verify', '--json', '--timeout', '3')
        if (exitCode !== 1)
          throw new OperationError(`verify ended with exit code ${exitCode} while a member was dead.`, {
            output: stderr,
          })
        const { checks } = JSON.parse(stdout) as Pick<Report, 'checks'>
        if (!checks.some(({ findings = [] }) => findings.some(({ host }) => host === dead)))
          throw new OperationError(`verify failed without naming ${dead}.`, { output: stderr })
        return `${dead} named`
      },
    ],
    ['up heals it', () => verb('up', '--yes').then(() => 'a healthy cluster again')],
    ['down', () => verb('down', '--purge', '--yes').then(() => 'nothing left')],
  ]

  await runPipeline(
    life.map(
      ([title, step]): Task => ({
        title,
        task: async (_, task) => {
          const started = clock()
          task.title = `${title}: ${await step()}`
          steps.push({ name: title, tookMs: clock() - started })
        },
      }),
    ),
  )
  const totalMs = steps.reduce((sum, step) => sum + step.tookMs, 0)
  const rows = steps.map((step) => [step.name, duration(step.tookMs)])
  const total = [chalk.bold('total'), chalk.bold(duration(totalMs))]
  print(
    run().json
      ? `${JSON.stringify({ cluster: name, passed: true, steps, writes: world.report, totalMs })}\n`
      : `\n${table([...rows, total])}\n\n${chalk.green('The smoke pipeline passed.')}\n`,
  )
}

function runVerb(script: string, cluster: string, { configFile, asked }: Settings, flags: string[]): Promise<Result> {
  const words = [
    '--cluster',
    cluster,
    ...(configFile ? ['--config', configFile] : []),
    ...(asked.masters ? ['--masters', String(asked.masters)] : []),
    ...flags,
  ]
  const zx = ['--import', 'ha-etcd/loader', 'node_modules/zx/build/cli.js'] // as npx does, without its half second
  return work(process.execPath, [...zx, join(projectFolder, 'scripts', `${script}.ts`), ...words], {
    cwd: projectFolder,
  })
}

/** What must stay as it is on a second run: every certificate's file, and every member's process. */
async function fingerprint(cluster: Cluster): Promise<string> {
  const files = readdirSync(cluster.paths.certs, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { ino, mtimeMs, size } = statSync(join(cluster.paths.certs, name))
      return [name, ino, mtimeMs, size].join()
    })
  return createHash('sha256')
    .update(JSON.stringify([files, await memberPids(cluster)]))
    .digest('hex')
}

async function requireUnchanged(before: string, cluster: Cluster, verb: string): Promise<void> {
  if ((await fingerprint(cluster)) !== before)
    throw new OperationError(`${verb}, run again, changed a certificate or restarted a member.`)
}
