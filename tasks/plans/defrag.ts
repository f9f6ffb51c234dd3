// What defrag aims at, and what is next. Pure.
import { did, inTurn } from './in-turn.ts'
import { act, first, stop } from './members.ts'
import type { Rules } from './types.ts'

/** Every member once in a run: nothing shows whether it was defragmented before, and twice does no harm. */
export const defragRules =
  (disarm: boolean): Rules =>
  (seen) => {
    const once = (what: 'compact' | 'disarm' | 'prove a write') =>
      disarm && !did(seen, what) ? act({ do: what }) : undefined
    const silent = seen.recorded.find((host) => !seen.hosts[host]?.answer)
    const due = seen.recorded.filter((host) => !did(seen, 'defragment', host))
    return first(
      () => (due.length > 0 && silent ? stop({ code: 'silent', host: silent }) : undefined),
      () => (disarm && !seen.members ? stop({ code: 'no-quorum' }) : undefined),
      () => once('compact'),
      () => inTurn(seen, due, (host) => ({ do: 'defragment', host })),
      () => once('disarm'),
      () => once('prove a write'),
    )
  }
