// Local hosts: no machine at all. Each host is a loopback address and a folder, and one supervisord
// for the cluster does what an init system does for a real host.
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import { connect } from 'node:net'
import { availableParallelism, freemem, userInfo } from 'node:os'
import { join } from 'node:path'
import { quote } from 'zx'
import type { Check, Finding } from '../core/check.ts'
import { type Cluster, canListen, type Host } from '../core/cluster.ts'
import { home, projectFolder } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { readFileIfThere, removeIfEmpty, writeFileIfChanged } from '../core/files.ts'
import { aptUnpack, compareVersions, fetchTool, findProgram, hasApt, requireProgram, searchPath, versionOf, writeLauncher } from '../core/programs.ts'
import { run, sleep } from '../core/run.ts'
import { ask, type Result } from '../core/shell.ts'
import { bytes } from '../core/terminal.ts'
import { requireEtcd } from '../etcd/binaries.ts'
import type { HostProvider, HostState } from './provider.ts'

/** etcd of an idle member, its share of supervisord, and room for a small database. */
const memoryPerMember = 128 * 2 ** 20
const diskPerMember = 256 * 2 ** 20

export const local: HostProvider = {
  summary: 'masters on this machine, each on its own loopback address',
  checks: (cluster) => [supervisorCheck(cluster), ...(cluster.recorded ? [] : [memoryCheck(cluster)]), diskCheck(cluster), portsCheck(cluster)],
  up: (cluster) => [{ title: `Start the hosts of ${cluster.name}`, task: async (_, task) => void (task.title = await startHosts(cluster)) }],
  down: (cluster) => [{ title: `Stop the hosts of ${cluster.name}`, task: async (_, task) => void (task.title = await stopHosts(cluster)) }],
  states,
  connection,
  memberPids,
  crashMember,
}

const hostFolder = (cluster: Cluster, host: Host): string => join(cluster.paths.hosts, host.name)
const configFile = (cluster: Cluster): string => join(cluster.paths.state, 'supervisord.conf')
const pidFile = (cluster: Cluster): string => join(cluster.paths.state, 'supervisord.pid')

/** A unix socket's path holds 107 bytes at most, so it lies in a short place of the user's own, not in the checkout. */
const socketFolder = (): string => `/tmp/ha-etcd-${userInfo().uid}`
const socketPath = (cluster: Cluster): string => join(socketFolder(), `${createHash('sha256').update(cluster.paths.state).digest('hex').slice(0, 12)}.sock`)

function connection(cluster: Cluster, host: Host): NonNullable<Host['connection']> {
  const folder = hostFolder(cluster, host)
  return {
    ansible_connection: 'local',
    ansible_python_interpreter: '{{ ansible_playbook_python }}',
    ansible_become: false,
    etcd_service_manager: 'supervisor',
    etcd_supervisor_socket: socketPath(cluster),
    etcd_supervisor_directory: join(folder, 'etc/supervisor'),
    etcd_ssl_directory: join(folder, 'etc/ssl/etcd'),
    etcd_data_directory: join(folder, 'var/lib/etcd'),
    etcd_log_file: join(folder, 'var/log/etcd.log'),
  }
}

async function startHosts(cluster: Cluster): Promise<string> {
  const count = `${cluster.hosts.length} local ${cluster.hosts.length === 1 ? 'host' : 'hosts'}`
  const where = `${cluster.hosts[0]?.address}${cluster.hosts.length > 1 ? ` to ${cluster.hosts.at(-1)?.address}` : ''}`
  await requireEtcd(cluster)
  if (await answers(socketPath(cluster))) return `${count} are up at ${where}`
  const taken = await endStrays(cluster)
  secureSocketFolder()
  for (const host of cluster.hosts) mkdirSync(join(hostFolder(cluster, host), 'etc/supervisor'), { recursive: true, mode: 0o700 })
  writeFileIfChanged(configFile(cluster), supervisordConfig(cluster), 0o600)
  const supervisord = requireProgram('supervisord', 'supervisor')
  // A clean environment: an ETCD_* variable of the person's own must not reach the members.
  const { exitCode, stdout, stderr } = await ask('env', ['-i', `PATH=${searchPath()}`, `HOME=${userInfo().homedir}`, 'LANG=C.UTF-8', supervisord, '-c', configFile(cluster)], {
    timeout: 20_000,
  })
  if (exitCode !== 0 || !(await answers(socketPath(cluster))))
    throw new OperationError('supervisord, which runs the local hosts, did not start.', { output: stderr || stdout, log: join(cluster.paths.logs, 'supervisord.log') })
  run.changes.push('started the hosts')
  return `${count} started at ${where}${taken ? ` (${taken} etcd without a supervisor ended first)` : ''}`
}

