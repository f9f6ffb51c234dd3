// What a drill's load saw of each fault. Pure.
import { counted } from '../core/terminal.ts'
import { brokenPromises, type LoadReport, type Operation } from '../etcd/history.ts'

/** When a fault was made, and when the cluster was found whole again; epoch milliseconds. */
export interface Window {
  name: string
  /** What was done. */
  did: string
  /** What brought the cluster back. */
  healedBy: string
  struck: number
  healed: number
  /** Too few members were left to commit: writes are refused until it is healed. */
  outage: boolean
}

export interface Result extends Window {
  acknowledged: number
  /** Acknowledged writes that were gone at the end. */
  lost: number
  /** Writes that failed twice; in an outage that is no broken promise. */
  failed: number
  /** The longest time without an acknowledged write that touches the window, ms. */
  stallMs: number
  /** From the fault until the cluster was found whole, ms. */
  tookMs: number
}

/** Whether a fault met an operation: it was at work when the fault was made, or begun before that was healed. */
const met = ({ struck, healed }: Window, { start, end }: Operation): boolean => start <= healed && end >= struck

export function resultOf(window: Window, operations: Operation[], there: Set<string>): Result {
  const writes = operations.filter(({ kind }) => kind === 'write')
  const its = writes.filter((write) => met(window, write))
  const acknowledged = its.filter(({ ok }) => ok)
  return {
    ...window,
    acknowledged: acknowledged.length,
    lost: acknowledged.filter(({ key }) => !there.has(key)).length,
    failed: its.length - acknowledged.length,
    stallMs: longestGap(writes, window),
    tookMs: window.healed - window.struck,
  }
}

function longestGap(writes: Operation[], { struck, healed }: Window): number {
  const ends = writes
    .filter(({ ok }) => ok)
    .map(({ end }) => end)
    .sort((one, other) => one - other)
  const gaps = ends.slice(1).map((end, index) => ({ from: ends[index] ?? end, to: end }))
  const touching = gaps.filter(({ from, to }) => to >= struck && from <= healed)
  return Math.max(0, ...touching.map(({ from, to }) => to - from))
}

/** What was promised and did not hold, a clause each. While too few members are left to commit, writes may fail. */
export function broken(results: Result[], report: LoadReport, operations: Operation[]): string[] {
  const failing = results.filter(({ outage, failed }) => !outage && failed > 0)
  const failed = operations.filter(({ kind, ok }) => kind === 'write' && !ok)
  const unmet = failed.filter((write) => !results.some((result) => met(result, write))).length
  return [
    ...brokenPromises({ ...report, failed: 0 }),
    ...failing.map(
      ({ name, failed }) => `${counted(failed, 'write')} failed twice, though a quorum was there (${name})`,
    ),
    ...(unmet > 0 ? [`${counted(unmet, 'write')} failed twice while nothing was broken`] : []),
  ]
}

/** Of one piece of time: how long its acknowledged writes took, ms; none: nothing was acknowledged in it. */
export interface Slice {
  at: number
  median: number | undefined
  worst: number | undefined
}

/** The drill's time in pieces of that many ms; a write counts where it was acknowledged. */
export function slices(operations: Operation[], started: number, ended: number, ms: number): Slice[] {
  const took: number[][] = Array.from({ length: Math.max(1, Math.ceil((ended - started) / ms)) }, () => [])
  for (const { kind, ok, start, end } of operations)
    if (kind === 'write' && ok) took[Math.floor((end - started) / ms)]?.push(end - start)
  return took.map((all, index) => {
    const sorted = all.sort((one, other) => one - other)
    return { at: started + index * ms, median: sorted[Math.floor(sorted.length / 2)], worst: sorted.at(-1) }
  })
}
