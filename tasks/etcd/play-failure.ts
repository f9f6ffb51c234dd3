// What went wrong in a play, as a sentence: the host, what Ansible or the role said of it, and what helps.
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { listed } from '../core/terminal.ts'
import { causeOf, failing, unreachable, vault } from './causes.ts'
import { remedyOfRole } from './findings.ts'
import type { PlayFailure, RoleFinding, Told } from './play-events.ts'

interface Failure {
  /** None where the message names whom it concerns. */
  host?: string
  message: string
  code?: string
  hint?: string | undefined
  output?: string | undefined
}

/**
 * The play's first failure; the hosts that failed for the same reason beside its own, the others' reasons below.
 * @param output what is shown when there is none
 * @param log the log that holds the rest
 */
export function playFailure(cluster: Cluster, failed: PlayFailure[], output: string, log?: string): OperationError {
  const more = log ? { log } : {}
  const failures = failed.flatMap((one) =>
    one.event === 'refused' ? one.findings.map((finding) => inWords(cluster, finding)) : happened(cluster, one),
  )
  const [first, ...others] = failures
  if (!first) {
    const cause = causeOf([vault], output)
    return cause
      ? new OperationError(`ansible-playbook: ${cause.message}`, { hint: cause.hint, ...more })
      : new OperationError('ansible-playbook failed before it reached a host.', { output, ...more })
  }
  const rest = others.filter(
    ({ host }, index) => !host || (host !== first.host && others.findIndex((other) => other.host === host) === index),
  )
  const same = rest.filter(({ host, message }) => host && message === first.message)
  const who = first.host ? `${listed([first, ...same].map(({ host = '' }) => host))}: ` : ''
  const below = [first.output, ...rest.filter((one) => !same.includes(one)).map(also)].filter(Boolean)
  return new OperationError(`${who}${first.message}`, {
    ...(first.code && { code: first.code }),
    ...(below.length > 0 && { output: below.join('\n') }),
    ...(first.hint && { hint: first.hint }),
    ...more,
  })
}

/** Whether a play that failed had changed nothing: it was refused, or a host could not be reached. */
export const isUntouched = (failed: PlayFailure[], changed?: Record<string, number>): boolean =>
  changed !== undefined &&
  Object.values(changed).every((count) => count === 0) &&
  failed.every(({ event }) => event !== 'failed')

/** Whom a play did not reach, where nothing else failed and it reached others. */
export function onlyUnreached(failed: PlayFailure[], changed: Record<string, number> = {}): string[] {
  const silent = failed.flatMap((one) => (one.event === 'unreachable' ? [one.host] : []))
  const isReached = Object.keys(changed).some((host) => !silent.includes(host))
  return isReached && silent.length === failed.length ? silent : []
}

const also = ({ host, message, hint = '', output }: Failure): string =>
  host ? [`Also: ${host}: ${message} ${hint}`.trim(), output].filter(Boolean).join('\n') : message

/** What the role says itself; where a command of ours helps, that is named. */
const inWords = (cluster: Cluster, finding: RoleFinding): Failure => ({
  message: finding.detail,
  code: finding.code,
  hint: remedyOfRole(cluster, finding) ?? finding.remedy,
  output: finding.output,
})

function happened(
  cluster: Cluster,
  { event, host, told, finding }: Exclude<PlayFailure, { event: 'refused' }> & { finding?: RoleFinding },
): Failure {
  const words = (finding ? [finding.detail, finding.output] : Object.values(told)).join('\n')
  const cause = causeOf(event === 'unreachable' ? unreachable : failing, words)
  return { host, ...(cause ?? (finding ? inWords(cluster, { host, ...finding }) : { message: lastWords(told) })) }
}

/** A command's last words say more than Ansible's. Over a terminal (raw) stdout has them, and stderr ssh's farewell. */
function lastWords({ msg = '', stdout = '', stderr = '' }: Told): string {
  const words = (stdout.trim() || stderr.trim()).split(/\r?\n/).at(-1)
  return (msg.includes('non-zero return code') && words) || msg.trim() // in a sentence from ansible-core 2.21 on
}
