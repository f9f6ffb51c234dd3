// One writer per cluster: a lock with its owner's pid and verb, and the tools that owner has started.
// A run that was killed leaves its lock and perhaps a tool still at work; the next run ends that tool
// (every step can be run again) before it takes the lock over.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, linkSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { quote } from 'zx/core'
import { isNpm, isShellOfNpm, startedByNpm } from './environment.ts'
import { OperationError } from './errors.ts'
import { makeFolder, readFileIfThere, removeIfEmpty } from './files.ts'
import {
  birthIn,
  birthOf,
  commandOf,
  endGroup,
  endProcess,
  isSignallable,
  isSuspended,
  parentOf,
  printOwnBirth,
} from './processes.ts'
import { duration } from './terminal.ts'

/** What is at work on a cluster right now, for those who look on. */
export interface AtWork {
  verb: string
  pid: number
  since: string
  /** It was stopped (SIGSTOP, Ctrl-Z), and does nothing until it is resumed. */
  suspended: boolean
  /** The step that it is at, the outermost first; none where it has not begun one yet. */
  steps: string[]
}

const ownerSchema = v.object({
  pid: v.pipe(v.number(), v.integer()),
  /** Tells it from a later process with the same pid. */
  birth: v.string(),
  verb: v.string(),
  since: v.pipe(
    v.string(),
    v.check((moment) => !Number.isNaN(Date.parse(moment))),
  ),
  /** The npm above it, by pid and birth. */
  launchers: v.array(v.tuple([v.number(), v.string()])),
  /** Makes every record different. */
  claim: v.optional(v.string()),
})
type Owner = v.InferOutput<typeof ownerSchema>

const lockFolder = (state: string): string => join(state, 'lock')

/** A file for the pid of a tool, and the words with which the tool's shell fills it before it becomes the tool. */
export function toolPidFile(state: string): { path: string; fill: string } {
  const path = join(lockFolder(state), `tool-${randomBytes(4).toString('hex')}.pid`)
  return { path, fill: `{ echo $$; ${printOwnBirth}; } > ${quote(path)};` }
}

/** Takes the cluster's lock; returns how to give it back. @throws OperationError when a living process holds it */
export async function takeLock(state: string, verb: string): Promise<() => void> {
  const folder = lockFolder(state)
  const path = join(folder, 'owner.json')
  const mine = join(folder, `claim-${process.pid}-${randomBytes(4).toString('hex')}`)
  const claim = JSON.stringify({
    pid: process.pid,
    birth: (await birthOf(process.pid)) ?? '',
    verb,
    since: new Date().toISOString(),
    launchers: await launchers(),
    claim: mine,
  } satisfies Owner)
  writeClaim(folder, mine, claim)
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      if (link(mine, path) || (await inherit(path, mine, claim))) {
        await endLeftovers(folder)
        return () => {
          rmSync(join(folder, stepFile), { force: true })
          if (readFileIfThere(path) === claim) rmSync(path, { force: true })
          // A cluster that is gone leaves no folder either.
          if (!existsSync(join(state, 'cluster.json')))
            for (const empty of [folder, join(state, 'logs'), state, dirname(state)]) removeIfEmpty(empty)
        }
      }
    }
    throw new OperationError(`The lock of this cluster could not be taken: ${path} keeps changing.`, {
      hint: 'Wait for the other runs to end, then run the same command again.',
    })
  } finally {
    rmSync(mine, { force: true })
  }
}

/** The code of the refusal while another run is at work. */
export const atWorkCode = 'at-work'

const stepFile = 'step.json'

/** Notes which step the lock's owner is at. Nobody depends on it: where it cannot be written, the work goes on. */
export function noteSteps(state: string, steps: string[]): void {
  const path = join(lockFolder(state), stepFile)
  try {
    writeFileSync(`${path}.part`, JSON.stringify(steps), { mode: 0o600 })
    renameSync(`${path}.part`, path)
  } catch {}
}

/** The living owner of the lock, and the step that it is at; undefined where nobody is at work. Touches nothing. */
export async function atWork(state: string): Promise<AtWork | undefined> {
  const folder = lockFolder(state)
  const record = lastOfLine(join(folder, 'owner.json'))?.record
  const { pid, birth, verb, since } = parseOwner(record ?? '')
  if (!record || (await birthOf(pid)) !== birth) return undefined
  const suspended = await isSuspended(pid)
  return { verb, pid, since, suspended, steps: JSON.parse(readFileIfThere(join(folder, stepFile)) ?? '[]') as string[] }
}

