// The nearest valid name for a mistyped one, for every message that refuses a name.
import { closest, distance } from 'fastest-levenshtein'

/** ` Did you mean masters?`; '' when nothing is near. */
export function didYouMean(given: string, valid: readonly string[], shown = (name: string): string => name): string {
  if (valid.length === 0) return ''
  const near = closest(given, [...valid])
  return distance(given, near) <= Math.max(2, Math.floor(given.length / 3)) ? ` Did you mean ${shown(near)}?` : ''
}

/** The same, or the whole list, which is short wherever we use it, when nothing is near. `shown`: a name as typed. */
export function suggest(given: string, valid: readonly string[], shown = (name: string): string => name): string {
  return didYouMean(given, valid, shown) || (valid.length > 0 ? ` Valid: ${valid.map(shown).join(', ')}.` : '')
}
