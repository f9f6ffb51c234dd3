// What a load did, operation by operation, and what must hold of it: nothing acknowledged is lost, no read goes back.
import { counted } from '../core/terminal.ts'

/** One write or read. Times are in epoch milliseconds; `revision` is the store's when it was answered. */
export interface Operation {
  kind: 'write' | 'read'
  key: string
  start: number
  end: number
  /** False: it failed, and failed again when it was tried once more. */
  ok: boolean
  /** How it failed, both times. */
  why?: string
  revision: number
  /** Reads only: whether the key, which was acknowledged before the read started, was there. */
  found?: boolean
}

/** What a load saw. Times are in milliseconds. */
export interface LoadReport {
  acknowledged: number
  /** Writes that failed and, tried once more through a member that reported itself healthy, failed again. */
  failed: number
  /** How the first of them, or of the reads, failed, and how many milliseconds after the load's start; at most 5. */
  failures: string[]
  /** Acknowledged writes that were not there afterwards. */
  missing: number
  reads: number
  failedReads: number
  /** Linearizable reads that did not show what was acknowledged, or had been read, before they started. */
  backwards: number
  /** The longest time in which no write at all was acknowledged. */
  longestStallMs: number
  writesPerSecond: number
}

/** Judges a load; `there`: the keys that it left, read linearizably after it `ended`. Times in epoch milliseconds. */
export function judgeHistory(operations: Operation[], there: Set<string>, started: number, ended: number): LoadReport {
  const writes = operations.filter(({ kind }) => kind === 'write')
  const reads = operations.filter(({ kind }) => kind === 'read')
  const acknowledged = writes.filter(({ ok }) => ok)
  const moments = [started, ...acknowledged.map(({ end }) => end).sort((a, b) => a - b), ended]
  return {
    acknowledged: acknowledged.length,
    failed: writes.length - acknowledged.length,
    failures: operations
      .flatMap(({ kind, start, why }) => (why ? [`${kind} at ${start - started} ms: ${why}`] : []))
      .slice(0, 5),
    missing: acknowledged.filter(({ key }) => !there.has(key)).length,
    reads: reads.length,
    failedReads: reads.filter(({ ok }) => !ok).length,
    backwards: countBackwards(operations.filter(({ ok }) => ok)),
    longestStallMs: Math.max(...moments.slice(1).map((moment, index) => moment - (moments[index] ?? moment))),
    writesPerSecond: Math.round(acknowledged.length / ((ended - started) / 1000)),
  }
}

/** A linearizable read shows a revision no lower than any answered before it started (etcd's API guarantees). */
function countBackwards(answered: Operation[]): number {
  const byEnd = [...answered].sort((a, b) => a.end - b.end)
  const readsByStart = answered.filter(({ kind }) => kind === 'read').sort((a, b) => a.start - b.start)
  let next = 0
  let highest = 0
  let backwards = 0
  for (const read of readsByStart) {
    for (let before = byEnd[next]; before && before.end < read.start; before = byEnd[++next])
      highest = Math.max(highest, before.revision)
    if (read.revision < highest || read.found === false) backwards++
  }
  return backwards
}

/** What must hold of a load and does not, a clause each. */
export function brokenPromises({ missing, failed, backwards, acknowledged }: LoadReport): string[] {
  return [
    ...(missing > 0 ? [`${counted(missing, 'acknowledged write')} lost`] : []),
    ...(failed > 0 ? [`${counted(failed, 'write')} failed twice`] : []),
    ...(backwards > 0 ? [`${counted(backwards, 'read')} went back in time`] : []),
    ...(acknowledged === 0 ? ['no write was acknowledged'] : []),
  ]
}
