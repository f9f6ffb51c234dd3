// The end of a cluster: its hosts and data go; its certificates and backups only when asked.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { removeLeftCopies } from './copies.ts'
import type { Cluster } from './core/cluster.ts'
import { failureOf, OperationError, UsageError } from './core/errors.ts'
import { runPipeline, type Task } from './core/pipeline.ts'
import { hostsLeft, recordedClusters } from './core/record.ts'
import { print, run } from './core/run.ts'
import { confirm } from './core/script.ts'
import { suggest } from './core/suggest.ts'
import { warningLines } from './core/terminal.ts'
import { removeTimer } from './schedule/index.ts'
import { downTasks } from './vms/index.ts'

/** Asks, stops the hosts, removes their data and the cluster's record; `purge`: certificates and backups too. */
export async function down(cluster: Cluster, purge: boolean): Promise<void> {
  removeLeftCopies(cluster)
  const keepsSomething = purge && (existsSync(cluster.paths.certs) || existsSync(cluster.paths.backups))
  if (!cluster.recorded && !keepsSomething && !hostsLeft(cluster)) {
    const others = recordedClusters()
    if (others.length > 0) throw new UsageError(`There is no cluster ${cluster.name}.${suggest(cluster.name, others)}`)
    // of an up that doctor ended before there was a cluster
    rmSync(cluster.paths.logs, { recursive: true, force: true })
    return say(cluster, `There is no cluster ${cluster.name}; nothing to stop.`)
  }
  const more = purge ? ', its certificates and its backups' : ''
  const what = `the ${cluster.hosts.length} hosts of ${cluster.name} and all of their data${more}`
  if (!(await confirm(`Stop and remove ${what}?`))) throw new OperationError('Nothing was removed.')
  await runPipeline([
    ...timerTasks(cluster),
    ...downTasks(cluster),
    {
      title: purge
        ? 'Remove the record, the certificates and the backups'
        : 'Remove the record; certificates and backups stay',
      task: () => {
        for (const entry of readdirSync(cluster.paths.state))
          if (purge || !['backups', 'lock'].includes(entry))
            rmSync(join(cluster.paths.state, entry), { recursive: true, force: true })
        if (purge) rmSync(cluster.paths.certs, { recursive: true, force: true })
      },
    },
  ])
  const left = purge ? '' : ' Its certificates stay in certs/; remove them too with --purge.'
  say(cluster, `${cluster.name} is down.${left}`)
}

/** First of all: nothing may be called while the cluster goes. */
const timerTasks = (cluster: Cluster): Task[] =>
  existsSync(cluster.paths.schedule)
    ? [
        {
          title: 'Remove the timer of what is scheduled',
          task: async () => {
            const failure = await failureOf(() => removeTimer(cluster))
            // What is left of it does nothing: the script that it calls is gone.
            const left = 'The timer of what was scheduled is still there, and does nothing'
            if (failure) run().warn(`${left}: ${failure.message}`)
          },
        },
      ]
    : []

function say(cluster: Cluster, message: string): void {
  const { warnings } = run()
  print(
    run().json
      ? `${JSON.stringify({ cluster: cluster.name, down: true, warnings })}\n`
      : `${message}\n${warningLines(warnings)}`,
  )
}
