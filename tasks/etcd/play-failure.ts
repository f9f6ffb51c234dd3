// What went wrong in a play, as a sentence: the host, what Ansible or the role said of it, and what helps.
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { causeOf, failing, unreachable, vault } from './causes.ts'
import type { PlayFailure, RoleFinding, Told } from './play-events.ts'
import { ourRemedy } from './role-remedies.ts'

interface Failure {
  /** None where the message names whom it concerns. */
  host?: string
  message: string
  code?: string
  hint?: string | undefined
  output?: string | undefined
}

/**
 * The play's first failure, and who else failed.
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
  const also = [...new Set(others.flatMap(({ host }) => (host && host !== first.host ? [host] : [])))]
  const who = first.host ? `${first.host}${also.length > 0 ? ` (and ${also.join(', ')})` : ''}: ` : ''
  const below = [first.output, ...others.filter(({ host }) => !host).map(({ message }) => message)].filter(Boolean)
  return new OperationError(`${who}${first.message}`, {
    ...(first.code && { code: first.code }),
    ...(below.length > 0 && { output: below.join('\n') }),
    ...(first.hint && { hint: first.hint }),
    ...more,
  })
}

/** What the role says itself; where a command of ours helps, that is named. */
const inWords = (cluster: Cluster, finding: RoleFinding): Failure => ({
  message: finding.detail,
  code: finding.code,
  hint: ourRemedy(cluster, finding) ?? finding.remedy,
  output: finding.output,
})

function happened(
  cluster: Cluster,
  { event, host, told, finding }: Exclude<PlayFailure, { event: 'refused' }> & { finding?: RoleFinding },
): Failure {
  const words = finding ? (finding.output ?? '') : Object.values(told).join('\n')
  const cause = causeOf(event === 'unreachable' ? unreachable : failing, words)
  return { host, ...(cause ?? (finding ? inWords(cluster, finding) : { message: lastWords(told) })) }
}

/**
 * A command's own last words say more than Ansible's. Over a terminal (raw) all of them are in stdout, and stderr holds
 * only ssh's farewell.
 */
function lastWords({ msg = '', stdout = '', stderr = '' }: Told): string {
  const words = (stdout.trim() || stderr.trim()).split(/\r?\n/).at(-1)
  return (msg === 'non-zero return code' && words) || msg.trim()
}
