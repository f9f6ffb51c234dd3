// What an adoption asks before it goes on. Pure: it asks nobody.
import { type Cluster, ownHosts } from '../core/cluster.ts'
import { memberOn } from '../plans/members.ts'
import type { Observation } from '../plans/types.ts'

/** Those of ours whose member does not answer; without a quorum nobody can say who has one. */
export const downAmong = (seen: Observation, ours: string[]): string[] =>
  ours.filter((name) => {
    const hasStarted = seen.members ? memberOn(seen, name)?.started : seen.recorded.includes(name)
    return hasStarted && !seen.hosts[name]?.answer
  })

/** Of hosts that have lost their member's data, those to be replaced: who only learns begins again by itself. */
export const toReplace = (seen: Observation, lost: string[]): string[] =>
  lost.some((name) => memberOn(seen, name)?.learner === false) ? lost : []

/**
 * While something is half done: the hosts whose member may be replaced, since one that is lost would keep an adoption
 * from its end, and from its way back, too. `left`: those that are not taken over.
 */
export const replaceable = ({ begun, hosts }: Pick<Cluster, 'begun' | 'hosts'>, left: string[]): string[] =>
  begun?.verb === 'adopt' ? ownHosts({ hosts }).flatMap(({ name }) => (left.includes(name) ? [] : [name])) : []

/** Whether all old members are there yet, so that ours can go again: one that is gone does not come back. */
export const isWayBack = ({ begun }: Pick<Cluster, 'begun'>, old: string[], seen: Observation): boolean =>
  old.length >= (begun?.joining ?? 0) && (!seen.members || old.every((host) => memberOn(seen, host)))
