// Local hosts: no machine at all. Each host is a loopback address, a folder, and a keeper that does what an init system
// does for a real host.
import { closeSync, existsSync, fdatasyncSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { canListen } from '../core/addresses.ts'
import type { Check, Finding } from '../core/check.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { home } from '../core/environment.ts'
import { makeFolder } from '../core/files.ts'
import { run } from '../core/run.ts'
import { requireEtcd } from '../etcd/binaries.ts'
import { endStrays, keeperFolder, killHost, memberPids, startLostKeepers, strayPids, unkeptHosts } from './keeper.ts'
import type { HostProvider, HostState } from './provider.ts'
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
  up: (cluster) => [
    {
      title: `Start the hosts of ${cluster.name}`,
      task: async (_, task) => void (task.title = await startHosts(cluster)),
    },
  ],
  down: (cluster) => [
    {
      title: `Stop the hosts of ${cluster.name}`,
      task: async (_, task) => void (task.title = await stopHosts(cluster)),
    },
  ],
  remove: removeHost,
  states,
  connection,
  unkept: unkeptHosts,
  mend,
  memberPids,
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
  const count = `${cluster.hosts.length} local ${cluster.hosts.length === 1 ? 'host' : 'hosts'}`
  const where = `${cluster.hosts[0]?.address}${cluster.hosts.length > 1 ? ` to ${cluster.hosts.at(-1)?.address}` : ''}`
  await requireEtcd(cluster)
  const made = cluster.hosts.filter((host) => !existsSync(hostFolder(cluster, host)))
  for (const host of made) makeFolder(hostFolder(cluster, host))
  if (made.length > 0) run().changes.push('made the hosts')
  const mended = await mend(cluster)
  const ended = await endStrays(cluster)
  const notes = [...mended, ...(ended ? [`ended ${ended} processes whose files are gone`] : [])]
  return `${count} ${made.length > 0 ? 'made' : 'are up'} at ${where}${notes.map((note) => `; ${note}`).join('')}`
}

/** Starts the keepers that are gone; says what it did. */
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
  const folders = existsSync(cluster.paths.hosts) ? readdirSync(cluster.paths.hosts) : []
  const ended = await Promise.all(folders.map((name) => killHost(cluster, { name })))
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
    const running = await memberPids(cluster)
    const idle = cluster.hosts.filter(({ name }) => !running[name])
    if (idle.length === 0) return 'the hosts are up already'
    const strays = (await strayPids(cluster)).length > 0
    const ports = [cluster.etcd.clientPort, cluster.etcd.peerPort]
    const findings = await Promise.all(
      idle.flatMap((host) =>
        ports.map(
          async (port): Promise<Finding | undefined> => portFinding(host, port, await canListen(host.address, port)),
        ),
      ),
    )
    const first = findings.find((finding) => finding !== undefined)
    return first && !strays ? first : `${cluster.subnet}, ports ${ports.join(' and ')}`
  },
})

function portFinding(host: Host, port: number, answer: true | string): Finding | undefined {
  const at = `${host.address}:${port}`
  if (answer === true) return undefined
  if (answer === 'EADDRINUSE')
    return {
      detail: `${host.name}: another program listens at ${at}.`,
      remedy:
        `See which one: ss -ltnp 'sport = :${port}'. End it, or choose other ports (etcd.clientPort, ` +
        'etcd.peerPort) or another subnet.',
    }
  if (answer === 'EADDRNOTAVAIL')
    return {
      detail: `${host.name}: this machine has no address ${host.address}.`,
      remedy:
        process.platform === 'darwin'
          ? `Add it: sudo ifconfig lo0 alias ${host.address}`
          : 'Choose a subnet in 127.0.0.0/8.',
    }
  if (answer === 'EACCES')
    return {
      detail: `${host.name}: this user may not listen at ${at}.`,
      remedy: 'Choose ports above 1023 (etcd.clientPort, etcd.peerPort).',
    }
  return { detail: `${host.name}: listening at ${at} failed (${answer}).`, remedy: 'Choose another subnet.' }
}
