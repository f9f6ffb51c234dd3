// Local hosts: no machine at all. Each host is a loopback address, a folder, and a keeper that does what an init system
// does for a real host.
import { closeSync, existsSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { canListen } from '../core/addresses.ts'
import type { Check, Finding } from '../core/check.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { home } from '../core/environment.ts'
import { entriesIn, makeFolder, readFileIfThere } from '../core/files.ts'
import { withPort } from '../core/ip.ts'
import { titled } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { ask } from '../core/shell.ts'
import { counted, listed } from '../core/terminal.ts'
import { requireEtcd } from '../etcd/binaries.ts'
import { endStrays, keeperFolder, killHost, memberPid, startLostKeepers, strayPids, unkeptHosts } from './keeper.ts'
import { addressesOf, type HostProvider, type HostState } from './provider.ts'
import { diskCheck, memoryCheck } from './resources.ts'
import { endSupervisor, takeOverFromSupervisor } from './supervised.ts'

/** etcd of an idle member, its keeper, and room for a small database. */
const memoryPerMember = 128 * 2 ** 20
const diskPerMember = 256 * 2 ** 20

/** The 99th percentile that etcd's own guide to hardware asks of its log's fsync. */
const slowFsyncMs = 10

export const local: HostProvider = {
  checks: (cluster) => [
    ...(cluster.recorded ? [] : [memoryCheck(cluster, memoryPerMember), fsyncCheck(cluster)]),
    diskCheck(
      cluster,
      diskPerMember,
      [cluster.paths.hosts, cluster.paths.state, home()],
      'Free some space, or set HA_ETCD_HOME to a folder on another disk.',
    ),
    portsCheck(cluster),
  ],
  up: (cluster) => [titled(`Start the hosts of ${cluster.name}`, () => startHosts(cluster))],
  down: (cluster) => [titled(`Stop the hosts of ${cluster.name}`, () => stopHosts(cluster))],
  remove: removeHost,
  states,
  connection,
  unkept: unkeptHosts,
  mend,
  memberPid,
  shell: (_cluster, _host, script, input) => ask('sh', ['-c', script], input === undefined ? {} : { input }),
  crashMember: async (cluster, host) => void (await killHost(cluster, host)),
}

const hostFolder = (cluster: Cluster, host: Host): string => join(cluster.paths.hosts, host.name)
function connection(cluster: Cluster, host: Host): NonNullable<Host['connection']> {
  const folder = hostFolder(cluster, host)
  return {
    ansible_connection: 'local',
    ansible_python_interpreter: '{{ ansible_playbook_python }}',
    ansible_become: false,
    etcd_service_manager: 'keeper',
    etcd_keeper_directory: keeperFolder(cluster, host),
    etcd_ssl_directory: join(folder, 'etc/ssl/etcd'),
    etcd_data_directory: join(folder, 'var/lib/etcd'),
    etcd_log_file: join(folder, 'var/log/etcd.log'),
  }
}

async function startHosts(cluster: Cluster): Promise<string> {
  await requireEtcd(cluster)
  const made = cluster.hosts.filter((host) => !existsSync(hostFolder(cluster, host)))
  for (const host of made) makeFolder(hostFolder(cluster, host))
  if (made.length > 0) run().changes.push('made the hosts')
  const mended = await mend(cluster)
  const ended = await endStrays(cluster)
  const notes = [...mended, ...(ended ? [`ended ${ended} processes whose files are gone`] : [])]
  const done = `${counted(cluster.hosts.length, 'local host')} ${made.length > 0 ? 'made' : 'are up'}`
  return [`${done} at ${addressesOf(cluster)}`, ...notes].join('; ')
}

async function mend(cluster: Cluster): Promise<string[]> {
  const names = (hosts: Host[]): string => hosts.map(({ name }) => name).join(', ')
  const taken = await takeOverFromSupervisor(cluster)
  const started = await startLostKeepers(cluster)
  const done = [
    ...(taken.length > 0 ? [`moved ${names(taken)} from supervisord to keepers, which restarted them`] : []),
    ...(started.length > 0 ? [`started the keepers of ${names(started)} again`] : []),
  ]
  run().changes.push(...done)
  return done
}

/** Kills every etcd and its keeper, and removes the hosts' folders: data that goes needs no orderly end. */
async function stopHosts(cluster: Cluster): Promise<string> {
  const supervised = await endSupervisor(cluster)
  const ended = await Promise.all(entriesIn(cluster.paths.hosts).map((name) => killHost(cluster, { name })))
  const strays = await endStrays(cluster)
  rmSync(cluster.paths.hosts, { recursive: true, force: true })
  return supervised || strays || ended.some(Boolean)
    ? `Stopped and removed ${cluster.hosts.length} local hosts`
    : 'No local host was up'
}

async function removeHost(cluster: Cluster, host: Host): Promise<void> {
  await killHost(cluster, host)
  rmSync(hostFolder(cluster, host), { recursive: true, force: true })
}

async function states(cluster: Cluster): Promise<HostState[]> {
  const unkept = await unkeptHosts(cluster)
  return cluster.hosts.map((host) => {
    const up = existsSync(hostFolder(cluster, host))
    const detail = up ? (unkept.includes(host) ? 'its keeper is gone' : 'a folder of this machine') : 'not made'
    return { name: host.name, address: host.address, up, detail }
  })
}

const fsyncCheck = (cluster: Cluster): Check => ({
  title: 'Check how fast the disk is',
  look: async () => {
    const slow = slowestFsync([cluster.paths.state, home(), tmpdir()].find(existsSync) ?? '/')
    return slow <= slowFsyncMs
      ? `${slow.toFixed(1)} ms to write through`
      : {
          detail:
            `Writing through to the disk of ${home()} takes up to ${slow.toFixed(0)} ms; etcd wants less ` +
            `than ${slowFsyncMs} ms, or leaders change under load.`,
          remedy: 'Set HA_ETCD_HOME to a folder on a faster disk.',
          warning: true,
        }
  },
})

/** The 99th percentile, in ms, of writes as etcd's log makes them: 2 KiB, waited for. */
function slowestFsync(folder: string): number {
  const path = join(mkdtempSync(join(folder, '.fsync-')), 'probe')
  const fd = openSync(path, 'w')
  try {
    const times = Array.from({ length: 100 }, () => {
      const started = process.hrtime.bigint()
      writeSync(fd, Buffer.alloc(2048))
      fdatasyncSync(fd)
      return Number(process.hrtime.bigint() - started) / 1e6
    })
    return times.sort((a, b) => a - b)[98] ?? 0
  } finally {
    closeSync(fd)
    rmSync(dirname(path), { recursive: true })
  }
}

const portsCheck = (cluster: Cluster): Check => ({
  title: 'Check addresses and ports',
  look: async () => {
    const pids = await Promise.all(cluster.hosts.map((host) => memberPid(cluster, host)))
    const { clientPort, peerPort, metricsPort } = cluster.etcd
    const ports = [clientPort, peerPort, metricsPort ?? []].flat()
    const wanted = cluster.hosts.flatMap((host, index) =>
      (pids[index] ? newMetricsPort(cluster, host) : ports).map((port) => ({ host, port, pid: pids[index] })),
    )
    if (wanted.length === 0) return 'the hosts are up already'
    const found = await Promise.all(
      wanted.map(async ({ host, port, pid }) => {
        const is = portFinding(host, port, await canListen(host.address, port))
        // its keeper may have started it meanwhile
        return is && (await memberPid(cluster, host)) === pid ? is : undefined
      }),
    )
    const strays = await strayPids(cluster)
    const first = found.find((is) => is !== undefined)
    return first && strays.length === 0 ? first : `${cluster.subnet}, ports ${listed(ports.map(String))}`
  },
})

/** The metrics port, where a running member does not listen there yet: when it starts again, it must be free. */
function newMetricsPort(cluster: Cluster, host: Host): number[] {
  const { metricsPort } = cluster.etcd
  if (!metricsPort) return []
  const config = readFileIfThere(join(keeperFolder(cluster, host), 'member.conf')) ?? ''
  return new RegExp(`^ETCD_LISTEN_METRICS_URLS=.*:${metricsPort}$`, 'm').test(config) ? [] : [metricsPort]
}

function portFinding({ name, address }: Host, port: number, answer: true | string): Finding | undefined {
  if (answer === true) return undefined
  const at = withPort(address, port)
  const [onMac, isV6] = [process.platform === 'darwin', isIPv6(address)]
  const addition = onMac
    ? `sudo ifconfig lo0 ${isV6 ? 'inet6 ' : ''}alias ${address}`
    : `sudo ip address add ${address}/128 dev lo`
  const known: Record<string, [detail: string, remedy: string]> = {
    EADDRINUSE: [
      `another program listens at ${at}`,
      `See which one: ss -ltnp 'sport = :${port}'. End it, or choose other ports (etcd.clientPort, ` +
        'etcd.peerPort, etcd.metricsPort) or another subnet.',
    ],
    EADDRNOTAVAIL: [
      `this machine has no address ${address}`,
      `${onMac || isV6 ? `Give it that address: ${addition}. Or choose` : 'Choose'} a subnet in 127.0.0.0/8.`,
    ],
    EACCES: [
      `this user may not listen at ${at}`,
      'Choose ports above 1023 (etcd.clientPort, etcd.peerPort, etcd.metricsPort).',
    ],
  }
  const [detail, remedy] = known[answer] ?? [`listening at ${at} failed (${answer})`, 'Choose another subnet.']
  return { detail: `${name}: ${detail}.`, remedy }
}
