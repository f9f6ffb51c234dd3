// What calls us every few minutes is set up on this machine, and removed: a systemd timer, or a line in the crontab.
import { createHash } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { environmentOfTimers, home, projectFolder, startOf } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { writeFileIfChanged } from '../core/files.ts'
import { findProgram, isRoot } from '../core/programs.ts'
import { today } from '../core/run.ts'
import { ask, type Result } from '../core/shell.ts'
import { readTimer, tidySchedule, writeTimer } from './store.ts'
import { cronLine, crontabWith, kindFor, type Tick, type TimerKind, tickScript, units } from './timers.ts'

export const tickOf = ({ name, paths }: Cluster): Tick => ({
  name: `ha-etcd-${name}-${createHash('sha256').update(home()).digest('hex').slice(0, 8)}`,
  cluster: name,
  script: join(paths.schedule, 'tick.sh'),
})

/** @throws OperationError where nothing here would call us while nobody is logged in */
function timerHere(): TimerKind {
  const { username, uid } = userInfo()
  const systemd = existsSync('/run/systemd/system') // sd_booted(3)
  // the user's own systemd runs, and does so after they have logged out
  const lingers = existsSync(`/run/user/${uid}/systemd`) && existsSync(join('/var/lib/systemd/linger', username))
  const kind = kindFor({ systemd, root: isRoot(), lingers, crontab: findProgram('crontab') !== undefined })
  if (kind) return kind
  if (!systemd) throw new OperationError('This machine has neither systemd nor cron.', { hint: 'Install cron.' })
  throw new OperationError(`The timers of ${username} would end when ${username} logs out, and cron is not here.`, {
    hint: `Have root run: loginctl enable-linger ${username}. Then run the same command again.`,
  })
}

/**
 * Looks whether what calls us can be changed here, and changes nothing.
 * @throws OperationError where it cannot
 */
export async function checkTimer(cluster: Cluster): Promise<TimerKind> {
  const kind = timerHere()
  if (kind === 'cron') await readCrontab()
  await checkRemoval(cluster)
  return kind
}

/** The same for its removal alone: what was set up counts, whatever this machine has now. */
export async function checkRemoval({ paths }: Cluster): Promise<void> {
  if (readTimer(paths)?.kind === 'cron') await readCrontab()
}

/**
 * The script is there before anything calls it. What is to be set up is noted before, so that it can be removed
 * whenever this is killed, and until it is done as if it had never called us. What is there as it should be stays.
 * @throws OperationError where it cannot be set up
 */
export async function setUpTimer(cluster: Cluster): Promise<TimerKind> {
  const [kind, before] = [timerHere(), readTimer(cluster.paths)]
  const tick = tickOf(cluster)
  tidySchedule(cluster.paths, false)
  const script = tickScript(cluster.name, projectFolder, startOf('schedule'), environmentOfTimers())
  writeFileIfChanged(tick.script, script, 0o700)
  if (before && before.kind !== kind) await removeTimerOf(cluster, before.kind)
  if (before?.kind !== kind) writeTimer(cluster.paths, { kind, since: new Date(0).toISOString() })
  if (kind === 'cron') await changeCrontab(tick, cronLine(tick))
  else await installUnits(tick, kind)
  writeTimer(cluster.paths, { kind, since: today().toISOString() })
  return kind
}

/** Removes what calls us, and all that it left here. @throws OperationError where that cannot be removed */
export async function removeTimer(cluster: Cluster): Promise<void> {
  const timer = readTimer(cluster.paths)
  if (timer) await removeTimerOf(cluster, timer.kind)
  rmSync(cluster.paths.schedule, { recursive: true, force: true })
}

const removeTimerOf = (cluster: Cluster, kind: TimerKind): Promise<void> =>
  kind === 'cron' ? changeCrontab(tickOf(cluster), undefined) : removeUnits(tickOf(cluster), kind)

const unitFolder = (kind: TimerKind): string =>
  kind === 'system' ? '/etc/systemd/system' : join(homedir(), '.config/systemd/user')

async function installUnits(tick: Tick, kind: TimerKind): Promise<void> {
  const changed = Object.entries(units(tick)).map(([name, text]) =>
    writeFileIfChanged(join(unitFolder(kind), name), text, 0o644),
  )
  if (changed.includes(true)) await systemctl(kind, 'daemon-reload')
  await systemctl(kind, 'enable', '--now', `${tick.name}.timer`)
}

async function removeUnits(tick: Tick, kind: TimerKind): Promise<void> {
  const paths = Object.keys(units(tick)).map((name) => join(unitFolder(kind), name))
  const there = paths.filter((path) => existsSync(path))
  if (there.length === 0) return
  if (there.some((path) => path.endsWith('.timer'))) await systemctl(kind, 'disable', '--now', `${tick.name}.timer`)
  for (const path of there) rmSync(path, { force: true })
  await systemctl(kind, 'daemon-reload')
}

/** The user's systemd is found by the folder that a login makes (pam_systemd(8)), in a shell of sudo or su as well. */
async function systemctl(kind: TimerKind, ...words: string[]): Promise<void> {
  const env = kind === 'user' ? { XDG_RUNTIME_DIR: `/run/user/${userInfo().uid}` } : {}
  const asked = kind === 'user' ? ['--user', ...words] : words
  refuse(`systemctl ${asked.join(' ')} failed.`, await ask('systemctl', asked, { env, timeout: 30_000 }))
}

/** @throws OperationError where the crontab cannot be read or written; it is then as it was */
async function changeCrontab(tick: Tick, line: string | undefined): Promise<void> {
  const before = await readCrontab()
  const after = crontabWith(before, tick, line)
  if (after === before) return
  const words = after.trim() === '' ? ['-r'] : ['-']
  refuse('The crontab could not be changed.', await ask('crontab', words, { input: after, timeout: 30_000 }))
}

/** Nobody's crontab is empty: `crontab -l` then fails, each cron with words of its own. */
async function readCrontab(): Promise<string> {
  if (!findProgram('crontab')) return ''
  const result = await ask('crontab', ['-l'], { env: { LC_ALL: 'C' }, timeout: 30_000 })
  if (result.exitCode !== 0 && /no crontab for|can't open .*No such file/i.test(result.stderr)) return ''
  refuse('The crontab cannot be read, and nothing was changed.', result)
  return result.stdout
}

function refuse(sentence: string, { exitCode, stderr, stdout }: Result): void {
  if (exitCode !== 0) throw new OperationError(sentence, { output: stderr || stdout })
}
