// From whose data a cluster without a quorum is formed anew, and when not at all. Pure: it asks nobody.
import { quorum } from '../etcd/membership.ts'
import type { HostData } from '../observe/host-data.ts'

/** The one to go on from; or why none, and the verb that helps instead. */
export type Choice = { survivor: HostData } | { refusal: string; verb: 'up' | 'restore FILE' }

/**
 * The one whose data goes furthest: what a member knew to be committed is the same everywhere, so more is more of the
 * same.
 * @param insist the person says that what else there is of data is lost for good
 * @param from the only one that may be taken
 */
export function chooseSurvivor(there: HostData[], insist: boolean, from?: string): Choice {
  const withData = there.filter(({ hasData }) => hasData)
  const names = withData.map(({ host }) => host.name)
  const [best] = withData
    .filter(({ host }) => !from || host.name === from)
    .toSorted((a, b) => b.commit - a.commit || b.last - a.last)
  if (withData.length === 0) return { refusal: 'no host has any data left', verb: 'restore FILE' }
  if (!best)
    return { refusal: `${from} has no data; ${names.join(', ')} ${names.length === 1 ? 'has' : 'have'}`, verb: 'up' }
  if (!insist && withData.length >= quorum(there.length))
    return {
      refusal: `${names.join(' and ')} still have their data, which is a quorum: once they run, nothing is lost`,
      verb: 'up',
    }
  return { survivor: best }
}
