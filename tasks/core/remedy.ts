// What helps, as a value: words, and between them what is to be done. Whoever follows it needs to read no text.
import { command } from './command.ts'
import { shellQuoted } from './shell.ts'

/** A verb of ours with its words and flags, a call of etcdctl, or what only a person can do. */
export type Action = { verb: string; words: string[] } | { etcdctl: string[] } | { byHand: string }
export type Remedy = (string | Action)[]

export const ours = (verb: string, ...words: string[]): Action => ({ verb, words })
export const etcdctl = (...words: string[]): Action => ({ etcdctl: words })
export const byHand = (action: string): Action => ({ byHand: action })

/** As a template: remedy`Rebuild it: ${ours('replace', host)}`. A remedy within a sentence begins in lower case. */
export const remedy = (texts: TemplateStringsArray, ...values: (string | Action | Remedy)[]): Remedy =>
  texts
    .flatMap((text, index) => [text, ...[withinSentence(text, values[index]) ?? []].flat()])
    .filter((part) => part !== '')

function withinSentence(before: string, value: string | Action | Remedy | undefined): typeof value {
  if (!Array.isArray(value) || !/[:,;] $/.test(before)) return value
  const [first, ...rest] = value
  const lower = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)
  if (typeof first === 'string') return [lower(first), ...rest]
  return first && 'byHand' in first ? [byHand(lower(first.byHand)), ...rest] : value
}

/** What joins actions to one way. */
const joints: (string | Action)[] = [' && ', ', then ']
/** The ways that are named, in their order, each with what is to be done. */
export function waysIn(parts: Remedy): Action[][] {
  const ways: Action[][] = []
  for (const [at, part] of parts.entries()) {
    if (typeof part === 'string') continue
    if (joints.includes(parts[at - 1] ?? '')) ways.at(-1)?.push(part)
    else ways.push([part])
  }
  return ways
}

/** For a person: commands that can be pasted, from a shell that knows nothing of the cluster yet. */
export const inText = (cluster: { name: string }, parts: Remedy): string =>
  parts.map((part) => (typeof part === 'string' ? part : lineOf(cluster, part))).join('')

function lineOf(cluster: { name: string }, action: Action): string {
  if ('byHand' in action) return action.byHand
  const line = (words: string[]): string => words.map(shellQuoted).join(' ')
  if ('verb' in action) return command(cluster, line([action.verb, ...action.words]))
  return `eval "$(${command(cluster, 'env')})" && etcdctl ${line(action.etcdctl)}`
}
