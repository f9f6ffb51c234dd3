// Real etcds for tests, started directly: one process for each host of a cluster, each with its own files.
import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { canListen } from '../../tasks/core/addresses.ts'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { requireEtcd } from '../../tasks/etcd/binaries.ts'
import { commonNames } from '../../tasks/etcd/certificates.ts'
import { type Overrides, testCluster } from './cluster.ts'

/** Flags of etcd by name; undefined takes a flag away. */
export type EtcdFlags = Record<string, string | undefined>

export interface Members {
  /** Starts a stopped member, perhaps with other flags; its data and its certificates stay. */
  start: (name: string, flags?: EtcdFlags) => Promise<void>
  /** Ends a member and waits until it is gone. */
  stop: (name: string) => Promise<void>
  restart: (name: string, flags?: EtcdFlags) => Promise<void>
  signal: (name: string, signal: NodeJS.Signals) => void
  /** The member's folder: ssl/ with its certificates, data/, etcd.log. */
  folder: (name: string) => string
  stopAll: () => Promise<void>
}

const running = new Set<ChildProcess>()
const killAll = (): void => {
  for (const child of running) child.kill('SIGKILL')
}
process.once('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

/** A test cluster on a loopback network whose ports nobody uses. */
export async function freeTestCluster(overrides: Overrides = {}): Promise<Cluster> {
  for (;;) {
    const prefix = `127.${100 + Math.floor(Math.random() * 150)}.${Math.floor(Math.random() * 256)}`
    if ((await canListen(`${prefix}.101`, 2379)) !== true) continue
    const cluster = testCluster(overrides)
    const hosts = cluster.hosts.map((host, index): Host => {
      const address = `${prefix}.${101 + index}`
      return { ...host, address, clientURL: `https://${address}:2379`, peerURL: `https://${address}:2380` }
    })
    return { ...cluster, subnet: `${prefix}.0/24`, hosts }
  }
}

/**
 * Starts the cluster's members with copies of its certificates, as the role would have them; overrides by host name.
 */
export async function startMembers(cluster: Cluster, overrides: Record<string, EtcdFlags> = {}): Promise<Members> {
  const etcd = join((await requireEtcd(cluster)).folder, 'etcd')
  const children = new Map<string, ChildProcess>()
  const folder = (name: string): string => join(cluster.paths.hosts, name)

  const start = async (name: string, flags: EtcdFlags = {}): Promise<void> => {
    const host = cluster.hosts.find((candidate) => candidate.name === name) as Host
    const all = { ...flagsOf(cluster, host, folder(name)), ...overrides[name], ...flags }
    const log = openSync(join(folder(name), 'etcd.log'), 'a')
    const child = spawn(
      etcd,
      Object.entries(all).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}=${value}`])),
      { stdio: ['ignore', log, log] },
    )
    running.add(child)
    child.once('exit', () => running.delete(child))
    children.set(name, child)
  }
  const stop = async (name: string): Promise<void> => {
    const child = children.get(name)
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((done) => child.once('exit', done))
    child.kill('SIGCONT')
    child.kill('SIGKILL')
    await gone
  }

  for (const host of cluster.hosts) {
    mkdirSync(join(folder(host.name), 'ssl'), { recursive: true, mode: 0o700 })
    copyCertificates(cluster, host.name, folder(host.name))
  }
  await Promise.all(cluster.hosts.map((host) => start(host.name)))
  return {
    start,
    stop,
    restart: async (name, flags) => {
      await stop(name)
      await start(name, flags)
    },
    signal: (name, signal) => void children.get(name)?.kill(signal),
    folder,
    stopAll: async () => void (await Promise.all([...children.keys()].map(stop))),
  }
}

/** Gives a member the certificates of the cluster (again). */
export function copyCertificates(cluster: Cluster, name: string, folder: string): void {
  copyFileSync(join(cluster.paths.certs, 'ca.crt'), join(folder, 'ssl/ca.crt'))
  for (const file of ['server', name])
    for (const kind of ['crt', 'key'])
      copyFileSync(
        join(cluster.paths.certs, name, `${file}.${kind}`),
        join(folder, `ssl/${file === name ? 'peer' : file}.${kind}`),
      )
}

function flagsOf(cluster: Cluster, host: Host, folder: string): EtcdFlags {
  const ssl = join(folder, 'ssl')
  return {
    name: host.name,
    'data-dir': join(folder, 'data'),
    'listen-client-urls': host.clientURL,
    'advertise-client-urls': host.clientURL,
    'listen-peer-urls': host.peerURL,
    'initial-advertise-peer-urls': host.peerURL,
    'initial-cluster': cluster.hosts.map((one) => `${one.name}=${one.peerURL}`).join(','),
    'initial-cluster-state': 'new',
    'initial-cluster-token': cluster.name,
    'client-cert-auth': 'true',
    'trusted-ca-file': join(ssl, 'ca.crt'),
    'cert-file': join(ssl, 'server.crt'),
    'key-file': join(ssl, 'server.key'),
    'peer-client-cert-auth': 'true',
    'peer-trusted-ca-file': join(ssl, 'ca.crt'),
    'peer-cert-file': join(ssl, 'peer.crt'),
    'peer-key-file': join(ssl, 'peer.key'),
    'peer-cert-allowed-cn': commonNames.peer,
    'heartbeat-interval': '50',
    'election-timeout': '500',
    'strict-reconfig-check': 'true',
  }
}
