// Chance that can be replayed: the same seed draws the same.

export interface Chance {
  /** A number from 0 on, below that. */
  below: (count: number) => number
  of: <T>(all: readonly T[]) => T
}

/** Mulberry32. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0
  const below = (count: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    const once = Math.imul(state ^ (state >>> 15), state | 1)
    const twice = once ^ (once + Math.imul(once ^ (once >>> 7), once | 61))
    return Math.floor((((twice ^ (twice >>> 14)) >>> 0) / 2 ** 32) * count)
  }
  return { below, of: (all) => all[below(all.length)] as (typeof all)[number] }
}
