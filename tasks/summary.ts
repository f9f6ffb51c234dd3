// What a person needs after `up`: where the cluster is, how to reach it, and where the log lies.
import { relative } from 'node:path'
import type { Cluster } from './core/cluster.ts'
import { run } from './core/run.ts'
import { chalk, duration, table } from './core/terminal.ts'
import { clientEnvironment } from './etcd/client-environment.ts'

/** Prints the summary (or, with --json, the same as data). `tookMs` is the time that `up` took. */
export async function printSummary(cluster: Cluster, tookMs: number): Promise<void> {
  const endpoints = cluster.hosts.map((host) => host.clientURL)
  if (run.json) {
    process.stdout.write(`${JSON.stringify({ cluster: cluster.name, provider: cluster.provider, endpoints, environment: await clientEnvironment(cluster), log: run.log, warnings: run.warnings, tookMs })}\n`)
    return
  }
  const name = cluster.name === 'etcd-cluster-1' ? '' : ` --cluster ${cluster.name}`
  const rows = [
    ['Cluster', `${chalk.bold(cluster.name)}, etcd ${cluster.etcd.version}, ${cluster.hosts.length} on ${cluster.provider} hosts (${cluster.providerReason})`],
    ...cluster.hosts.map((host, index) => [index === 0 ? 'Members' : '', `${host.name}  ${host.clientURL}`]),
    ['Use it', `eval "$(npx zx scripts/env.ts${name})" && etcdctl member list`],
    ['Look', `npx zx scripts/status.ts${name}`],
    ['Stop', `npx zx scripts/down.ts${name}`],
    ['Log', run.log ? relative(process.cwd(), run.log) : ''],
  ]
  const warnings = run.warnings.map((warning) => `${chalk.yellow('Warning:')} ${warning}\n`).join('')
  process.stdout.write(`\n${chalk.green('The cluster is up and verified')} in ${duration(tookMs)}.\n\n${table(rows.map(([left = '', right = '']) => [chalk.dim(left), right]))}\n${warnings}`)
}
