// This run of a script: its stop signal, and how much it should say.
import { Interrupted } from './errors.ts'

const controller = new AbortController()
let stoppedBy: NodeJS.Signals | undefined

/** Shared by everything that waits or starts a program. */
export const run = {
  signal: controller.signal,
  verbose: false,
  json: false,
  yes: false,
  /** True while this run holds its cluster's lock: it may change something. */
  writes: false,
  /** True where Ctrl-C is how a person ends it: then nothing is said of that. */
  untilStopped: false,
  /** What a person should know, shown at the end. */
  warnings: [] as string[],
  /** What this run changed, a clause each; none: everything was as it should be. */
  changes: [] as string[],
  /** What --json says of this run beside its name: each phase adds its own. */
  report: {} as Record<string, unknown>,
  /** Called with the step that the run has come to, the outermost first. */
  onStep: undefined as ((steps: string[]) => void) | undefined,
  /** The log of this run: what every tool printed. */
  log: undefined as string | undefined,

  /** Asks everything that runs to end. */
  stop(signal: NodeJS.Signals): void {
    stoppedBy ??= signal
    controller.abort(new Interrupted(stoppedBy))
  },

  /** @throws Interrupted once the run was asked to stop */
  throwIfStopped(): void {
    if (stoppedBy) throw new Interrupted(stoppedBy)
  },
}

/** Waits. @throws Interrupted when the run is stopped meanwhile */
export async function sleep(ms: number): Promise<void> {
  run.throwIfStopped()
  await new Promise<void>((wake) => {
    const done = (): void => {
      clearTimeout(timer)
      run.signal.removeEventListener('abort', done)
      wake()
    }
    const timer = setTimeout(done, ms)
    run.signal.addEventListener('abort', done, { once: true })
  })
  run.throwIfStopped()
}
