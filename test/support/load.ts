// A load beside an operation on a cluster that the verbs made, and what must hold of it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { withPort } from '../../tasks/core/ip.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { type LoadReport, startLoad } from '../../tasks/etcd/load.ts'
import { destroyHost, type Home, processesWith } from './verbs.ts'

/** As much of a home's cluster as clients need. */
export function clientsView(home: Home, name = 'etcd-cluster-1'): Cluster {
  const { members } = JSON.parse(readFileSync(join(home.path, '.cluster', name, 'cluster.json'), 'utf8')) as {
    members: Host[]
  }
  const hosts = members.map((member) => ({ ...member, clientURL: `https://${withPort(member.address, 2379)}` }))
  const [etcd, paths] = [{ clientPort: 2379 }, { certs: join(home.path, 'certs', name) }]
  return { name, hosts, etcd, paths } as Cluster
}

/**
 * Writes and reads while `act` runs: nothing acknowledged may be lost, fail twice or go back in time. `what`: how the
 * measurement is called. The load ends with `act`, however that ends.
 */
export async function underLoad<T>(on: Home | Cluster, act: () => Promise<T>, what = 'under load'): Promise<T> {
  const { result, report } = await besideLoad(on, act)
  assert.ok(report.acknowledged > 0)
  const { missing, failed, backwards, failures } = report
  assert.equal({ missing, failed, backwards }, { missing: 0, failed: 0, backwards: 0 }, failures.join('\n'))
  console.log(
    `measured: ${what}: ${report.acknowledged} writes (${report.writesPerSecond}/s), none lost, longest ` +
      `stall ${report.longestStallMs} ms`,
  )
  return result
}

/** As underLoad, where writes may fail: nothing is required of the load but that it is reported. */
export async function besideLoad<T>(
  on: Home | Cluster,
  act: () => Promise<T>,
): Promise<{ result: T; report: LoadReport }> {
  // To the end of the operation, however slow the machine is; at a pace that leaves the machine to the operation.
  const load = startLoad('verb' in on ? clientsView(on) : on, { pauseMs: 500, maxSeconds: 900 })
  let report: LoadReport | undefined
  const result = await act().finally(async () => {
    report = await load.stop()
  })
  return { result, report: report as LoadReport }
}

/** Writes keys one after the other, without a process for each. */
export async function putAll(cluster: Cluster, keys: [key: string, value: string][]): Promise<void> {
  const gateway = openGateway(cluster, 1)
  const write = async (): Promise<void> => {
    for (const [key, value] of keys) await gateway.put(gateway.endpoints[0] ?? '', key, value)
  }
  await write().finally(() => gateway.close())
}

/** The pids of a cluster's members, by host. */
export function memberPids(home: Home, name = 'etcd-cluster-1'): Record<string, number> {
  const pidOf = (host: string): number =>
    processesWith(`ETCD_DATA_DIR=${home.path}/.cluster/${name}/hosts/${host}/`).find(({ command }) =>
      command.endsWith('/etcd'),
    )?.pid ?? 0
  return Object.fromEntries(clientsView(home, name).hosts.map((host) => [host.name, pidOf(host.name)]))
}

/** Sends a signal to a member's etcd; returns its pid. @throws when it does not run */
export function signalMember(home: Home, host: string, signal: NodeJS.Signals): number {
  const pid = memberPids(home)[host]
  if (!pid) throw new Error(`etcd of ${host} does not run`)
  process.kill(pid, signal)
  return pid
}

/** What `act` gives while these members are frozen (SIGSTOP); they go on afterwards, however it ends. */
export async function whileFrozen<T>(home: Home, hosts: string[], act: () => Promise<T>): Promise<T> {
  const pids = hosts.map((host) => signalMember(home, host, 'SIGSTOP'))
  return act().finally(() => {
    for (const pid of pids) process.kill(pid, 'SIGCONT')
  })
}

/** Hosts lost in one instant: their members killed, and then their folders gone. */
export function loseHosts(home: Home, names: string[]): void {
  const pids = memberPids(home)
  for (const name of names) if (pids[name]) process.kill(pids[name], 'SIGKILL')
  for (const name of names) destroyHost(home, name)
}
