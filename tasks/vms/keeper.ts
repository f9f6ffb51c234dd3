// The keepers of a cluster's local hosts: each runs one member, as systemd does on a machine. The program is the role's
// (etcd_keeper.py); here is what we read of its notes, and how we start and end it.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { entriesIn, readFileIfThere, realPath } from '../core/files.ts'
import { birthOf, endProcess } from '../core/processes.ts'
import { findProgram } from '../core/programs.ts'
import { sleep } from '../core/run.ts'
import { ask } from '../core/shell.ts'

/** What a keeper or a member has noted of itself; the process may have ended since. */
interface Note {
  pid: number
  birth: string
  python?: string
}

const notes = { keeper: 'keeper.json', member: 'member.json' }

export const keeperFolder = (cluster: Cluster, { name }: Pick<Host, 'name'>): string =>
  join(cluster.paths.hosts, name, 'etc/keeper')

function noteIn(folder: string, whose: keyof typeof notes): Note | undefined {
  try {
    return JSON.parse(readFileIfThere(join(folder, notes[whose])) ?? '') as Note
  } catch {
    return undefined
  }
}

/** The pid of a process that noted itself and still runs. */
async function pidIn(folder: string, whose: keyof typeof notes): Promise<number | undefined> {
  const note = noteIn(folder, whose)
  return note && (await birthOf(note.pid)) === note.birth ? note.pid : undefined
}

export const memberPid = (cluster: Cluster, host: Host): Promise<number | undefined> =>
  pidIn(keeperFolder(cluster, host), 'member')

/** Hosts whose keeper is gone without having been told to end: nobody would start their members again. */
export async function unkeptHosts(cluster: Cluster): Promise<Host[]> {
  const unkept = await Promise.all(
    cluster.hosts.map(async (host) => {
      const folder = keeperFolder(cluster, host)
      if (await pidIn(folder, 'keeper')) return false
      return noteIn(folder, 'keeper') !== undefined || (await pidIn(folder, 'member')) !== undefined
    }),
  )
  return cluster.hosts.filter((_, index) => unkept[index])
}

/** Starts keepers where they are gone: a member that runs goes on, one that does not is started. Returns the hosts. */
export async function startLostKeepers(cluster: Cluster): Promise<Host[]> {
  const unkept = await unkeptHosts(cluster)
  const startable = unkept.filter((host) => existsSync(join(keeperFolder(cluster, host), 'keeper.py'))) // else the role
  await Promise.all(startable.map((host) => startKeeper(cluster, host)))
  return startable
}

export async function startKeeper(cluster: Cluster, host: Host): Promise<void> {
  const folder = keeperFolder(cluster, host)
  const before = noteIn(folder, 'keeper')?.python
  const python = before && existsSync(before) ? before : findProgram('python3')
  if (!python) throw new OperationError(`The keeper of ${host.name} needs python3, which was not found.`)
  const { exitCode, stderr } = await ask(python, ['-IS', join(folder, 'keeper.py'), folder], { timeout: 20_000 })
  if (exitCode !== 0)
    throw new OperationError(`The keeper of ${host.name}, which runs its member, did not start.`, { output: stderr })
}

/** Kills a host's keeper and its member, as a crash would: then it stays down until up or the role starts it. */
export async function killHost(cluster: Cluster, host: Pick<Host, 'name'>): Promise<boolean> {
  const folder = keeperFolder(cluster, host)
  let ran = false
  for (const whose of ['keeper', 'member'] as const) {
    const pid = await pidIn(folder, whose)
    if (pid) process.kill(pid, 'SIGKILL')
    while (pid && (await pidIn(folder, whose))) await sleep(10)
    rmSync(join(folder, notes[whose]), { force: true })
    ran ||= pid !== undefined
  }
  return ran
}

/** Processes of this cluster that no note tells of, since its files were lost: they are ended. Linux only. */
export async function endStrays(cluster: Cluster): Promise<number> {
  const strays = await strayPids(cluster)
  for (const pid of strays) await endProcess(pid)
  return strays.length
}

const dataDirectory = 'ETCD_DATA_DIR='

/** Keepers first: they would start their members again. */
export async function strayPids(cluster: Cluster): Promise<number[]> {
  if (!existsSync('/proc/self/environ')) return []
  const folders = entriesIn(cluster.paths.hosts).map((name) => keeperFolder(cluster, { name }))
  const known = await Promise.all(folders.flatMap((folder) => [pidIn(folder, 'keeper'), pidIn(folder, 'member')]))
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && !known.includes(pid))
  const has = (file: string, test: (words: string[]) => boolean) => (pid: number) => {
    try {
      return test(readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0'))
    } catch {
      return false
    }
  }
  const below = `${realPath(cluster.paths.hosts)}/`
  const isOurs = (path: string): boolean => realPath(path).startsWith(below)
  const isKeeper = has('cmdline', (words) => words.some((word) => word.endsWith('/keeper.py') && isOurs(word)))
  const isMember = has('environ', (words) =>
    words.some((word) => word.startsWith(dataDirectory) && isOurs(word.slice(dataDirectory.length))),
  )
  return [...pids.filter(isKeeper), ...pids.filter(isMember)]
}