function supervisordConfig(cluster: Cluster): string {
  const value = (text: string): string => text.replaceAll('%', '%%')
  const template = readFileSync(join(projectFolder, 'templates/supervisor/supervisord.conf'), 'utf8')
  const values: Record<string, string> = {
    socket: socketPath(cluster),
    pidfile: pidFile(cluster),
    logfile: join(cluster.paths.logs, 'supervisord.log'),
    logs: cluster.paths.logs,
    hosts: cluster.paths.hosts,
    name: cluster.name,
  }
  return template.replace(/\{\{ (\w+) \}\}/g, (_, key: string) => value(values[key] ?? ''))
}

/** Refuses a folder in /tmp that somebody else made first. */
function secureSocketFolder(): void {
  const folder = socketFolder()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(folder)
  if (!lstatSync(folder).isDirectory() || uid !== userInfo().uid || (mode & 0o077) !== 0)
    throw new OperationError(`${folder} belongs to somebody else or is open to others, so the supervisor's socket would not be safe there.`, { hint: `Remove it: rm -r ${folder}` })
}

/** Stops every etcd, then supervisord, and removes the hosts' folders. */
async function stopHosts(cluster: Cluster): Promise<string> {
  const socket = socketPath(cluster)
  const pid = Number(readFileIfThere(pidFile(cluster)) ?? 0)
  const wasUp = await answers(socket)
  if (wasUp) {
    await supervisorctl(cluster, 'shutdown')
    for (let waited = 0; waited < 40_000 && ((await answers(socket)) || (pid > 0 && existsSync(pidFile(cluster)))); waited += 50) await sleep(50)
    if (await answers(socket)) throw new OperationError(`supervisord (pid ${pid}) did not stop within 40 s.`, { hint: `End it with: kill -9 ${pid}, then run down again.` })
  }
  const strays = await endStrays(cluster)
  for (const path of [socket, configFile(cluster), pidFile(cluster), cluster.paths.hosts]) rmSync(path, { recursive: true, force: true })
  removeIfEmpty(socketFolder())
  return wasUp || strays ? `Stopped and removed ${cluster.hosts.length} local hosts` : 'No local host was up'
}

/** etcd processes of this cluster that run without its supervisord (it was killed): they are ended. Linux only. */
async function endStrays(cluster: Cluster): Promise<number> {
  const strays = strayPids(cluster)
  for (const pid of strays) process.kill(pid, 'SIGTERM')
  for (let waited = 0; waited < 10_000 && strays.some(isRunning); waited += 50) await sleep(50)
  for (const pid of strays.filter(isRunning)) process.kill(pid, 'SIGKILL')
  return strays.length
}

function strayPids(cluster: Cluster): number[] {
  if (!existsSync('/proc/self/environ')) return []
  const mark = `ETCD_DATA_DIR=${cluster.paths.hosts}/`
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8')
          .split('\0')
          .some((entry) => entry.startsWith(mark))
      } catch {
        return false
      }
    })
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0) && !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function states(cluster: Cluster): Promise<HostState[]> {
  const up = await answers(socketPath(cluster))
  return cluster.hosts.map(({ name, address }) => ({ name, address, up, detail: up ? 'supervised' : 'no supervisord' }))
}

async function memberPids(cluster: Cluster): Promise<Record<string, number>> {
  // `status` shows no pid while a program is still STARTING; `pid` does, 0 for one that does not run.
  const names = cluster.hosts.map((host) => host.name)
  const { stdout } = await supervisorctl(cluster, 'pid', ...names)
  const pids = stdout.trim().split('\n').map(Number)
  return Object.fromEntries(names.map((name, index) => [name, pids[index] ?? 0]).filter(([, pid]) => Number(pid) > 0))
}

async function crashMember(cluster: Cluster, host: Host): Promise<void> {
  const pid = (await memberPids(cluster))[host.name]
  if (pid) process.kill(pid, 'SIGKILL')
  await supervisorctl(cluster, 'stop', host.name)
}

const supervisorctl = (cluster: Cluster, ...args: string[]): Promise<Result> =>
  ask(requireProgram('supervisorctl', 'supervisor'), ['-c', configFile(cluster), ...args], { timeout: 20_000 })

