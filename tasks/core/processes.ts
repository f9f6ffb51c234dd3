// Other processes: whether one still runs, whether it is the same one as before, and ending a group of them.
import { existsSync } from 'node:fs'
import { $ } from 'zx/core'
import { programEnvironment } from './environment.ts'
import { readFileIfThere } from './files.ts'

/** In English, so that the month in a moment of birth is always called the same. */
const asked = () => $({ quiet: true, nothrow: true, env: programEnvironment({ LC_ALL: 'C' }) })

/**
 * What tells a process from a later one with the same pid: the moment it was born, in the system's own count, which
 * no change of the clock moves. Undefined: no such process runs (one that has ended, but was not waited for, does not).
 */
export async function birthOf(pid: number): Promise<string | undefined> {
  if (!isSignallable(pid)) return undefined
  if (existsSync('/proc/self/stat')) return birthIn(readFileIfThere(`/proc/${pid}/stat`) ?? '')
  return birthIn((await asked()`ps -o stat= -o lstart= -p ${pid}`).stdout)
}

/** The fields of /proc/<pid>/stat behind the name, which may hold anything (proc(5)): state, parent, … */
const fieldsOf = (stat: string): string[] =>
  stat
    .slice(stat.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/)

/** The pid of a process's parent; undefined where it cannot be told. */
export async function parentOf(pid: number): Promise<number | undefined> {
  const stat = readFileIfThere(`/proc/${pid}/stat`)
  return Number(stat ? fieldsOf(stat)[1] : (await asked()`ps -o ppid= -p ${pid}`).stdout) || undefined
}

/** The words of a process's command; without /proc, split at each blank. */
export async function commandOf(pid: number): Promise<string[]> {
  const words = readFileIfThere(`/proc/${pid}/cmdline`)
  return words === undefined
    ? (await asked()`ps -o args= -p ${pid}`).stdout.trim().split(' ')
    : words.split('\0').filter((word) => word !== '')
}

/** The shell words that print what birthIn reads, for the shell itself. */
export const printOwnBirth = 'cat /proc/$$/stat 2>/dev/null || LC_ALL=C ps -o stat= -o lstart= -p $$'

/** Reads a line of /proc/<pid>/stat (proc(5): field 3 is the state, 22 the start in ticks) or of ps. */
export function birthIn(line: string): string | undefined {
  const fields = fieldsOf(line)
  const [state = ''] = fields
  if (state === '' || state.startsWith('Z') || state.startsWith('X')) return undefined
  return line.includes(')') ? fields[19] : fields.slice(1).join(' ')
}

/** Whether a process is suspended (SIGSTOP, Ctrl-Z): it hears no SIGTERM. */
export async function isSuspended(pid: number): Promise<boolean> {
  const stat = readFileIfThere(`/proc/${pid}/stat`) ?? (await asked()`ps -o stat= -p ${pid}`).stdout
  return fieldsOf(stat)[0]?.startsWith('T') === true
}

/** Sends SIGTERM to a process, then SIGKILL after 5 s; returns when it is gone. */
export const endProcess = (pid: number): Promise<void> => end(pid, async () => !!(await birthOf(pid)), 5000)

/** Sends SIGTERM to a process group, then SIGKILL after 1.5 s; returns when it is gone. */
export const endGroup = (pgid: number): Promise<void> => end(-pgid, () => groupIsAlive(pgid), 1500)

async function end(target: number, isAlive: () => Promise<boolean>, patienceMs: number): Promise<void> {
  signal(target, 'SIGTERM')
  for (let waited = 0; await isAlive(); waited += 50) {
    if (waited >= patienceMs) signal(target, 'SIGKILL')
    if (waited >= patienceMs + 1500) return
    await new Promise((wake) => setTimeout(wake, 50))
  }
}

export async function groupIsAlive(pgid: number): Promise<boolean> {
  if (!isSignallable(-pgid)) return false
  const { stdout } = await $({ quiet: true, nothrow: true })`ps -A -o pgid= -o stat=`
  const states = stdout.split('\n').map((line) => line.trim().split(/\s+/))
  return states.some(([group, state = '']) => Number(group) === pgid && !state.startsWith('Z')) || states.length < 2
}

/** Whether there is such a process or, for a negative number, group; an ended one counts until it was waited for. */
export const isSignallable = (pid: number): boolean => pid !== 0 && signal(pid, 0)

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
