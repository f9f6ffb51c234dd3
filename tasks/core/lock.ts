// One writer per cluster: a lock with its owner's pid and verb, and the tools that owner has started.
// A run that was killed leaves its lock and perhaps a tool still at work; the next run ends that tool
// (every step can be run again) before it takes the lock over.
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { $ } from 'zx'
import { OperationError } from './errors.ts'
import { readFileIfThere } from './files.ts'

interface Owner {
  pid: number
  verb: string
  since: string
}

/** The lock's folder below a cluster's state folder, and its file for the pid of a tool. */
const lockFolder = (state: string): string => join(state, 'lock')
export const toolPidFile = (state: string): string => join(lockFolder(state), `tool-${randomBytes(4).toString('hex')}.pid`)

/**
 * Takes the cluster's lock or says who has it; returns how to give it back.
 * @throws OperationError when a living process holds it
 */
export async function takeLock(state: string, verb: string): Promise<() => void> {
  const folder = lockFolder(state)
  const path = join(folder, 'owner.json')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const mine = join(folder, `claim-${process.pid}-${randomBytes(4).toString('hex')}`)
  const owner: Owner = { pid: process.pid, verb, since: new Date().toISOString() }
  writeFileSync(mine, JSON.stringify(owner), { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      if (link(mine, path)) {
        await endLeftovers(folder)
        return () => rmSync(path, { force: true })
      }
      await setAsideIfDead(path)
    }
    throw new OperationError(`The lock of this cluster could not be taken: ${path} keeps changing.`, { hint: 'Wait for the other runs to end, then run the same command again.' })
  } finally {
    rmSync(mine, { force: true })
  }
}

/** A hard link is made by one process only, and never half. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function setAsideIfDead(path: string): Promise<void> {
  const source = readFileIfThere(path)
  if (source === undefined) return
  const owner = parseOwner(source)
  const since = new Date(owner.since)
  if (owner.pid !== process.pid && (await isAlive(owner.pid, since))) {
    throw new OperationError(`Another run is at work on this cluster: ${owner.verb}, pid ${owner.pid}, since ${since.toLocaleTimeString()}.`, { hint: `Wait for it, or stop it with: kill ${owner.pid}` })
  }
  const aside = `${path}.${randomBytes(4).toString('hex')}.dead`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return
  }
  // Two runs may have judged the same dead owner; whoever moved a newer lock aside puts it back.
  if (readFileIfThere(aside) !== source) link(aside, path)
  rmSync(aside, { force: true })
}

function parseOwner(source: string): Owner {
  try {
    const owner = JSON.parse(source) as Owner
    if (Number.isInteger(owner.pid) && !Number.isNaN(Date.parse(owner.since))) return owner
  } catch {}
  return { pid: 0, verb: 'unknown', since: new Date(0).toISOString() }
}

/** Ends what a killed run left working, and tidies what it left lying. */
async function endLeftovers(folder: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (name.startsWith('tool-')) {
      const pid = Number(readFileIfThere(path))
      if (pid > 1 && (await isAlive(pid, statSync(path).mtime))) await endGroup(pid)
      rmSync(path, { force: true })
    }
    if (name.endsWith('.dead')) rmSync(path, { force: true })
  }
}

/** Whether the pid is the process that existed at that moment, not a later one that was given the same number. */
async function isAlive(pid: number, at: Date): Promise<boolean> {
  if (pid < 1 || !signal(pid, 0)) return false
  const elapsed = (await $({ quiet: true, nothrow: true })`ps -o etime= -p ${pid}`).stdout.trim()
  const startedAt = Date.now() - secondsOf(elapsed) * 1000
  return elapsed === '' ? signal(pid, 0) : startedAt <= at.getTime() + 2000
}

/** ps prints [[days-]hours:]minutes:seconds. */
function secondsOf(elapsed: string): number {
  const [clock = '', dayText] = elapsed.split('-').reverse()
  return clock.split(':').reduce((total, part) => total * 60 + Number(part), 0) + Number(dayText ?? 0) * 86400
}

/** Sends SIGTERM to a process group, then SIGKILL after 1.5 s; returns when it is gone. */
export async function endGroup(pgid: number): Promise<void> {
  signal(-pgid, 'SIGTERM')
  for (let waited = 0; signal(-pgid, 0); waited += 50) {
    if (waited >= 1500) signal(-pgid, 'SIGKILL')
    if (waited >= 3000) return
    await new Promise((wake) => setTimeout(wake, 50))
  }
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