/** A run that ends may remove the empty folder just when this one has made it: then it is made again. */
function writeClaim(folder: string, path: string, claim: string): void {
  for (let attempt = 1; ; attempt++) {
    makeFolder(folder)
    try {
      writeFileSync(path, claim, { mode: 0o600 })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 5) throw error
    }
  }
}

/**
 * Takes the lock over from a dead owner, of whom many may learn at the same time: the heir is who first links the
 * file that is named after the dead owner's record. Should the heir die, too, its heir is found in the same way.
 * @throws OperationError when the owner, or its heir, is alive
 */
async function inherit(path: string, mine: string, claim: string): Promise<boolean> {
  const last = lastOfLine(path)
  if (!last) return false
  await refuseIfAlive(last.record)
  if (!link(mine, last.heir)) return false
  // Somebody else may have become the owner while we looked: then that was the heir's place of a line long gone.
  const inherited = lastOfLine(path)?.record === claim
  if (inherited) renameSync(mine, path)
  else rmSync(last.heir, { force: true })
  return inherited
}

/** From the owner to its heir and on: the last record there is, and the file that an heir of it would link. */
function lastOfLine(path: string): { record: string; heir: string } | undefined {
  let record = readFileIfThere(path)
  while (record !== undefined) {
    const heir = `${path}.${createHash('sha256').update(record).digest('hex').slice(0, 32)}.heir`
    const next = readFileIfThere(heir)
    if (next === undefined) return { record, heir }
    record = next
  }
  return undefined
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

async function refuseIfAlive(record: string): Promise<void> {
  const { pid, birth, verb, since, launchers } = parseOwner(record)
  if ((await birthOf(pid)) !== birth) return
  // Who kills npx with -9 kills npm only: the run below it goes on, but nobody sees it or can stop it any more.
  for (const [launcher, born] of launchers) if ((await birthOf(launcher)) !== born) return endProcess(pid)
  const suspended = await isSuspended(pid)
  throw new OperationError(
    `Another run is at work on this cluster: ${verb}, pid ${pid}, since ${since.slice(0, 19)}Z ` +
      `(${duration(Date.now() - Date.parse(since))} ago)${suspended ? '. It is suspended' : ''}.`,
    {
      code: atWorkCode,
      hint: suspended
        ? `Resume it: kill -CONT ${pid}. Or end it: kill -KILL ${pid}; then run the same command again`
        : `Wait for it, or stop it with: kill ${pid}`,
    },
  )
}

/**
 * The npm above this run: its parent, or the parent of the shell that it starts a script in.
 * @throws OperationError when that shell stands there, and npm above it was killed already: nobody sees this run
 */
async function launchers(): Promise<Owner['launchers']> {
  if (!startedByNpm()) return []
  const pids = [process.ppid, await parentOf(process.ppid)]
  const births = await Promise.all(
    pids.map(async (pid): Promise<Owner['launchers']> => {
      const birth = pid && isNpm(await commandOf(pid)) ? await birthOf(pid) : undefined
      return pid && birth ? [[pid, birth]] : []
    }),
  )
  if (births.flat().length === 0 && isShellOfNpm(await commandOf(process.ppid)))
    throw new OperationError('npx, which started this run, was killed. Therefore this run ends.', {
      hint: 'Run the same command again.',
    })
  return births.flat()
}

function parseOwner(source: string): Owner {
  const nobody = { pid: 0, birth: 'unknown', verb: 'unknown', launchers: [], since: new Date(0).toISOString() }
  return v.parse(v.fallback(v.pipe(v.string(), v.parseJson(), ownerSchema), nobody), source)
}

/** Ends what a killed run left working, and tidies what it left lying. */
async function endLeftovers(folder: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (name.startsWith('tool-')) {
      const [pid = '', birth = ''] = (readFileIfThere(path) ?? '').split('\n')
      if (Number(pid) > 1 && birthIn(birth) && (await birthOf(Number(pid))) === birthIn(birth))
        await endGroup(Number(pid))
      rmSync(path, { force: true })
    }
    const claimant = /^claim-(\d+)-/.exec(name)?.[1]
    if (name.endsWith('.heir') || name.startsWith(stepFile) || (claimant && !isSignallable(Number(claimant))))
      rmSync(path, { force: true })
  }
}
