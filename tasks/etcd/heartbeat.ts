// Whether etcd's heartbeat and election timeout fit the round trip between the members, which they measure themselves.
import type { Cluster } from '../core/cluster.ts'
import type { Answers } from './ask.ts'
import type { Finding } from './findings.ts'
import { openGateway } from './gateway.ts'
import { routed } from './reach.ts'

/** What etcd takes where nothing is set, in ms. */
const defaults = { ETCD_HEARTBEAT_INTERVAL: 100, ETCD_ELECTION_TIMEOUT: 1000 }
const longestElection = 50_000
/** How long members that are near give each other their metrics, in ms. */
const metricsMs = 1000

/**
 * By etcd's tuning guide (etcd.io/docs/v3.6/tuning, Time parameters): a heartbeat of 0.5 to 1.5 round trips between
 * members, an election timeout of at least ten round trips and at most 50 s, the same on all members.
 */
export function ofHeartbeat(environment: Record<string, string>, roundTripMs: number): Finding[] {
  const set = { ...defaults, ...environment }
  const fits =
    Number(set.ETCD_HEARTBEAT_INTERVAL) >= roundTripMs / 2 &&
    Number(set.ETCD_ELECTION_TIMEOUT) >= Math.min(roundTripMs * 10, longestElection)
  if (fits) return []
  const heartbeat = Math.ceil(roundTripMs / 50) * 50
  const election = Math.min(heartbeat * 10, longestElection)
  const due = `ETCD_HEARTBEAT_INTERVAL: ${heartbeat}, ETCD_ELECTION_TIMEOUT: ${election}`
  return [{ code: 'members-far', is: String(Math.round(roundTripMs)), due }]
}

/** The longest mean round trip to a peer by a member's metrics, in ms; 0 in its first half minute and for one alone. */
export function longestRoundTrip(metrics: string): number {
  const of = (what: string): Map<string, number> => {
    const lines = metrics.matchAll(new RegExp(`^etcd_network_peer_round_trip_time_seconds_${what}{(.*)} (.*)$`, 'gm'))
    return new Map([...lines].map(([, peer = '', value]) => [peer, Number(value)]))
  }
  const counts = of('count')
  const means = [...of('sum')].map(([peer, sum]) => (1000 * sum) / (counts.get(peer) || Number.POSITIVE_INFINITY))
  return Math.max(0, ...means)
}

/** What to set where members are far from one another; who gives no metrics says nothing. Local hosts are near. */
export async function heartbeatAdvice(cluster: Cluster, { hosts }: Answers): Promise<Finding[]> {
  const open = hosts.filter(({ door }) => !door).map(({ host }) => routed(host.clientURL))
  if (cluster.provider === 'local' || open.length === 0) return []
  const gateway = openGateway(cluster, 1)
  const trips = await Promise.all(
    open.map((endpoint) => gateway.metrics(endpoint, metricsMs).then(longestRoundTrip, () => 0)),
  )
  gateway.close()
  return ofHeartbeat(cluster.etcd.environment, Math.max(...trips))
}
