// Phase verify: proves that the cluster works, and that it refuses what it must.
import type { Cluster } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import { lastVerified, noteVerified } from '../core/record.ts'
import { clock, sleep, today } from '../core/run.ts'
import { chalk, plain } from '../core/terminal.ts'
import { mayHeal, sentenceOf } from '../etcd/findings.ts'
import { withSize } from '../etcd/growth.ts'
import { reachMembers } from '../etcd/reach.ts'
import { overTheWay, tripsOfLook } from '../etcd/round-trip.ts'
import { gather } from './facts.ts'
import { makeVisitors } from './refusals.ts'
import { type CheckReport, failure, judge, type Report, type Verdict } from './report.ts'

export type { Report } from './report.ts'

export interface VerifyOptions {
  /** Milliseconds to wait for what heals by itself; default 15000. */
  timeoutMs?: number | undefined
  onWait?: (missing: string) => void
}

const defaultTimeoutMs = 15_000

/** For the end of an operation: on a busy machine what was just restarted or added takes longer to settle. */
export const patiently: VerifyOptions = { timeoutMs: 60_000 }

const intervalMs = 200
const mostPatience = 5

/** Looks until it is healthy or that is hopeless; writes a few keys below ha-etcd/verify/. @throws OperationError */
export async function verify(cluster: Cluster, options: VerifyOptions = {}): Promise<Report> {
  await reachMembers(cluster)
  return (await settle(cluster, options)).report
}

/** As verify, for a pipeline. `onReport` gets the report, healthy or not. @throws OperationError with every remedy */
export function tasks(cluster: Cluster, options: VerifyOptions & { onReport?: (report: Report) => void } = {}): Task[] {
  let verdict: Verdict
  const members = cluster.hosts.length === 1 ? 'the member' : `all ${cluster.hosts.length} members`
  return [
    {
      title: `Ask ${members} of ${cluster.name}`,
      task: async (_, task) => {
        const way = await reachMembers(cluster)
        if (way) task.title += ` ${way}`
        verdict = await settle(cluster, {
          ...options,
          onWait: (missing) => {
            const text = `waiting: ${missing}`
            if (text !== task.output) task.output = text
          },
        })
        options.onReport?.(verdict.report)
      },
    },
    {
      title: 'Judge what they answered',
      rendererOptions: { persistentOutput: true, outputBar: Number.POSITIVE_INFINITY },
      task: (_, task) => {
        const { checks, healthy } = verdict.report
        task.output = checks.map(line).join('\n')
        if (!healthy) throw failure(verdict)
        task.title = summary(checks)
      },
    },
  ]
}

function summary(checks: CheckReport[]): string {
  const skipped = checks.filter((check) => check.skipped).length
  return skipped === 0
    ? `All ${checks.length} checks pass`
    : `${checks.length - skipped} checks pass, ${skipped} could not be made`
}

/** A check in one line. One output of all lines costs a terminal 0.5 s less than a listr2 task for each. */
function line({ name, ok, skipped, detail }: CheckReport): string {
  if (skipped) return `${chalk.yellow('↓')} ${name} skipped: ${plain(detail)}`
  return ok ? `${chalk.green('✔')} ${plain(detail)}` : `${chalk.red('✖')} ${name}: ${plain(detail).split('\n')[0]}`
}

/** Looks, and notes how that ended. */
async function settle(cluster: Cluster, options: VerifyOptions): Promise<Verdict> {
  const verdict = await lookUntilSettled(cluster, options)
  const time = today().toISOString()
  const before = lastVerified(cluster.paths)?.sizes ?? []
  const largest = Math.max(0, ...verdict.report.members.map(({ dbSizeBytes }) => dbSizeBytes ?? 0))
  const sizes = largest > 0 ? withSize(before, [time, largest]) : before
  noteVerified(cluster.paths, { time, healthy: verdict.report.healthy, sizes })
  return verdict
}

/** Looks until one deadline for what may heal by itself. A definite fault that two looks have seen ends the waiting. */
async function lookUntilSettled(
  cluster: Cluster,
  { timeoutMs = defaultTimeoutMs, onWait }: VerifyOptions,
): Promise<Verdict> {
  const began = clock()
  const visitors = await makeVisitors(cluster)
  let before = new Set<string>()
  for (let look = 1; ; look++) {
    const started = clock()
    // each look learns more of how far the members are; a way that loses packets may want another one
    const deadline = began + overTheWay(timeoutMs, 2 * tripsOfLook)
    // A busy machine is busier for being asked again in the same time: each look takes more of it.
    const verdict = judge(await gather(cluster, visitors, deadline, Math.min(look, mostPatience)))
    // a look that the deadline cuts short would only say so
    const nextEnds = clock() + intervalMs + (clock() - started)
    const definite = verdict.findings
      .filter(({ finding }) => !mayHeal(finding))
      .map(({ check, finding }) => `${check} ${finding.host}`)
    if (verdict.findings.length === 0 || definite.some((fault) => before.has(fault)) || nextEnds >= deadline)
      return verdict
    before = new Set(definite)
    const [first] = verdict.findings
    if (first) onWait?.(sentenceOf(first.finding))
    await sleep(intervalMs)
  }
}
