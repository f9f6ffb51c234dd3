// Terminal policy, decided once: colour, tables, and how a failure looks.
import { stripVTControlCharacters } from 'node:util'
import chalk from 'chalk'
import { defaultCluster, hintOf } from './command.ts'
import { describeSystemError, isSystemError, OperationError } from './errors.ts'

if (process.env.NO_COLOR) chalk.level = 0

export { chalk }

const esc = '\u001b'
const ownColours = new RegExp(`(${esc}\\[(?:[0-2]|22|3[0-79]|9[0-7])m)`)

/** Without what moves a cursor, colours or hides: hosts, etcd and certificates say what they like. */
export const plain = (text: string): string => stripVTControlCharacters(text).replace(/[^\P{Cc}\n\t]/gu, '')

/** As `plain`, for text that we have coloured ourselves: the colours that we use stay. */
const plainButColours = (text: string): string =>
  chalk.level === 0
    ? plain(text)
    : text
        .split(ownColours)
        .map((part, index) => (index % 2 === 1 ? part : plain(part)))
        .join('')

export const warningLines = (warnings: string[]): string =>
  warnings.map((warning) => `${chalk.yellow('Warning:')} ${plain(warning)}\n`).join('')

/** A line broken at spaces, so that it stays within 80 columns; all but the first are indented. */
export const wrapped = (line: string, indent: number): string =>
  line
    .replace(new RegExp(`(.{1,${80 - indent}})(?: +|$)`, 'g'), '$1\n')
    .trimEnd()
    .replaceAll('\n', `\n${' '.repeat(indent)}`)

/** Rows as aligned columns, two spaces apart; colours do not count for the width. */
export function table(cells: string[][]): string {
  const rows = cells.map((row) => row.map(plainButColours))
  const length = (cell: string): number => stripVTControlCharacters(cell).length
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, column) => Math.max(all[column] ?? 0, length(cell))),
    [],
  )
  const padded = (row: string[]): string[] =>
    row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - length(cell)))
  return rows.map((row) => [...padded(row.slice(0, -1)), ...row.slice(-1)].join('  ')).join('\n')
}

/** As a sentence begins; the name of a host, a path or etcd stays as it is. */
export const capital = (text: string): string =>
  text.replace(/^(?!etcd)[a-z]+(?=[ ,:])/, (word) => word[0]?.toUpperCase() + word.slice(1))

/** Names as people list them: a, b and c. */
export const listed = (names: string[]): string => new Intl.ListFormat('en-GB').format(names)

/** `a is`, `a and b are`. */
export const areOrIs = (names: string[]): string => `${listed(names)} ${names.length === 1 ? 'is' : 'are'}`

/** Milliseconds as people read them: 840 ms, 3.2 s, 2 min 5 s. */
export function duration(ms: number): string {
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`
  if (Math.round(ms / 100) < 600) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** A moment as it stands in a name, to the second: 2026-11-27T02-30-00Z. */
export const stamp = (time: Date): string => `${time.toISOString().slice(0, 19).replaceAll(':', '-')}Z`

export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** How long ago something was, as people say it: 5 minutes, 3 hours, 2 days. */
export function age(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000))
  const [count, unit]: [number, string] =
    minutes < 90
      ? [minutes, 'minute']
      : minutes < 48 * 60
        ? [Math.round(minutes / 60), 'hour']
        : [Math.round(minutes / 1440), 'day']
  return counted(count, unit)
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = count > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(count) / 10)) : 0
  return `${(count / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** For standard error, and the exit code; a stack with `verbose` only. `cluster`: whom a command that helps is for. */
export function presentError(
  error: unknown,
  verbose: boolean,
  cluster = defaultCluster,
): { text: string; exitCode: number; sentence: string } {
  const failure = isSystemError(error) ? describeSystemError(error) : error
  if (!(failure instanceof OperationError)) {
    const message = error instanceof Error ? (verbose ? error.stack : error.message) : String(error)
    return {
      text:
        `${chalk.red('Bug:')} ${plain(message ?? '')}\nThis is a mistake in ha-etcd, not yours. Run again ` +
        'with --verbose and report what it prints.',
      exitCode: 1,
      sentence: `Bug: ${plain(error instanceof Error ? error.message : String(error))}`,
    }
  }
  const { output, log } = failure.more
  const lines = [`${chalk.red('Error:')} ${plain(failure.message)}`, ...(failure.more.lines ?? []).map(plain)]
  const lastWords = output ? plain(output).trim().split('\n').slice(-6) : []
  lines.push(...lastWords.map((line) => chalk.dim(`  ${line}`)))
  const hint = hintOf({ name: cluster }, failure.more)
  if (hint) lines.push(`${chalk.yellow('Next:')} ${plain(hint)}`)
  if (log) lines.push(`${chalk.dim('Log:')} ${log}`)
  if (verbose && failure.stack) lines.push(chalk.dim(plain(failure.stack)))
  return { text: lines.join('\n'), exitCode: failure.exitCode, sentence: plain(failure.message) }
}
