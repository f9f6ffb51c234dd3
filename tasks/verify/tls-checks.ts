// The checks of who lets us in, of certificates and refusals.
import { type Finding, inRanking } from '../etcd/findings.ts'
import type { Facts } from './facts.ts'
import type { Attempt, Refusal } from './refusals.ts'

/** What members answer. Who is silent may wait at its start, because of the certificate that it has. */
export const health = ({ hosts, judged }: Facts): Finding[] =>
  judged.health.map((found) => {
    const { flaws = [] } = hosts.find(({ host }) => host.name === found.host) ?? {}
    return found.code === 'member-frozen' ? (inRanking([found, ...flaws])[0] ?? found) : found
  })

export const served = ({ hosts }: Facts): Finding[] => hosts.flatMap(({ flaws }) => flaws)

export const letIn = ({ hosts }: Facts, { name, what, why }: Refusal): Finding[] =>
  hosts
    .filter(({ refusals }) => answered(refusals.get(name)))
    .map(({ host }) =>
      why ? { code: 'lets-in', host: host.name, what, reason: why } : { code: 'plain-http', host: host.name },
    )

const answered = (outcome: Attempt | undefined): boolean =>
  outcome !== undefined && 'kind' in outcome && outcome.kind === 'answered'

/** A refusal counts only where it was tried and the host said no: a host that says nothing proves nothing. */
export function notTried({ hosts }: Facts, refusal: Refusal): string | undefined {
  const open = hosts.flatMap(({ host, refusals }) => {
    const outcome = refusals.get(refusal.name)
    if (outcome && 'impossible' in outcome) return [outcome.impossible]
    return outcome?.kind === 'refused'
      ? []
      : [`${host.name} could not be asked${outcome && 'reason' in outcome ? ` (${outcome.reason})` : ''}`]
  })
  return open.length > 0 ? [...new Set(open)].join('; ') : undefined
}
