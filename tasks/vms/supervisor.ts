// supervisord of a cluster's local hosts: it is to their members what systemd is on a machine.
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Check } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { projectFolder } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { removeIfEmpty, writeFileIfChanged } from '../core/files.ts'
import { birthOf } from '../core/processes.ts'
import {
  aptUnpack,
  compareVersions,
  fetchTool,
  findProgram,
  hasApt,
  requireProgram,
  searchPath,
  versionOf,
  writeLauncher,
} from '../core/programs.ts'
import { sleep } from '../core/run.ts'
import { ask, type Result } from '../core/shell.ts'

const configFile = (cluster: Cluster): string => join(cluster.paths.state, 'supervisord.conf')
const pidFile = (cluster: Cluster): string => join(cluster.paths.state, 'supervisord.pid')

/** A unix socket's path holds 107 bytes at most, so it lies in a short place of the user's own, not in the checkout. */
const socketFolder = (): string => `/tmp/ha-etcd-${userInfo().uid}`
export const socketPath = (cluster: Cluster): string =>
  join(socketFolder(), `${createHash('sha256').update(cluster.paths.state).digest('hex').slice(0, 12)}.sock`)

/** Whether the cluster's supervisord answers. @throws OperationError when its socket's folder is not safe */
export async function isSupervised(cluster: Cluster): Promise<boolean> {
  requireSafeSocketFolder()
  return answers(socketPath(cluster))
}

/** Starts supervisord, which starts every member that it knows. */
export async function startSupervisor(cluster: Cluster): Promise<void> {
  mkdirSync(socketFolder(), { recursive: true, mode: 0o700 })
  requireSafeSocketFolder() // one that was there already is left as it was
  writeFileIfChanged(configFile(cluster), supervisordConfig(cluster), 0o600)
  // A clean environment: an ETCD_* variable of the person's own must not reach the members.
  const environment = [`PATH=${searchPath()}`, `HOME=${userInfo().homedir}`, 'LANG=C.UTF-8']
  const { exitCode, stdout, stderr } = await ask(
    'env',
    ['-i', ...environment, requireProgram('supervisord', 'supervisor'), '-c', configFile(cluster)],
    { timeout: 20_000 },
  )
  if (exitCode !== 0 || !(await isSupervised(cluster)))
    throw new OperationError('supervisord, which runs the local hosts, did not start.', {
      output: stderr || stdout,
      log: join(cluster.paths.logs, 'supervisord.log'),
    })
}

/** Stops every member, and then supervisord; leaves no file of it. */
export async function stopSupervisor(cluster: Cluster): Promise<void> {
  if (await isSupervised(cluster)) {
    const pid = Number((await supervisorctl(cluster, 'pid')).stdout)
    await supervisorctl(cluster, 'shutdown')
    for (let waited = 0; waited < 40_000 && ((await isSupervised(cluster)) || (await birthOf(pid))); waited += 50)
      await sleep(50)
    if (await isSupervised(cluster))
      throw new OperationError(`supervisord (pid ${pid}) did not stop within 40 s.`, {
        hint: `End it with: kill -9 ${pid}, then run down again.`,
      })
  }
  for (const path of [socketPath(cluster), configFile(cluster), pidFile(cluster)]) rmSync(path, { force: true })
  removeIfEmpty(socketFolder())
}

/** Asks the cluster's supervisord. Its configuration is put back first where it was lost. */
export function supervisorctl(cluster: Cluster, ...args: string[]): Promise<Result> {
  writeFileIfChanged(configFile(cluster), supervisordConfig(cluster), 0o600)
  return ask(requireProgram('supervisorctl', 'supervisor'), ['-c', configFile(cluster), ...args], { timeout: 20_000 })
}

export async function memberPids(cluster: Cluster): Promise<Record<string, number>> {
  // `status` shows no pid while a program is still STARTING; `pid` does, 0 for one that does not run.
  const names = cluster.hosts.map((host) => host.name)
  const { stdout } = await supervisorctl(cluster, 'pid', ...names)
  const pids = stdout.trim().split('\n').map(Number)
  return Object.fromEntries(names.map((name, index) => [name, pids[index] ?? 0]).filter(([, pid]) => Number(pid) > 0))
}

function supervisordConfig(cluster: Cluster): string {
  const value = (text: string): string => text.replaceAll('%', '%%')
  const template = readFileSync(join(projectFolder, 'templates/supervisor/supervisord.conf'), 'utf8')
  const values: Record<string, string> = {
    socket: socketPath(cluster),
    pidfile: pidFile(cluster),
    logfile: join(cluster.paths.logs, 'supervisord.log'),
    logs: cluster.paths.logs,
    name: cluster.name,
  }
  return template.replace(/\{\{ (\w+) \}\}/g, (_, key: string) => value(values[key] ?? ''))
}

/** Refuses a folder in /tmp that somebody else made first. */
function requireSafeSocketFolder(): void {
  const folder = socketFolder()
  if (!existsSync(folder)) return
  const { uid, mode } = lstatSync(folder)
  if (!lstatSync(folder).isDirectory() || uid !== userInfo().uid || (mode & 0o077) !== 0)
    throw new OperationError(
      `${folder} belongs to somebody else or is open to others, so the supervisor's socket would not be safe there.`,
      { hint: `Remove it: rm -r ${folder}` },
    )
}

/** etcd processes of this cluster that run without its supervisord (it was killed): they are ended. Linux only. */
export async function endStrays(cluster: Cluster): Promise<number> {
  const strays = strayPids(cluster)
  for (const pid of strays) process.kill(pid, 'SIGTERM')
  for (let waited = 0; waited < 10_000 && strays.some(isRunning); waited += 50) await sleep(50)
  for (const pid of strays.filter(isRunning)) process.kill(pid, 'SIGKILL')
  return strays.length
}

export function strayPids(cluster: Cluster): number[] {
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

/** Whether somebody accepts connections at a unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path)
    socket.once('connect', () => done(true)).once('error', () => done(false))
    socket.once('connect', () => socket.destroy())
  })
}

export const supervisorCheck = (cluster: Cluster): Check => ({
  title: 'Check supervisor',
  look: async () => {
    if (await isSupervised(cluster)) return 'supervisord runs'
    const program = findProgram('supervisord', 'supervisor')
    const version = program && (await versionOf(program))
    if (!version)
      return {
        detail: 'supervisord, which runs the members on this machine, was not found.',
        remedy:
          'Install supervisor 4 or later (Debian: apt-get install supervisor; elsewhere: pipx install supervisor).',
      }
    return compareVersions(version, '4.0.0') < 0
      ? {
          detail: `supervisord at ${program} is ${version}, which is too old.`,
          remedy: 'Install supervisor 4 or later.',
        }
      : `supervisor ${version}`
  },
  mend: {
    impossible: () =>
      hasApt() && !findProgram('supervisord', 'supervisor')
        ? undefined
        : 'Install supervisor 4 or later, for example with: pipx install supervisor',
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
