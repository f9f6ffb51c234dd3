// The two kinds of failure a person can meet. Anything else that is thrown is a bug of ours.
import { constants } from 'node:os'
import type { Remedy } from './remedy.ts'

export interface FailureDetails {
  /** The tool's own last words, a few lines at most. */
  output?: string
  /** Lines that a person needs, every one of them. */
  lines?: string[]
  /** Which failure it is, for code that treats one differently. */
  code?: string
  hint?: string
  /** A verb of ours that does what the hint says, where code that knows no cluster makes it. */
  verb?: string
  remedy?: Remedy
  /** The log that holds the rest. */
  log?: string
  /** True where it failed before it changed anything on a host. */
  untouched?: boolean
  cause?: unknown
}

/** An operation failed: the world was not as it should be. Exit code 1. */
export class OperationError extends Error {
  readonly exitCode: number = 1
  readonly more: FailureDetails

  constructor(message: string, details: FailureDetails = {}) {
    super(message, { cause: details.cause })
    this.name = new.target.name
    this.more = details
  }
}

/** A program that doctor gets is not there. */
export const notFound = (program: string): OperationError =>
  new OperationError(`${program} was not found.`, { hint: 'Get what is missing', verb: 'doctor' })

/** The command line, the environment or the configuration asks for something impossible. Exit code 2. */
export class UsageError extends OperationError {
  override readonly exitCode = 2
}

/** We were asked to stop. The exit code is the shells': 130 (SIGINT), 143 (SIGTERM) or 141 (SIGPIPE: no reader). */
export class Interrupted extends OperationError {
  override readonly exitCode: number
  readonly signal: NodeJS.Signals

  constructor(signal: NodeJS.Signals) {
    super(
      signal === 'SIGINT'
        ? 'Interrupted. Run the same command again to go on.'
        : `Stopped by ${signal}. Run the same command again to go on.`,
    )
    this.signal = signal
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** How it failed, where the world was not as it should be; undefined: it did not. @throws Interrupted, and bugs */
export async function failureOf(work: () => unknown): Promise<OperationError | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof OperationError && !(error instanceof Interrupted)) return error
    throw error
  }
}

/** True for a failure whose cause is the machine's (full disk, no permission), by its system error code. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string' && 'syscall' in error
}

/** One sentence for a system error: what could not be done, on which path, and what helps. */
export function describeSystemError(error: NodeJS.ErrnoException): OperationError {
  const where = error.path ?? 'a file'
  const forbidden = [
    `No permission to use ${where}.`,
    'Run as the user who owns the folder, or correct its permissions.',
  ]
  const known: Record<string, string[]> = {
    ENOSPC: [`The disk is full: ${where} could not be written.`, 'Free some space, then run the same command again.'],
    EACCES: forbidden,
    EPERM: forbidden,
    EROFS: [
      `${where} is on a read-only file system.`,
      'Name a place that can be written; where it is a file of ours, by HA_ETCD_HOME.',
    ],
    ENOTDIR: [
      `${where} is not a folder, but one is needed there.`,
      'Move the file aside, then run the same command again.',
    ],
    EISDIR: [
      `${where} is a folder, but a file is needed there.`,
      'Move the folder aside, then run the same command again.',
    ],
  }
  const [message = `The system refused: ${error.message}.`, hint] = known[error.code ?? ''] ?? []
  return new OperationError(message, hint ? { hint } : {})
}
