// Running other programs: logged, interruptible, and never a raw failure to the person.
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { $ } from 'zx/core'
import { programEnvironment } from './environment.ts'
import { notFound } from './errors.ts'
import { toolPidFile } from './lock.ts'
import { endGroup } from './processes.ts'
import { run } from './run.ts'
import { chalk, plain } from './terminal.ts'

/** What a program left: its two streams and how it ended. */
export interface Result {
  stdout: string
  stderr: string
  exitCode: number
}

/** Variables that a program gets besides ours; an undefined one is taken from it. */
export type Environment = Record<string, string | undefined>

export interface ToolOptions {
  /** The cluster's state folder, so that the next run can end the program should this one be killed. */
  state?: string
  env?: Environment
  cwd?: string
  /** Called with each line of standard output, while the program runs. */
  onLine?: (line: string) => void
  /** Called with each line that it writes to file descriptor 3: for us, where standard output is for people. */
  onEvent?: (line: string) => void
}

/** Runs a short program, whatever its exit code (124: it took longer than `timeout` ms). @throws OperationError */
export async function ask(
  program: string,
  args: string[],
  options: { env?: Environment; timeout?: number; input?: string } = {},
): Promise<Result> {
  const { env, timeout, input } = options
  run().throwIfStopped()
  const child = $({
    quiet: true,
    nothrow: true,
    signal: run().signal,
    detached: true,
    env: programEnvironment(env),
    ...(input !== undefined && { input }),
  })`exec ${program} ${args}`
  const timer = timeout ? setTimeout(() => child.pid && void endGroup(child.pid), timeout) : undefined
  const { stdout, stderr, exitCode, signal } = await child
  clearTimeout(timer)
  run().throwIfStopped()
  refuseMissing(program, exitCode, stderr)
  return { stdout, stderr, exitCode: exitCode ?? (signal ? 124 : 1) }
}

/** The shell's own words about a program that is not there; a program may exit 127 for reasons of its own. */
function refuseMissing(program: string, exitCode: number | null, stderr: string): void {
  const missing =
    exitCode === 127 &&
    [': not found', ': No such file', ': cannot execute'].some((words) => stderr.includes(program + words))
  if (missing) throw notFound(program)
}

/** As `ask`, for a tool that works for a while (ansible-playbook, vagrant, apt): streamed line by line to the log. */
export async function work(program: string, args: string[], options: ToolOptions): Promise<Result> {
  const { state, env, cwd, onLine, onEvent } = options
  run().throwIfStopped()
  const pidFile = state ? toolPidFile(state) : undefined
  const child = $({
    quiet: true,
    nothrow: true,
    detached: true,
    ...(cwd && { cwd }),
    ...(onEvent && { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] }),
    env: programEnvironment(env),
    prefix: `${$.prefix ?? ''}${pidFile?.fill ?? ''}`,
  })`exec ${program} ${args}`
  const stop = (): void => void (child.pid && endGroup(child.pid))
  run().signal.addEventListener('abort', stop, { once: true })
  const events = onEvent && eachLine(child.child?.stdio[3] as Readable, onEvent)
  events?.catch(stop) // our own failure there ends the program, and is thrown below
  try {
    for await (const printed of child) {
      const line = plain(lastRewrite(printed))
      run().note(`${line}\n`)
      if (run().verbose) run().stderr.write(`${chalk.dim(`${program.split('/').at(-1)} |`)} ${line}\n`)
      onLine?.(line)
    }
    const { stdout, stderr, exitCode } = await child
    run().note(stderr)
    await events
    run().throwIfStopped()
    refuseMissing(program, exitCode, stderr)
    return { stdout, stderr, exitCode: exitCode ?? 1 }
  } catch (error) {
    stop() // our own failure (a full disk, say) must not leave the program running
    throw error
  } finally {
    run().signal.removeEventListener('abort', stop)
    if (pidFile) rmSync(pidFile.path, { force: true })
  }
}

async function eachLine(input: Readable, onLine: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input })) onLine(line)
}

/** What a terminal shows in the end of a line that was rewritten while something progressed. */
const lastRewrite = (line: string): string => (line.includes('\r') ? (line.trimEnd().split('\r').at(-1) ?? '') : line)

/**
 * Starts a program that serves us until we end, or `until` says so: it must end by itself when its standard input does.
 * @param onWords called with what it says on standard error, as long as it runs
 * @returns whether it said its first word; false when it ended before
 */
export function keepRunning(
  program: string,
  args: string[],
  until?: AbortSignal,
  onWords?: (words: string) => void,
): Promise<boolean> {
  // a Ctrl-C reaches us first
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: programEnvironment() })
  for (const signal of [run().signal, until])
    signal?.addEventListener('abort', () => child.stdin.destroy(), { once: true })
  return new Promise((done) => {
    child.stdin.on('error', () => {})
    child.stdout.once('data', () => {
      for (const handle of [child, child.stdin, child.stdout, child.stderr])
        (handle as { unref?: () => void }).unref?.() // it must not keep us alive
      done(true)
    })
    child.stderr.on('data', (words: Buffer) => {
      run().note(words)
      onWords?.(words.toString())
    })
    child.once('error', () => done(false)).once('exit', () => done(false))
  })
}

/** In single quotes, as every POSIX shell (and Ansible) reads them; plain where nothing needs quoting. */
export const shellQuoted = (text: string): string =>
  /^[\w./:,=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** Words as Python's shlex.split makes them, and so Ansible of ssh's arguments; undefined: a quote is not closed. */
export function shellWords(line: string): string[] | undefined {
  const word = /(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+/gs
  if (line.replace(word, '').trim() !== '') return undefined
  const bare = (_: string, single?: string, double?: string, escaped?: string): string =>
    single ?? double?.replace(/\\(["\\])/g, '$1') ?? escaped ?? ''
  return (line.match(word) ?? []).map((quoted) => quoted.replace(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs, bare))
}
