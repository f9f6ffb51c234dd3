// This run of a verb: whom it talks to, what it was told, what it changed. It goes with all that the run awaits
// (AsyncLocalStorage), so that several runs can follow one another in one process.
import { AsyncLocalStorage } from 'node:async_hooks'
import { setMaxListeners } from 'node:events'
import { appendFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Interrupted } from './errors.ts'

/** Where a run writes: a stream of the process, or what a test collects. */
export type Output = Pick<NodeJS.WriteStream, 'write'> & { isTTY?: boolean | undefined; columns?: number | undefined }

export class Run {
  readonly env: NodeJS.ProcessEnv
  readonly stdout: Output
  readonly stderr: Output
  /** Whether a person sits at the terminal, who can be asked. */
  readonly attended: boolean
  readonly clock: () => number
  verbose = false
  json = false
  yes = false
  /** True while this run holds its cluster's lock: it may change something. */
  writes = false
  /** True where Ctrl-C is how a person ends it: then nothing is said of that. */
  untilStopped = false
  /** True while it has broken something on purpose: asked to stop, it takes its time to put that right. */
  mendsFirst = false
  /** What a person should know, shown at the end. */
  readonly warnings: string[] = []
  /** What this run changed, a clause each; none: everything was as it should be. */
  readonly changes: string[] = []
  /** What --json says of this run beside its name: each phase adds its own. */
  readonly report: Record<string, unknown> = {}
  /** How it ended, in a sentence, for who notes it. */
  closing: string | undefined
  /** What was thrown, where it failed. */
  failure: unknown
  /** Called with the step that the run has come to, the outermost first. */
  onStep: ((steps: string[]) => void) | undefined
  /** The log of this run: what every tool printed. */
  log: string | undefined
  readonly #controller = new AbortController()
  readonly #known = new Map<string, unknown>()
  #stoppedBy: NodeJS.Signals | undefined

  constructor(around: Partial<Pick<Run, 'env' | 'stdout' | 'stderr' | 'attended' | 'clock'>> = {}) {
    this.env = around.env ?? process.env
    this.stdout = around.stdout ?? process.stdout
    this.stderr = around.stderr ?? process.stderr
    this.attended = around.attended ?? false
    this.clock = around.clock ?? Date.now
    setMaxListeners(0, this.signal) // all that waits listens
  }

  /** Shared by everything that waits or starts a program: aborted once the run is to end, or has ended. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  stop(signal: NodeJS.Signals): void {
    this.#stoppedBy ??= signal
    this.#controller.abort(new Interrupted(this.#stoppedBy))
  }

  /** Whoever read the output is gone (up | head): what changes a cluster goes on to its end, what only looks ends. */
  readerGone(): void {
    if (!this.writes) this.stop('SIGPIPE')
  }

  /** Ends what serves this run and no other. */
  end(): void {
    this.#controller.abort(new Interrupted('SIGTERM'))
  }

  /** @throws Interrupted once the run was asked to stop */
  throwIfStopped(): void {
    if (this.#stoppedBy) throw new Interrupted(this.#stoppedBy)
  }

  /** Adds to what a person should know; once, however often it is said. */
  warn(warning: string): void {
    if (!this.warnings.includes(warning)) this.warnings.push(warning)
  }

  note(text: string | Buffer): void {
    if (this.log) appendFileSync(this.log, text)
  }

  /** What is found out once a run. */
  once<T>(what: string, find: () => T): T {
    if (!this.#known.has(what)) this.#known.set(what, find())
    return this.#known.get(what) as T
  }
}

const current = new AsyncLocalStorage<Run>()
/** For code that no verb has called. */
const outside = new Run()

/** The run that this code belongs to. */
export const run = (): Run => current.getStore() ?? outside

export const inRun = <T>(one: Run, act: () => T): T => current.run(one, act)

/** The time by the run's clock, in ms since 1970. */
export const clock = (): number => run().clock()

export const today = (): Date => new Date(clock())

export const print = (text: string): void => void run().stdout.write(text)

/** What a verb has to say: with --json as data, else for a person. */
export const tell = (data: object, text: string): void => print(`${run().json ? JSON.stringify(data) : text}\n`)

/** Tells what a look finds; with `watch` again every 2 s, on a terminal in the same place, until Ctrl-C. */
export async function tellAgain(watch: boolean, look: () => Promise<[data: object, text: string]>): Promise<void> {
  const one = run()
  one.untilStopped = watch
  for (;;) {
    const [data, text] = await look()
    one.throwIfStopped()
    const again = one.stdout.isTTY ? `\x1b[H\x1b[2J${text}` : `${text}\n`
    tell(data, watch ? again : text)
    if (!watch) return
    await sleep(2000)
  }
}

/** Waits. @throws Interrupted when the run is stopped meanwhile */
export async function sleep(ms: number): Promise<void> {
  const { signal } = run()
  run().throwIfStopped()
  await setTimeout(ms, undefined, { signal }).catch(() => undefined) // it was stopped, or has ended
  run().throwIfStopped()
}
