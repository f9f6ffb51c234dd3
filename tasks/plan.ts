// What a run would do: every phase asked, on copies of the certificates; nothing of the cluster is touched.
import { withCopies } from './copies.ts'
import type { Cluster } from './core/cluster.ts'
import { print, run } from './core/run.ts'
import { chalk, warningLines } from './core/terminal.ts'

/** A phase and its plan: a line for each act (a diff may follow on further lines). It may write to the copy only. */
export interface Planned {
  name: string
  plan?: (copy: Cluster) => Promise<string[]>
}

/** What one phase would do, a line each; `unknown` says why that cannot be told yet. */
interface PhasePlan {
  phase: string
  would: string[]
  unknown?: string
}

const nothing = async (_copy: Cluster): Promise<string[]> => []

/** Prints what the phases would do, or gives it as data (--json). `first`: what is done to the copy before them. */
export async function printPlan(cluster: Cluster, selected: Planned[], first = nothing): Promise<void> {
  const plans = await planPhases(cluster, selected, first)
  const { json, warnings } = run()
  if (json) print(`${JSON.stringify({ cluster: cluster.name, plan: plans, warnings })}\n`)
  else print(`${render(cluster, plans)}${warningLines(warnings)}`)
}

function planPhases(cluster: Cluster, selected: Planned[], before: typeof nothing): Promise<PhasePlan[]> {
  return withCopies(cluster, async (copy) => {
    const plans: PhasePlan[] = []
    const done = await before(copy)
    for (const { name, plan } of selected.filter((phase) => phase.plan)) {
      const first = name === 'etcd-role' && plans.find((before) => before.phase !== 'pki' && before.would.length > 0)
      if (first)
        plans.push({
          phase: name,
          would: [],
          unknown: `configure and start etcd; what differs on the hosts can be told once ${first.phase} has been run`,
        })
      else plans.push({ phase: name, would: [...done.splice(0), ...((await plan?.(copy)) ?? [])] })
      run().throwIfStopped()
    }
    return plans
  })
}

function render(cluster: Cluster, plans: PhasePlan[]): string {
  const lines = plans.flatMap(({ phase, would, unknown }) => {
    const items = unknown ? [unknown] : would.length > 0 ? would : [chalk.dim('nothing to do')]
    return items.map(
      (item, index) =>
        `${(index === 0 ? phase : '').padEnd(11)}${item.split('\n').map(coloured).join('\n           ')}`,
    )
  })
  return `What would be done for ${chalk.bold(cluster.name)}; nothing was touched.\n\n${lines.join('\n')}\n`
}

function coloured(line: string): string {
  if (/^(@@|---|\+\+\+)/.test(line)) return chalk.dim(line)
  if (/^[+]./.test(line)) return chalk.green(line)
  return /^-./.test(line) ? chalk.red(line) : line
}
