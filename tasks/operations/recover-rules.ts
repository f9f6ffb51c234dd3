// How far a recovery has come, and whether there is anything to recover. Pure.
import type { Begun } from '../core/cluster.ts'
import { quorum } from '../etcd/membership.ts'
import type { HostData } from '../observe/host-data.ts'

/** `forced`: the new cluster still has the setting that forms it. */
export type Stands = 'not formed' | 'forced' | 'raising' | 'formed'

/** The member that is gone on from is stopped, and its raised data lies beside its own. */
export const isRaisingBy = (begun: Begun | undefined): boolean =>
  begun?.verb === 'recover' && begun.from !== undefined && begun.revision !== undefined

/** How far an earlier run came, by what it noted and how many members vote. */
export function standsBy(begun: Begun | undefined, voting: number): Stands {
  if (isRaisingBy(begun)) return 'raising'
  if (!begun || voting === 0) return 'not formed'
  return begun.from ? 'forced' : 'formed'
}

/** Whether a quorum commits that a recovery would part from its data. The new cluster of an earlier run is none. */
export const isInTheWay = (begun: Begun | undefined, voting: number): boolean =>
  voting > 0 && !(begun && (!begun.from || voting === 1))

/**
 * Whether the old members may be a quorum again, by their data: until the others are parted from theirs. It is asked
 * where nobody lets us in who could say so.
 */
export function mayBeBack(begun: Begun | undefined, there: HostData[]): boolean {
  const others = there.filter(({ host, hasData }) => hasData && host.name !== begun?.from).length
  const areParted = begun?.verb !== 'recover' || begun.from === undefined || begun.revision !== undefined
  return !areParted && others > 0 && others + 1 >= quorum(there.length)
}

/** Whether the member that is being raised has lost its own data and the raised copy: no other host has any by then. */
export const isGone = (begun: Begun | undefined, stands: Stands, there: HostData[]): boolean =>
  stands === 'raising' &&
  !there.some(({ host, hasData, restored }) => host.name === begun?.from && (hasData || restored !== ''))