/** Whether somebody accepts connections at a unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path)
    socket.once('connect', () => done(true)).once('error', () => done(false))
    socket.once('connect', () => socket.destroy())
  })
}

const supervisorCheck = (cluster: Cluster): Check => ({
  title: 'Check supervisor',
  look: async () => {
    if (await answers(socketPath(cluster))) return 'supervisord runs'
    const program = findProgram('supervisord', 'supervisor')
    const version = program && (await versionOf(program))
    if (!version)
      return {
        detail: 'supervisord, which runs the members on this machine, was not found.',
        remedy: 'Install supervisor 4 or later (Debian: apt-get install supervisor; elsewhere: pipx install supervisor).',
      }
    return compareVersions(version, '4.0.0') < 0
      ? { detail: `supervisord at ${program} is ${version}, which is too old.`, remedy: 'Install supervisor 4 or later.' }
      : `supervisor ${version}`
  },
  mend: {
    impossible: () => (hasApt() && !findProgram('supervisord', 'supervisor') ? undefined : 'Install supervisor 4 or later, for example with: pipx install supervisor'),
    run: async () => {
      // Unpacked, not installed: that needs no root and starts no service of the system's own.
      const folder = await fetchTool('supervisor', async (part) => {
        const version = await aptUnpack(['supervisor', 'python3-pkg-resources'], part)
        for (const program of ['supervisord', 'supervisorctl'])
          writeLauncher(
            join(part, program),
            `here=$(dirname "$(readlink -f "$0")")\nPYTHONPATH=$here/usr/lib/python3/dist-packages exec /usr/bin/python3 -m supervisor.${program} "$@"`,
          )
        return { from: part, version }
      })
      return `${folder.split('/').at(-1)} unpacked from the distribution's package`
    },
  },
})

const memoryCheck = (cluster: Cluster): Check => ({
  title: 'Check memory',
  look: async () => {
    const needed = cluster.hosts.length * memoryPerMember
    const meminfo = readFileIfThere('/proc/meminfo')
    const free = Number(/MemAvailable:\s+(\d+)/.exec(meminfo ?? '')?.[1] ?? 0) * 1024 || freemem()
    return free >= needed
      ? `${bytes(free)} free, ${availableParallelism()} processors`
      : {
          detail: `${bytes(free)} of memory are free; ${cluster.hosts.length} members need ${bytes(needed)}.`,
          remedy: 'End other programs, or choose fewer masters.',
          warning: true,
        }
  },
})

const diskCheck = (cluster: Cluster): Check => ({
  title: 'Check disk',
  look: async () => {
    const folder = [cluster.paths.hosts, cluster.paths.state, home, '/'].find(existsSync) ?? '/'
    const { bavail, bsize } = statfsSync(folder)
    const needed = cluster.recorded ? 16 * 2 ** 20 : cluster.hosts.length * diskPerMember
    return bavail * bsize >= needed
      ? `${bytes(bavail * bsize)} free`
      : {
          detail: `The disk of ${folder} has ${bytes(bavail * bsize)} free; ${cluster.hosts.length} members need ${bytes(needed)}.`,
          remedy: 'Free some space, or set HA_ETCD_HOME to a folder on another disk.',
        }
  },
})

const portsCheck = (cluster: Cluster): Check => ({
  title: 'Check addresses and ports',
  look: async () => {
    if (await answers(socketPath(cluster))) return 'the hosts are up already'
    const strays = strayPids(cluster).length > 0
    const ports = [cluster.etcd.clientPort, cluster.etcd.peerPort]
    const findings = await Promise.all(
      cluster.hosts.flatMap((host) => ports.map(async (port): Promise<Finding | undefined> => portFinding(host, port, await canListen(host.address, port)))),
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
      remedy: `See which one: ss -ltnp 'sport = :${port}'. End it, or choose other ports (etcd.clientPort, etcd.peerPort) or another subnet.`,
    }
  if (answer === 'EADDRNOTAVAIL')
    return {
      detail: `${host.name}: this machine has no address ${host.address}.`,
      remedy: process.platform === 'darwin' ? `Add it: sudo ifconfig lo0 alias ${quote(host.address)}` : 'Choose a subnet in 127.0.0.0/8.',
    }
  if (answer === 'EACCES') return { detail: `${host.name}: this user may not listen at ${at}.`, remedy: 'Choose ports above 1023 (etcd.clientPort, etcd.peerPort).' }
  return { detail: `${host.name}: listening at ${at} failed (${answer}).`, remedy: 'Choose another subnet.' }
}
