// From whose data a cluster without a quorum is formed again, and when not at all. Pure: it asks nobody.
import type { Finding } from '../etcd/findings.ts'
import { quorum } from '../etcd/membership.ts'
import type { HostData } from '../observe/host-data.ts'

/** The one to go on from; or why none. */
export type Choice = { survivor: HostData } | { finding: Finding }

/**
 * Data of a member that was removed is no member's data any more: an etcd that knows of it ends at once, and no cluster
 * can be formed from it ("removed all voters").
 */
export function ofMembers(there: HostData[]): HostData[] {
  const removed = new Set(there.flatMap((one) => one.removed))
  return there.map((one) => (removed.has(one.member) ? { ...one, hasData: false } : one))
}

/**
 * The one whose data goes furthest: what a member knew to be committed is the same everywhere.
 * @param insist the person says that what else there is of data is lost for good
 * @param from the only one that may be taken
 */
export function chooseSurvivor(there: HostData[], insist: boolean, from?: string): Choice {
  const withData = there.filter(({ hasData }) => hasData)
  const sorted = withData.toSorted((a, b) => b.commit - a.commit || b.last - a.last)
  const survivor = sorted.find(({ host }) => !from || host.name === from)
  const names = (all: HostData[]): string[] => all.map(({ host }) => host.name)
  if (withData.length === 0) return { finding: { code: 'all-data-lost' } }
  if (from && !survivor) return { finding: { code: 'no-data', host: from, hosts: names(sorted) } }
  if (!survivor || (!insist && withData.length >= quorum(there.length)))
    return {
      finding: { code: 'data-quorum', hosts: names(withData), well: withData.filter(({ running }) => running).length },
    }
  return { survivor }
}
