// fleet: a verb over many clusters. One goes alone first, then so many at a time; a failure stops whoever has not
// begun. Each is performed in this process, with a run, a lock and a log of its own.
import { OperationError } from '../core/errors.ts'
import { clock, type Output, print, type Run, run } from '../core/run.ts'
import { confirm, perform, type Verb } from '../core/script.ts'
import { age, areOrIs, chalk, duration, listed, plain, warningLines, wrapped } from '../core/terminal.ts'
import { attempt } from '../etcd/certificates.ts'
import { atStage, canaryOf, type Round, whoBegins } from '../plans/fleet.ts'
import { runOf } from './fleet-look.ts'
import { doneAlready, forget, keyOf, noteDone } from './fleet-memory.ts'
import { type Show, show } from './fleet-show.ts'

export interface Errand {
  verb: Verb
  words: string[]
  /** The clusters, in their order. */
  names: string[]
  canary: string | undefined
  parallel: number
  plan: boolean
  /** Whether it changes clusters: then one goes first, the first failure stops it, and what is done is remembered. */
  writes: boolean
  fromStart: boolean
  /** The same command, as a person types it again. */
  again: string
}

interface Outcome {
  exitCode: number
  tookMs: number
  one: Run
  /** What it printed on either stream. */
  out: string
  err: string
}

/** @throws OperationError when it failed anywhere, naming who is done, who is not, and how to go on */
export async function overMany(errand: Errand): Promise<void> {
  const { names, writes } = errand
  const key = keyOf(errand.verb.name, errand.words)
  run().writes = writes // from now on a reader who goes away stops nothing
  const before = writes && !errand.fromStart ? doneAlready(key, names) : { done: [], at: 0 }
  const left = names.filter((name) => !before.done.includes(name))
  const canary = writes ? canaryOf(left, errand.canary) : undefined
  const inOrder = [...(canary ? [canary] : []), ...left.filter((name) => name !== canary)]
  const stages: Round['stages'] = Object.fromEntries(inOrder.map((name) => [name, 'waits']))
  const round: Round = { stages, canary, parallel: errand.parallel, stops: writes }
  if (!run().json) print(announced(errand, round, before))
  const agreed = left.length === 0 || !writes || (await isAgreed(errand, left))
  if (!agreed) throw new OperationError('Nothing was changed.')
  if (writes && errand.fromStart) forget(key)
  const began = clock()
  const outcomes = await go(errand, round, agreed && writes, (name) => noteDone(key, name, names))
  run().throwIfStopped()
  if (run().json) print(`${JSON.stringify(asData(errand, round, before.done, outcomes))}\n`)
  else if (errand.plan) print(left.map((name) => outcomes.get(name)?.out ?? '').join('\n'))
  if (!run().json) print(warningsOf(outcomes))
  refuseFailed(errand, round, before.done, outcomes)
  if (!run().json && left.length > 0) print(inTheEnd(errand, clock() - began))
}

/** A person is asked once for all; where nobody sits, each verb asks for --yes itself where it would have asked. */
async function isAgreed({ verb, fromStart }: Errand, left: string[]): Promise<boolean> {
  if (!run().attended || run().json) return true
  const again = fromStart ? ', from the start' : ''
  return confirm(`Perform ${verb.name} on ${left.length === 1 ? left[0] : `these ${left.length} clusters`}${again}?`)
}

/** Performs the verb on each as its turn comes, until nobody begins any more. */
async function go(
  errand: Errand,
  round: Round,
  agreed: boolean,
  onDone: (name: string) => void,
): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>()
  const going = new Map<string, Promise<void>>()
  const shown = show(() => atStage(round, 'waits').length, !errand.plan)
  const begin = async (name: string): Promise<void> => {
    shown.begins(name)
    const outcome = await performOn(errand, name, shown, agreed)
    const ok = outcome.exitCode === 0
    if (ok && errand.writes) onDone(name)
    outcomes.set(name, outcome)
    round.stages[name] = ok ? 'done' : 'failed'
    shown.ends(name, lineOf(errand, name, outcome))
  }
  try {
    for (;;) {
      for (const name of run().signal.aborted ? [] : whoBegins(round)) {
        round.stages[name] = 'at work'
        going.set(
          name,
          begin(name).finally(() => going.delete(name)),
        )
      }
      if (going.size === 0) return outcomes
      await Promise.race(going.values())
    }
  } finally {
    await Promise.allSettled(going.values()) // our own failure (a full disk, say) leaves nobody half way
    shown.close()
  }
}

