// What defrag aims at, what is next, and which members are worth it. Pure.
import { did, inTurn } from './in-turn.ts'
import { act, first, stop } from './members.ts'
import type { Rules } from './types.ts'

/**
 * Every member once in a run, or those of `only`: nothing shows whether a member was defragmented before, and twice
 * does no harm.
 */
export const defragRules =
  (disarm: boolean, only?: string[]): Rules =>
  (seen) => {
    const once = (what: 'compact' | 'disarm' | 'prove a write') =>
      disarm && !did(seen, what) ? act({ do: what }) : undefined
    const silent = seen.recorded.find((host) => !seen.hosts[host]?.answer)
    const asked = seen.recorded.filter((host) => only?.includes(host) ?? true)
    const due = asked.filter((host) => !did(seen, 'defragment', host))
    return first(
      () => (due.length > 0 && silent ? stop({ code: 'silent', host: silent }) : undefined),
      () => (disarm && !seen.members ? stop({ code: 'no-quorum' }) : undefined),
      () => once('compact'),
      () => inTurn(seen, due, (host) => ({ do: 'defragment', host })),
      () => once('disarm'),
      () => once('prove a write'),
    )
  }

/** When a member is worth it: at least that much, of all that is said. */
export interface Worth {
  /** What of its database is free, from 0 to 1. */
  free?: number | undefined
  /** How large its database is, in bytes. */
  size?: number | undefined
}

export const notWorth = "must be a rule such as 'free 50%, size 100MB'"

const bytesIn: Record<string, number> = {
  ...{ KB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
}

/** As it is typed: 'free 50%', 'size 100MB', or both with a comma. Undefined: it is none. */
export function worthOf(text: string): Worth | undefined {
  const parts = text.split(',').map((part) => partOf(part.trim()))
  const names = parts.flatMap((part) => (part ? Object.keys(part) : []))
  return names.length === parts.length && new Set(names).size === names.length ? Object.assign({}, ...parts) : undefined
}

function partOf(text: string): Worth | undefined {
  const [, percent] = /^free (\d{1,2}|100)%$/.exec(text) ?? []
  if (percent !== undefined) return { free: Number(percent) / 100 }
  const [, count, unit = ''] = /^size (\d{1,9}(?:\.\d{1,3})?)([KMG]i?B)$/.exec(text) ?? []
  return count === undefined ? undefined : { size: Number(count) * (bytesIn[unit] ?? 0) }
}

/** A member's database, in bytes. */
export interface Room {
  dbSizeBytes: number
  inUseBytes: number
}

/** The share of it that is free, from 0 to 1. What is in use may be counted a moment later than the whole. */
export const freeShare = ({ dbSizeBytes, inUseBytes }: Room): number =>
  dbSizeBytes > 0 ? Math.max(0, 1 - inUseBytes / dbSizeBytes) : 0

export const isWorth = ({ free = 0, size = 0 }: Worth, room: Room): boolean =>
  freeShare(room) >= free && room.dbSizeBytes >= size
