// What a drill says on the terminal: what it would do, and what came of it.
import type { Cluster } from '../core/cluster.ts'
import { print, run } from '../core/run.ts'
import { chalk, duration, listed, table } from '../core/terminal.ts'
import type { Fault, LeftOut } from './faults.ts'
import type { DrillReport } from './report.ts'

export function sayPlan(cluster: Cluster, chosen: Fault[], leftOut: LeftOut): void {
  const plan = chosen.map(({ name }) => name)
  const asData = JSON.stringify({ cluster: cluster.name, verb: 'drill', plan, leftOut })
  const where = cluster.recorded ? cluster.name : `${cluster.name}, a cluster for the drill alone`
  const lines = chosen.map(({ name, means }, index) => `${String(index + 1).padStart(2)}. ${name} (${means})`)
  const out = leftOut.map(([name, why]) => `    ${name}: ${why}`)
  const head = `What drill would do to ${where}; nothing was touched.`
  print(`${run().json ? asData : [head, '', ...lines, '', 'Left out:', ...out].join('\n')}\n`)
}

export function sayResult(data: DrillReport, path: string): void {
  const { cluster, results, leftOut, broken, load } = data
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
    broken.length === 0
      ? chalk.green(`${cluster} held: ${load.acknowledged} writes acknowledged, none lost, no read back in time.`)
      : chalk.red(`${cluster} did not hold: ${listed(broken)}.`)
  const left = leftOut.map(([name, why]) => chalk.dim(`Left out: ${name} (${why})`)).join('\n')
  const text = `\n${verdict}\n\n${table([head, ...rows])}\n\n${left}\nReport: ${path}`
  print(`${run().json ? JSON.stringify({ ...data, latency: undefined, report: path }) : text}\n`)
}
