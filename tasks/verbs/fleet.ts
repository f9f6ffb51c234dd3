import { UsageError } from '../core/errors.ts'
import { type Flags, numberFlag, parseAfter, planFlag } from '../core/flags.ts'
import { recordedClusters } from '../core/record.ts'
import { type Run, tellAgain } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { shellQuoted } from '../core/shell.ts'
import { suggest } from '../core/suggest.ts'
import { isOfDrill } from '../drill/mark.ts'
import { overMany } from '../operations/fleet.ts'
import { rowsOf } from '../operations/fleet-look.ts'
import { halfDone } from '../operations/fleet-memory.ts'
import { renderRows } from '../operations/fleet-table.ts'
import { verbsOverMany, whyOnlyOne } from '../plans/fleet.ts'

export const verb: Verb = {
  name: 'fleet',
  summary: 'Several clusters at once: one table, or a verb over all of them.',
  words: {
    ...{ usage: '[VERB] [-- WORDS]', least: 0, most: Number.POSITIVE_INFINITY },
    hint: 'What the verb itself takes goes after --.',
  },
  flags: {
    only: { value: 'NAMES', summary: 'these clusters (with commas; default: all recorded here)' },
    watch: { summary: 'the table: look again every 2 s, until Ctrl-C' },
    canary: { value: 'NAME', summary: 'the cluster that goes alone at first (default: the first)' },
    parallel: { value: 'N', summary: 'so many at a time (default 1; of a verb that only looks 4)' },
    'from-start': { summary: 'start over, on clusters that are done, too' },
    ...planFlag,
  },
  help: `Without VERB (or with status): one table. Else the verb, on each cluster:
  one alone at first, then the others; a failure stops whoever has not begun.
The same command again goes on: for a day it leaves out what is done.
VERB: ${verbsOverMany().slice(0, 8).join(', ')},
  ${verbsOverMany().slice(8).join(', ')}.
What the verb itself takes goes after --.

Examples:
  npx zx scripts/fleet.ts --watch
  npx zx scripts/fleet.ts upgrade --canary blue -- --etcd-version 3.6.14

Exit code 0: done on all. 1: it failed somewhere; the table alone exits with 0.`,
  actOnAll: (given, [name = 'status', ...words]) => {
    const names = chosen(given)
    return name === 'status' ? showTable(given, words) : overAll(given, name, words, names)
  },
}

/** @throws UsageError for a name that is recorded nowhere */
function chosen({ only }: Flags): string[] {
  const all = recordedClusters()
    .filter((name) => !isOfDrill(name))
    .toSorted()
  if (all.length === 0)
    throw new UsageError('There is no cluster here.', { hint: 'Bring one up: npx zx scripts/up.ts' })
  const asked = typeof only === 'string' ? [...new Set(only.split(/ *, */))] : all
  for (const name of asked)
    if (!all.includes(name)) throw new UsageError(`There is no cluster ${name} here.${suggest(name, all)}`)
  return asked
}

/** The table. With --watch clusters that are recorded meanwhile come into it. */
async function showTable(given: Flags, words: string[]): Promise<void> {
  const odd = ['canary', 'parallel', 'from-start', 'plan'].find((flag) => given[flag] !== undefined)
  if (odd) throw new UsageError(`--${odd} goes with a verb, not with the table.`)
  if (words.length > 0) throw new UsageError(`Unexpected argument ${JSON.stringify(words[0])}.`)
  const runs = new Map<string, Run>()
  try {
    await tellAgain(given.watch === true, async () => {
      const rows = await rowsOf(chosen(given), runs)
      const half = halfDone()
      return [{ clusters: rows, halfDone: half }, renderRows(rows, half)]
    })
  } finally {
    for (const one of runs.values()) one.end()
  }
}

async function overAll(given: Flags, name: string, words: string[], names: string[]): Promise<void> {
  const why = whyOnlyOne(name)
  if (why === '') throw new UsageError(`There is no verb ${name}.${suggest(name, ['status', ...verbsOverMany()])}`)
  if (why) throw onlyOne(name, why)
  // By its name, and only when it is asked for: the table needs none of them.
  const { verb: asked } = (await import(`./${name}.ts`)) as { verb: Verb }
  refuseWords(asked, words)
  if (given.watch) throw new UsageError('--watch goes with the table alone.')
  if (given.plan && !asked.flags?.plan) throw new UsageError(`${name} changes nothing: it has no --plan.`)
  const canary = given.canary as string | undefined
  if (canary !== undefined && !names.includes(canary))
    throw new UsageError(`--canary: ${canary} is none of these clusters.${suggest(canary, names)}`)
  const looks = !asked.writes || given.plan === true
  const odd = looks ? (['canary', 'from-start'] as const).find((flag) => given[flag] !== undefined) : undefined
  if (odd) throw new UsageError(`--${odd} goes with a verb that changes clusters.`)
  const parallel = numberFlag(given, 'parallel', 1, { most: 32 }) ?? (looks ? 4 : 1)
  await overMany({
    ...{ verb: asked, words, names, canary, parallel, plan: given.plan === true, writes: !looks },
    ...{ fromStart: given['from-start'] === true, again: commandOf(given, name, words) },
  })
}

const onlyOne = (verb: string, why: string): UsageError =>
  new UsageError(`${verb} is for one cluster at a time. ${why}.`)

/** What goes after -- must be fit before the first cluster is touched. @throws UsageError */
function refuseWords({ flags: own, words: wanted, name }: Verb, words: string[]): void {
  const { words: left, shared: before } = parseAfter(own, wanted, words)
  const why = whyOnlyOne(name, left)
  if (why) throw onlyOne(name, why)
  if (before && flagOfFleet(before)) throw new UsageError(`--${before} goes before the --.`)
  if (before) throw new UsageError(`--${before} is not for many clusters: ${name} goes by what is recorded of each.`)
}

const flagOfFleet = (flag: string): boolean => !['cluster', 'provider', 'masters', 'config'].includes(flag)

/** The command as it is typed again, to go on. */
function commandOf({ only, canary, parallel, yes }: Flags, name: string, words: string[]): string {
  const flags = Object.entries({ only, canary, parallel }).flatMap(([flag, value]) =>
    value === undefined ? [] : [`--${flag}`, String(value)],
  )
  const own = words.length > 0 ? ['--', ...words] : []
  return ['npx zx scripts/fleet.ts', name, ...[...flags, ...(yes ? ['--yes'] : []), ...own].map(shellQuoted)].join(' ')
}
