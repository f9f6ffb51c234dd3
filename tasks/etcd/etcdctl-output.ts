// Reading what etcdctl prints, and nobody else does: JSON with 64-bit integers, Go's durations, and why it failed.
import type { Result } from '../core/shell.ts'

/** A 64-bit integer in etcdctl's JSON: text when it may not fit a number (see parse). */
export type Integer = number | string

/** An id in hexadecimal, as etcdctl shows ids to people. */
export const hex = (id: Integer | undefined): string => BigInt(id ?? 0).toString(16)

/** Keys and values are base64 in etcdctl's JSON. */
export const fromBase64 = (text = ''): string => Buffer.from(text, 'base64').toString()

/** JSON whose integers above 2^53 (ids, hashes, big revisions) stay exact, as text. */
export function parse<T>(text: string): T | undefined {
  const exact = text.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d{16,}(?![\d.eE])/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  )
  try {
    return JSON.parse(exact) as T
  } catch {
    return undefined
  }
}

/** Milliseconds of a duration as Go prints it: 1.2s, 4.5ms, 300µs or 1m2s. */
export function milliseconds(took: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, µs: 0.001, us: 0.001, ns: 0.000001 }
  const parts = [...took.matchAll(/([\d.]+)(h|ms|m|s|µs|us|ns)/g)]
  return (
    Math.round(parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0) * 100) / 100
  )
}

/** Why etcdctl failed, in its own words: the cause below "context deadline exceeded" where it gives one. */
export function lastWords({ stdout, stderr, exitCode }: Result): string {
  if (exitCode === 124) return 'etcdctl did not end in time'
  const cause = [
    ...stderr.matchAll(/transport: (?:Error while dialing:? ?|authentication handshake failed: )?([^"\\]+)/g),
  ].at(-1)?.[1]
  const lines = `${stdout}\n${stderr}`
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('{') && !line.startsWith('['))
  const last = (lines.at(-1) ?? 'it said nothing')
    .replace(/^Error: /, '')
    .replace(/^.*\((.+)\)$/, '$1')
    .replace(/^.*desc = /, '')
  return cause && /deadline/.test(last) ? cause.trim() : last.trim()
}

/** etcdctl names the endpoint in the line about its failure; the cause may be in its log lines. */
export function reasonFor(endpoint: string, result: Result): string {
  const lines = result.stderr.split('\n').filter((line) => line.includes(endpoint))
  return lastWords(lines.length > 0 ? { ...result, stdout: '', stderr: lines.join('\n') } : result)
}

/** What etcd's own words about a failure mean; it gives no codes that every version's etcdctl passes on. */
export const says = {
  /** The database has reached its quota. */
  full: (words: string): boolean => /NOSPACE|space exceeded/.test(words),
  /** Authentication is on, and our client certificate's name is no user with that right. */
  notAllowed: (words: string): boolean =>
    /permission denied|user name (is empty|not found)|CommonName of client/.test(words),
  /** A member's data is damaged, so that nobody commits. */
  corrupt: (words: string): boolean => words.includes('CORRUPT'),
  /** The revision that was asked for is one that the member has not reached. */
  ahead: (words: string): boolean => /future revision/.test(words),
  /** The revision that was asked for is no longer there. */
  compacted: (words: string): boolean => /compacted/.test(words),
  timedOut: (words: string): boolean => /timed out|timeout/.test(words),
  downgrading: (words: string): boolean => /downgrade job in progress/.test(words),
  /** The version of a downgrade is not the one below the version that the cluster works at. */
  notBelow: (words: string): boolean => /invalid downgrade target version/.test(words),
  noDowngrade: (words: string): boolean => /no inflight downgrade/.test(words),
  /** This etcdctl is older than what it was asked for. */
  unknownCommand: (words: string): boolean => /unknown command/.test(words),
  /** In a moment it may do what it refuses now: an election is on, a member is just connecting, a learner lags. */
  notNow: (words: string): boolean =>
    /unhealthy cluster|not enough started members|no leader|leader changed|in sync with leader/i.test(words) ||
    /timed out|deadline exceeded|Unavailable/i.test(words),
}

/** etcdctl 3.5 calls a member with a full database unhealthy, though it commits: its alarm is judged elsewhere. */
export const commits = (answer: { ok: true } | { ok: false; reason: string }): boolean =>
  answer.ok || says.full(answer.reason)
