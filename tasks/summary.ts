// What a person needs after `up`: where the cluster is, how to reach it, and where the log lies.
import { relative } from 'node:path'
import type { Cluster } from './core/cluster.ts'
import { command } from './core/command.ts'
import { print, run } from './core/run.ts'
import { chalk, duration, table, warningLines } from './core/terminal.ts'
import { clientEnvironment } from './etcd/client-environment.ts'

/** Prints the summary, or gives it as data (--json). `tookMs`: how long `up` took; `verified`: whether verify ran. */
export function printSummary(cluster: Cluster, tookMs: number, verified: boolean): void {
  const endpoints = cluster.hosts.map((host) => host.clientURL)
  const { json, log, changes, warnings } = run()
  if (json) {
    const { name, provider } = cluster
    const report = { cluster: name, provider, endpoints, environment: clientEnvironment(cluster), log, verified }
    print(`${JSON.stringify({ ...report, changes, warnings, tookMs })}\n`)
    return
  }
  const rows = [
    ['Cluster', `${chalk.bold(cluster.name)}, etcd ${cluster.etcd.version ?? '(none yet)'}`],
    ['Hosts', `${cluster.hosts.length} ${cluster.provider}, ${cluster.providerReason}`],
    ...cluster.hosts.map((host, index) => [index === 0 ? 'Members' : '', `${host.name}  ${host.clientURL}`]),
    ['Use it', `eval "$(${command(cluster, 'env')})" && etcdctl member list`],
    ['Look', command(cluster, 'status')],
    ['Stop', command(cluster, 'down')],
    ['Log', log ? shorter(log) : ''],
  ]
  const outcome = !verified
    ? chalk.yellow('The phases asked for are done; the cluster was not verified')
    : changes.length > 0
      ? chalk.green('The cluster is up and verified')
      : `${chalk.green('The cluster was up already and is verified')}; nothing had to be changed`
  const lines = table(rows.map(([left = '', right = '']) => [chalk.dim(left), right]))
  print(`\n${outcome} (${duration(tookMs)}).\n\n${lines}\n${warningLines(warnings)}`)
}

/** The path as it is, or relative to where the person stands, whichever is shorter. */
function shorter(path: string): string {
  const from = relative(process.cwd(), path)
  return from.length < path.length ? from : path
}
