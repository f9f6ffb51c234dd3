// Whether a database reaches its quota before long, by the sizes that each verify notes.
import type { Cluster } from '../core/cluster.ts'
import { lastVerified, type Size } from '../core/record.ts'
import { clock } from '../core/run.ts'
import { age, bytes } from '../core/terminal.ts'
import type { Answers } from './ask.ts'
import type { EndpointStatus } from './etcdctl.ts'
import type { Finding } from './findings.ts'
import { statusesOf } from './judge.ts'

const [hour, day] = [3_600_000, 86_400_000]
const kept = 200

/** The sizes with a new one: one an hour at most, but a database that became smaller is noted at once. */
export function withSize(sizes: Size[], size: Size): Size[] {
  const last = sizes.at(-1)
  const since = last ? Date.parse(size[0]) - Date.parse(last[0]) : Number.POSITIVE_INFINITY
  const isNew = !last || since >= hour || since < 0 || size[1] < last[1]
  return isNew ? [...sizes, size].slice(-kept) : sizes
}

interface Point {
  at: number
  size: number
}

/** How a database grows: over how long that was seen, and bytes in a ms. */
interface Growth {
  span: number
  pace: number
}

/** A smaller file was defragmented or restored: what was before says nothing of how it grows. */
function sinceLastDrop(points: Point[]): Point[] {
  const drop = points.findLastIndex(({ size }, at) => at > 0 && size < 0.9 * (points[at - 1]?.size ?? 0))
  return drop < 0 ? points : points.slice(drop)
}

/**
 * The straight line that fits best. Undefined where nothing can be said honestly: fewer than four sizes, or less than
 * a day of them, or no steady growth (a line explains less than half of how they differ).
 */
function growthIn(points: Point[]): Growth | undefined {
  const mine = sinceLastDrop(points)
  const span = (mine.at(-1)?.at ?? 0) - (mine[0]?.at ?? 0)
  if (mine.length < 4 || span < day) return undefined
  const mean = (of: (point: Point) => number): number => mine.reduce((sum, point) => sum + of(point), 0) / mine.length
  const [at, size] = [mean((point) => point.at), mean((point) => point.size)]
  const together = mean((point) => (point.at - at) * (point.size - size))
  const [spread, differ] = [mean((point) => (point.at - at) ** 2), mean((point) => (point.size - size) ** 2)]
  const isSteady = together > 0 && together ** 2 >= 0.5 * spread * differ
  return isSteady ? { span, pace: together / spread } : undefined
}

/** The longest that is looked ahead, in ms; and never three times as far as was looked back. */
const mostAhead = 30 * day

/** In how many ms it reaches its quota, as it grows; undefined: not before long, or nobody can tell. */
export function reachesQuota(points: Point[], quota: number): (Growth & { left: number }) | undefined {
  const growth = growthIn(points)
  const last = points.at(-1)
  if (!growth || !last) return undefined
  const left = Math.max(0, quota - last.size) / growth.pace
  return left <= Math.min(mostAhead, 3 * growth.span) ? { ...growth, left } : undefined
}

/** In bytes, as etcd has it where nothing else is set (etcd's DefaultQuotaBytes). */
const defaultQuota = 2 * 2 ** 30

/** etcd tells it from 3.6 on; before, it is what is set. Undefined: there is none. */
export function quotaOf(statuses: Pick<EndpointStatus, 'quotaBytes'>[], set: string | undefined): number | undefined {
  const told = statuses.flatMap(({ quotaBytes }) => (quotaBytes > 0 ? [quotaBytes] : []))
  if (told.length > 0) return Math.min(...told)
  const own = Number(set ?? 0)
  return own < 0 ? undefined : own || defaultQuota
}

/** That the quota will be reached, and what helps. */
export function quotaAdvice(cluster: Cluster, { hosts }: Answers): Finding[] {
  const statuses = statusesOf(hosts).map(({ status }) => status)
  const quota = quotaOf(statuses, cluster.etcd.environment.ETCD_QUOTA_BACKEND_BYTES)
  const [largest] = statuses.toSorted((a, b) => b.dbSizeBytes - a.dbSizeBytes)
  if (!largest || quota === undefined) return []
  const now = clock()
  const before = (lastVerified(cluster.paths)?.sizes ?? []).map(([at, size]) => ({ at: Date.parse(at), size }))
  // what is noted of the future was noted by a wrong clock
  const points = before.filter(({ at }) => at < now).toSorted((a, b) => a.at - b.at)
  const found = reachesQuota([...points, { at: now, size: largest.dbSizeBytes }], quota)
  if (!found) return []
  const free = largest.inUseBytes < largest.dbSizeBytes / 2
  const how = { from: age(found.span), days: Math.floor(found.left / day), free }
  return [{ code: 'quota-near', is: bytes(largest.dbSizeBytes), due: bytes(quota), ...how }]
}
