// A load on a running cluster, for a person to watch it by: what it did, and whether all of it held.

import type { Cluster } from './core/cluster.ts'
import { command } from './core/command.ts'
import { OperationError } from './core/errors.ts'
import { runPipeline } from './core/pipeline.ts'
import { print, run, sleep } from './core/run.ts'
import { table } from './core/terminal.ts'
import { brokenPromises } from './etcd/history.ts'
import { type LoadOptions, type LoadReport, startLoad } from './etcd/load.ts'
import { reachMembers } from './etcd/reach.ts'
import { gatewayOrEtcdctl } from './etcd/through-etcdctl.ts'

/** Runs a load for `maxSeconds` and prints what it saw. @throws OperationError when something that must hold did not */
export async function load(cluster: Cluster, options: LoadOptions & { maxSeconds: number }): Promise<void> {
  let report: LoadReport | undefined
  await runPipeline([
    {
      title: `Write to ${cluster.name} and read for ${options.maxSeconds} s`,
      task: async (_, task) => {
        await reachMembers(cluster)
        const { gateway, slow } = await gatewayOrEtcdctl(cluster, (options.writers ?? 6) + (options.readers ?? 2))
        if (slow) task.title += ', through etcdctl, which is slow: the JSON gateway is off, or lets nobody in'
        const running = startLoad(cluster, options, gateway)
        await sleep(options.maxSeconds * 1000).finally(async () => {
          report = await running.stop()
        })
      },
    },
  ])
  if (report) show(report)
  const broken = report ? brokenPromises(report) : []
  if (broken.length > 0)
    throw new OperationError(`The load did not hold: ${broken.join(', ')}.`, {
      hint: `See what is wrong with the cluster now: ${command(cluster, 'verify')}`,
    })
}

function show(report: LoadReport): void {
  const rows = [
    ['writes acknowledged', `${report.acknowledged} (${report.writesPerSecond}/s)`],
    ['  lost', String(report.missing)],
    ['  failed twice', String(report.failed)],
    ['  longest stall', `${report.longestStallMs} ms`],
    ['reads', String(report.reads)],
    ['  went back in time', String(report.backwards)],
    ['  failed twice', String(report.failedReads)],
  ]
  const failures = report.failures.map((line) => `${line}\n`).join('')
  print(run().json ? `${JSON.stringify(report)}\n` : `\n${table(rows)}\n${failures}`)
}
