// What helps, as a value: words, and between them what is to be done. Whoever follows it needs to read no text.
import { command } from './command.ts'
import { shellQuoted } from './shell.ts'

/** A verb of ours with its words and flags, a call of etcdctl, or what only a person can do. */
export type Action = { verb: string; words: string[] } | { etcdctl: string[] } | { byHand: string }
export type Remedy = (string | Action)[]

export const ours = (verb: string, ...words: string[]): Action => ({ verb, words })
export const etcdctl = (...words: string[]): Action => ({ etcdctl: words })
export const byHand = (action: string): Action => ({ byHand: action })

/** As a template: remedy`Rebuild it: ${ours('replace', host)}`. */
export const remedy = (texts: TemplateStringsArray, ...values: (string | Action | Remedy)[]): Remedy =>
  texts.flatMap((text, index) => [text, ...[values[index] ?? []].flat()]).filter((part) => part !== '')

/** What is to be done, in its order. */
export const actionsIn = (parts: Remedy): Action[] => parts.filter((part) => typeof part !== 'string')

/** For a person: commands that can be pasted, from a shell that knows nothing of the cluster yet. */
export const inText = (cluster: { name: string }, parts: Remedy): string =>
  parts.map((part) => (typeof part === 'string' ? part : lineOf(cluster, part))).join('')

function lineOf(cluster: { name: string }, action: Action): string {
  if ('byHand' in action) return action.byHand
  const line = (words: string[]): string => words.map(shellQuoted).join(' ')
  if ('verb' in action) return command(cluster, line([action.verb, ...action.words]))
  return `eval "$(${command(cluster, 'env')})" && etcdctl ${line(action.etcdctl)}`
}