async function performOn({ verb, words, plan }: Errand, name: string, shown: Show, agreed: boolean): Promise<Outcome> {
  const { json, verbose, yes, attended, stderr } = run()
  const said = { out: '', err: '' }
  const heard = (which: 'out' | 'err', onText: (text: string) => void = () => {}): Output => ({
    write: (chunk) => {
      said[which] += chunk
      onText(String(chunk))
      attempt(() => one.note(plain(String(chunk))))
      return true
    },
  })
  const withName = (text: string): string => text.replace(/^(?=.)/gm, `${name} | `)
  const one = runOf({
    stdout: heard('out'),
    stderr: heard('err', (text) => verbose && stderr.write(withName(text))),
  })
  one.onStep = (steps) => shown.isAt(name, steps)
  const flags = { json, verbose, yes: yes || (agreed && attended), plan }
  const given = Object.entries(flags).flatMap(([flag, is]) => (is ? [`--${flag}`] : []))
  const began = clock()
  const exitCode = await perform(verb, [...words, '--cluster', name, ...given], one)
  return { exitCode, tookMs: clock() - began, one, ...said }
}

/** What is about to be done, in a sentence. */
function announced({ verb, names, plan }: Errand, round: Round, before: { done: string[]; at: number }): string {
  const left = Object.keys(round.stages)
  const since = clock() - before.at
  const last = since < 60_000 ? 'just now' : `${age(since)} ago`
  const out = `${areOrIs(before.done)} done, the last ${last}, and left out.`
  const leftOut = before.done.length > 0 ? `${wrapped(`${out} To start over: --from-start`, 0)}\n` : ''
  if (plan || !round.stops || left.length === 0) return leftOut
  const [canary, ...others] = left
  const then = others.length > 0 ? `${canary} alone first, then ${listed(others)}` : `${canary}`
  const atOnce = others.length > 1 ? `, ${round.parallel === 1 ? 'one' : round.parallel} at a time` : ''
  const what = names.length > 1 ? `${chalk.bold(verb.name)}: ` : `${chalk.bold(verb.name)} on `
  return `${leftOut}${wrapped(`${what}${then}${atOnce}.`, 0)}\n\n`
}

function lineOf({ writes }: Errand, name: string, { exitCode, tookMs, one, err }: Outcome): string {
  const time = duration(tookMs)
  if (exitCode !== 0) return `${chalk.red('✖')} ${name}  ${time}  ${sentenceIn(err)}`
  const changes = writes ? `  ${one.changes.map(plain).join(', ') || 'nothing had to be changed'}` : ''
  return `${chalk.green('✔')} ${name}  ${time}${changes}`
}

/** The first line of how a verb failed. */
const sentenceIn = (err: string): string =>
  (plain(err).match(/^(?:Error|Bug): (.*)$/m)?.[1] ?? plain(err).split('\n')[0] ?? '').trim()

const warningsOf = (outcomes: Map<string, Outcome>): string =>
  [...outcomes].map(([name, { one }]) => warningLines(one.warnings.map((warning) => `${name}: ${warning}`))).join('')

function refuseFailed(
  { verb, writes, again }: Errand,
  round: Round,
  before: string[],
  outcomes: Map<string, Outcome>,
): void {
  const [failed, waits, done] = (['failed', 'waits', 'done'] as const).map((stage) => atStage(round, stage))
  if (!failed || failed.length === 0) return
  const all = [...before, ...(done ?? [])]
  const told = [
    `${verb.name} failed on ${listed(failed)}.`,
    ...(writes ? [`Not begun: ${waits?.length ? listed(waits) : 'none'}.`] : []),
    `Done: ${all.length > 0 ? listed(all) : 'none'}.`,
  ]
  const lines = failed.flatMap((name) => [
    `${name}:`,
    ...plain(outcomes.get(name)?.err ?? '')
      .trim()
      .split('\n')
      .map((line) => `  ${line}`),
  ])
  const left = all.length > 0 ? '\nClusters that are done are left out then; --from-start starts over.' : ''
  const hint = writes ? `Put that right, then go on: ${again}${left}` : undefined
  throw new OperationError(told.join(' '), { lines, ...(hint && { hint }) })
}

function inTheEnd({ verb, names, plan, writes }: Errand, tookMs: number): string {
  if (plan) return ''
  const all = names.length === 1 ? names[0] : `${names.length} clusters`
  return `\n${chalk.green(`${verb.name}: ${all} ${writes ? 'done' : 'well'} (${duration(tookMs)}).`)}\n`
}

function asData({ verb, words, names, again }: Errand, round: Round, before: string[], all: Map<string, Outcome>) {
  const toldAs = { waits: 'not begun', 'at work': 'failed', done: 'done', failed: 'failed' } as const
  const clusters = names.map((cluster) => {
    const outcome = all.get(cluster)
    const stage = round.stages[cluster]
    return {
      cluster,
      state: before.includes(cluster) || !stage ? 'done before' : toldAs[stage],
      tookMs: outcome?.tookMs ?? null,
      /** What the verb itself says with --json. */
      result: attempt(() => JSON.parse(outcome?.out ?? '') as unknown) ?? null,
      error: outcome?.exitCode ? plain(outcome.err).trim() : null,
      log: outcome?.one.log ?? null,
    }
  })
  const goesOn = atStage(round, 'failed').length > 0 ? again : null
  return { verb: verb.name, words, clusters, again: goesOn }
}
