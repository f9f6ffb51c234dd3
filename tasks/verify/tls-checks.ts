// The checks of certificates and refusals.
import type { Attempt, Facts } from './facts.ts'
import type { Finding } from './finding.ts'
import type { Refusal } from './refusals.ts'
import { remedies } from './remedies.ts'

export function certificates({ cluster, certificates }: Facts): Finding[] {
  return certificates.map(({ title, host, reason, remedy }) => ({
    ...(host && { host }),
    detail: `certificate ${title}: ${reason}`,
    remedy: remedy ?? remedies.renew(cluster),
  }))
}

export function served({ cluster, hosts }: Facts): Finding[] {
  return hosts.flatMap(({ host, flaws }) =>
    flaws.map((detail) => ({ host: host.name, detail, remedy: remedies.renew(cluster) })),
  )
}

export function letIn({ cluster, hosts }: Facts, refusal: Refusal): Finding[] {
  return hosts.flatMap(({ host, refusals }) => {
    return answered(refusals.get(refusal.name))
      ? [{ host: host.name, detail: refusal.fault, remedy: remedies.role(cluster) }]
      : []
  })
}

export const answered = (outcome: Attempt | undefined): boolean =>
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
