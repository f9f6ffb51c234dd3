// How an operation's plan and its end are told, to a person or, with --json, to a program.
import type { Cluster } from '../core/cluster.ts'
import { print, run } from '../core/run.ts'
import { chalk, warningLines, wrapped } from '../core/terminal.ts'

/** Prints what an operation would do, a line each; on a terminal a long one is broken. */
export function sayPlan(cluster: Cluster, verb: string, would: string[]): void {
  const broken = (line: string): string => (run().stdout.isTTY ? wrapped(line, 4) : line)
  const lines =
    would.length > 0
      ? would.map((line, index) => `${String(index + 1).padStart(2)}. ${broken(line)}`)
      : [chalk.dim('nothing to do')]
  const { json, warnings } = run()
  const title = `What ${verb} would do for ${chalk.bold(cluster.name)}; nothing was touched.`
  const text = `${title}\n\n${lines.join('\n')}\n${warningLines(warnings)}`
  print(json ? `${JSON.stringify({ cluster: cluster.name, verb, plan: would, warnings })}\n` : text)
}

/** Prints how an operation ended: a sentence, or the same as data. */
export function sayDone(cluster: Cluster, verb: string, sentence: string, data: object): void {
  const { json, changes, warnings, log } = run()
  run().closing = sentence
  print(
    json
      ? `${JSON.stringify({ cluster: cluster.name, verb, ...data, changes, warnings, log })}\n`
      : `\n${chalk.green(sentence)}\n${warningLines(warnings)}`,
  )
}
