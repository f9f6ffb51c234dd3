// The faults of a drill, a row each, and which of them can be made.
import type { Cluster } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import {
  type Blow,
  clockOff,
  cutOff,
  diskSlowed,
  emptied,
  expired,
  filled,
  followerOf,
  frozen,
  interrupted,
  killed,
  leaderOf,
  slowed,
} from './blows.ts'
import type { Hands } from './hands.ts'
import { needsLimits, needsOwnClocks, needsPlainHosts, needsQueues, needsRoutes, needsSmallDisk } from './needs.ts'

export interface Fault {
  name: string
  /** What a person would call it in real life. */
  means: string
  /** Too few members are left to commit. */
  outage?: true
  /** Why it cannot be made here; undefined: it can. */
  lacks?: (cluster: Cluster) => Promise<string | undefined>
  strike: (hands: Hands) => Promise<Blow>
}

export const faults: Record<string, Fault> = {
  member: {
    name: 'a member dies',
    means: 'a server crashes',
    strike: async (hands) => killed(hands, [await followerOf(hands)]),
  },
  leader: {
    name: 'the leader dies',
    means: 'the busiest server crashes',
    strike: async (hands) => killed(hands, [await leaderOf(hands)], ', the leader'),
  },
  freeze: {
    name: 'the leader hangs',
    means: 'a server swaps, or its hypervisor pauses it',
    lacks: needsPlainHosts,
    strike: async (hands) => frozen(hands, await leaderOf(hands)),
  },
  cut: {
    name: 'a member is cut off',
    means: 'a cable, a switch or a firewall fails',
    lacks: needsRoutes,
    strike: async (hands) => cutOff(hands, await followerOf(hands)),
  },
  'cut-leader': {
    name: 'the leader is cut off',
    means: 'the same, where it hurts most',
    lacks: needsRoutes,
    strike: async (hands) => cutOff(hands, await leaderOf(hands), ', the leader,'),
  },
  slow: {
    name: 'the network is slow',
    means: 'a link is congested',
    lacks: needsQueues,
    strike: async (hands) => slowed(hands, await leaderOf(hands)),
  },
  'slow-disk': {
    name: 'a disk is slow',
    means: 'other work keeps it busy, or it is about to fail',
    lacks: needsLimits,
    strike: async (hands) => diskSlowed(hands, await leaderOf(hands)),
  },
  full: {
    name: 'a disk is full',
    means: 'logs, images or dumps took all of it',
    lacks: needsSmallDisk,
    strike: async (hands) => filled(hands, await followerOf(hands)),
  },
  data: {
    name: 'a disk is lost',
    means: 'a server comes back empty',
    lacks: needsPlainHosts,
    strike: async (hands) => emptied(hands, await followerOf(hands)),
  },
  certificate: {
    name: 'a certificate expires',
    means: 'nobody renewed it',
    lacks: needsPlainHosts,
    strike: async (hands) => expired(hands, await followerOf(hands)),
  },
  clock: {
    name: 'a clock is off',
    means: 'nobody sets it, or somebody set it wrong',
    lacks: needsOwnClocks,
    strike: async (hands) => clockOff(hands, await leaderOf(hands)),
  },
  verb: {
    name: 'a verb is killed half way',
    means: 'the laptop that runs it dies',
    strike: interrupted,
  },
  all: {
    name: 'all members die at once',
    means: 'the power fails',
    outage: true,
    strike: (hands) => killed(hands, hands.cluster.hosts),
  },
}

/** @throws UsageError for a fault that there is none of */
export function choose(only: string[] | undefined): Fault[] {
  const unknown = only?.find((name) => !Object.hasOwn(faults, name))
  if (unknown) throw new UsageError(`There is no fault ${unknown}. Valid: ${Object.keys(faults).join(', ')}.`)
  return Object.entries(faults).flatMap(([name, fault]) => (!only || only.includes(name) ? [fault] : []))
}

export type LeftOut = [name: string, why: string][]

/** Those that can be made on its hosts, and why the others cannot; hosts that are still to be made are not asked. */
export async function possible(cluster: Cluster, chosen: Fault[]): Promise<{ can: Fault[]; leftOut: LeftOut }> {
  const there = cluster.recorded || cluster.provider === 'local'
  const why = await Promise.all(chosen.map(async ({ lacks }) => (there ? lacks?.(cluster) : undefined)))
  return {
    can: chosen.filter((_, index) => !why[index]),
    leftOut: chosen.flatMap(({ name }, index): LeftOut => (why[index] ? [[name, why[index]]] : [])),
  }
}
