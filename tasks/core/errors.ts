// The two kinds of failure a person can meet. Anything else that is thrown is a bug of ours.
import type { Remedy } from './remedy.ts'

/** What may accompany a failure besides its one sentence. */
export interface FailureDetails {
  /** The tool's own last words, a few lines at most. */
  output?: string
  /** Which failure it is, for code that treats one differently. */
  code?: string
  /** The command or change that helps. */
  hint?: string
  /** A verb of ours that does what the hint says, where code that knows no cluster makes it. */
  verb?: string
  /** The hint as a value. */
  remedy?: Remedy
  /** The log that holds the rest. */
  log?: string
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

/** The command line, the environment or the configuration asks for something impossible. Exit code 2. */
export class UsageError extends OperationError {
  override readonly exitCode = 2
}

/** A person or the system asked us to stop. Exit code 130 (SIGINT) or 143 (SIGTERM). */
export class Interrupted extends OperationError {
  override readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(
      signal === 'SIGINT'
        ? 'Interrupted. Run the same command again to go on.'
        : `Stopped by ${signal}. Run the same command again to go on.`,
    )
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

/** True for a failure whose cause is the machine's (full disk, no permission), by its system error code. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string' && 'syscall' in error
}

/** One sentence for a system error: what could not be done, on which path, and what helps. */
export function describeSystemError(error: NodeJS.ErrnoException): OperationError {
  const where = error.path ?? 'a file'
  const known: Record<string, OperationError> = {
    ENOSPC: new OperationError(`The disk is full: ${where} could not be written.`, {
      hint: 'Free some space, then run the same command again.',
    }),
    EACCES: new OperationError(`No permission to use ${where}.`, {
      hint: 'Run as the user who owns the folder, or correct its permissions.',
    }),
    EPERM: new OperationError(`No permission to use ${where}.`, {
      hint: 'Run as the user who owns the folder, or correct its permissions.',
    }),
    EROFS: new OperationError(`${where} is on a read-only file system.`, {
      hint: 'Set HA_ETCD_HOME to a folder that can be written.',
    }),
    ENOTDIR: new OperationError(`${where} is not a folder, but one is needed there.`, {
      hint: 'Move the file aside, then run the same command again.',
    }),
    EISDIR: new OperationError(`${where} is a folder, but a file is needed there.`, {
      hint: 'Move the folder aside, then run the same command again.',
    }),
  }
  return known[error.code ?? ''] ?? new OperationError(`The system refused: ${error.message}.`)
}
