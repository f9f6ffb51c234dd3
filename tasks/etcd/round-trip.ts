// THE rule of how long a question to a member may take: what it takes near by, and what the way there and back adds.
import { run } from '../core/run.ts'

/** By address, the shortest and the longest time (ms) of a connection in this run: loss and load make one longer. */
const connections = (): Map<string, { least: number; most: number }> => run().once('connections', () => new Map())

export function tookToConnect(address: string, ms: number): void {
  const { least, most } = connections().get(address) ?? { least: ms, most: ms }
  connections().set(address, { least: Math.min(ms, least), most: Math.max(ms, most) })
}

/** To the farthest member and back, in ms; 0 before anybody was reached. */
export const roundTripMs = (): number => Math.max(0, ...[...connections().values()].map(({ least }) => least))

/** A connection whose first packet is lost takes a second more (RFC 6298, 2.1): no longer difference counts. */
const mostSpreadMs = 1000
/** By how much connections to the same member differ, in ms: on a way that loses packets, or on a busy machine. */
const spreadMs = (): number =>
  Math.min(mostSpreadMs, Math.max(0, ...[...connections().values()].map(({ least, most }) => most - least)))

/**
 * How many round trips a question takes at most. TCP, TLS and HTTP/2 take one each; then `etcdctl endpoint health`
 * reads and lists alarms, each of which the leader and a quorum must agree to, far from one another as well.
 */
const tripsOfQuestion = 12
/** The same for a whole look, of verify or a guard: about six questions, one after the other, and some room. */
export const tripsOfLook = 80

/**
 * The limit of what takes so many ms near by. Of a question's trips some four may be as late as the latest connection
 * was: so much TCP allows for before it sends a packet again (RFC 6298, 2.3), as it does after a second at first. On a
 * way that loses many packets a single question may fail all the same, and whoever asks looks again.
 */
export const overTheWay = (ms: number, trips = tripsOfQuestion): number =>
  ms + Math.ceil(trips * roundTripMs() + (trips * spreadMs()) / 3)
