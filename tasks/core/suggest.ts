// The nearest valid name for a mistyped one, for every message that refuses a name.
import { closest, distance } from 'fastest-levenshtein'

/** ` Did you mean "masters"?`, or the whole list when nothing is near (the list is short everywhere we use it). */
export function suggest(given: string, valid: readonly string[]): string {
  if (valid.length === 0) return ''
  const near = closest(given, [...valid])
  return distance(given, near) <= Math.max(2, Math.floor(given.length / 3))
    ? ` Did you mean ${near}?`
    : ` Valid: ${valid.join(', ')}.`
}
