// The faults of a drill, a row each.
import type { Cluster } from '../core/cluster.ts'
import {
  type Blow,
  cutOff,
  emptied,
  expired,
  filled,
  followerOf,
  frozen,
  type Hands,
  interrupted,
  killed,
  leaderOf,
  slowed,
} from './blows.ts'
import { needsPlainHosts, needsQueues, needsRoutes, needsSmallDisk } from './needs.ts'

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

/** What no drill does, and says so. */
export const notYet: Record<string, string> = {
  'a disk is slow': 'drills do not slow disks down yet',
  'a clock is off': 'drills do not set clocks',
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
