// Command lines: strict parsing, and the help text made from the same table.
import { parseArgs } from 'node:util'
import { UsageError } from './errors.ts'
import { suggest } from './suggest.ts'
import { table } from './terminal.ts'

/** One flag: its meaning for --help, and the name of its value (none: it is a switch). */
export interface Flag {
  summary: string
  value?: string
}

export type Flags = Record<string, string | boolean | undefined>

export const clusterFlags: Record<string, Flag> = {
  cluster: { value: 'NAME', summary: 'which cluster (default etcd-cluster-1)' },
  provider: { value: 'NAME', summary: 'where the hosts are: auto, local, vagrant or ssh' },
  masters: { value: 'N', summary: 'how many masters: 1, 3, 5, 7 or 9 (default 3)' },
  config: { value: 'FILE', summary: 'configuration in YAML (default cluster.yaml, if there)' },
  json: { summary: 'data on standard output, and nothing else there' },
  verbose: { summary: "the tools' own output, line by line" },
  yes: { summary: 'answer yes to every question' },
  version: { summary: 'the version of ha-etcd' },
  help: { summary: 'this text (-h, too)' },
}

const { cluster: _, provider: __, masters: ___, config: ____, ...ofAll } = clusterFlags
/** Of a verb about all clusters: each goes by what is recorded of it. */
export const flagsOfAll: Record<string, Flag> = ofAll

export const planFlag: Record<string, Flag> = {
  plan: { summary: 'show what would be done, host by host, and touch nothing' },
}

/** Words beside the flags: how --help shows them, and how many there must be. */
export interface Words {
  usage: string
  least: number
  most: number
  /** What helps whoever gives a flag that is unknown. */
  hint?: string
}

/** Parses the command line. @throws UsageError for an unknown flag, and for too many words or too few */
export function parseCommandLine(
  args: string[],
  known: Record<string, Flag>,
  wanted: Words = { usage: '', least: 0, most: 0 },
): { flags: Flags; words: string[] } {
  const options = Object.fromEntries(
    Object.entries(known).map(([name, flag]) => [name, { type: flag.value ? 'string' : 'boolean' } as const]),
  )
  const { tokens, values } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true })
  const seen = new Set<string>()
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') {
      if (words.push(token.value) > wanted.most)
        throw new UsageError(`Unexpected argument ${JSON.stringify(token.value)}.`)
      continue
    }
    const flag = known[token.name]
    if (!flag || token.rawName.length < 3)
      throw new UsageError(
        `Unknown flag ${token.rawName}.${suggest(token.name, Object.keys(known), (name) => `--${name}`)}`,
        wanted.hint ? { hint: wanted.hint } : {},
      )
    if (
      flag.value &&
      (token.value === undefined || token.value === '' || (!token.inlineValue && token.value.startsWith('-')))
    )
      throw new UsageError(`--${token.name} needs a value: --${token.name} ${flag.value}.`)
    if (!flag.value && token.value !== undefined) throw new UsageError(`--${token.name} takes no value.`)
    if (seen.has(token.name)) throw new UsageError(`--${token.name} is given twice.`)
    seen.add(token.name)
  }
  const flags = values as Flags
  if (!flags.help && !flags.version && words.length < wanted.least)
    throw new UsageError(`${wanted.usage} is missing.`, { hint: 'See how it is used with --help.' })
  return { flags, words }
}

/** What goes to another verb, after a --; `shared`: a flag among it that says where and how a verb is run. */
export function parseAfter(
  own: Record<string, Flag> | undefined,
  wanted: Words | undefined,
  args: string[],
): { flags: Flags; words: string[]; shared: string | undefined } {
  const { flags, words } = parseCommandLine(args, { ...own, ...clusterFlags }, wanted)
  const every = { ...clusterFlags, ...planFlag }
  return { flags, words, shared: Object.keys(every).find((flag) => flags[flag] !== undefined) }
}

/** Two flags of which one at most may be given. @throws UsageError */
export function oneOf(flags: Flags, one: string, other: string): void {
  if (flags[one] && flags[other]) throw new UsageError(`--${one} and --${other} exclude each other.`)
}

/** A flag's value as a number from `least` to `most`, a whole one unless it may have `decimals`. @throws UsageError */
export function numberFlag(
  flags: Flags,
  name: string,
  least: number,
  { most = Number.MAX_SAFE_INTEGER, decimals = false } = {},
): number | undefined {
  const given = flags[name]
  if (given === undefined) return undefined
  const value = Number(given)
  const form = decimals ? /^\d+(\.\d+)?$/ : /^\d+$/
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  if (!form.test(String(given)) || value < least || value > most)
    throw new UsageError(
      `--${name} must be a ${decimals ? '' : 'whole '}number ${range}, not ${JSON.stringify(given)}.`,
    )
  return value
}

export function helpText(verb: string, summary: string, known: Record<string, Flag>, more: string, words = ''): string {
  const usage = ['Usage: npx zx', `scripts/${verb}.ts`, words, '[flags]'].filter(Boolean).join(' ')
  const flags = Object.entries(known).map(([name, { value, summary }]) => [
    `  --${name}${value ? ` ${value}` : ''}`,
    summary,
  ])
  return `${[summary, usage, table(flags), more.trim()].join('\n\n')}\n`
}
