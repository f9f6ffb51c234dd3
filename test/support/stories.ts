// Stories of a real cluster: verbs compared act by act with what was foreseen, and cures by what is named.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { membershipActs } from '../../tasks/acts/members.ts'
import type { Run } from '../../tasks/core/run.ts'
import { clientEnvironment } from '../../tasks/etcd/client-environment.ts'
import { look } from '../../tasks/observe/look.ts'
import { effectOf } from '../../tasks/plans/effects.ts'
import { memberOn } from '../../tasks/plans/members.ts'
import type { Act, Observation } from '../../tasks/plans/types.ts'
import { linesOf, titleOf } from '../../tasks/plans/words.ts'
import { befall, hasData, withCluster } from './by-hand.ts'
import { differences, differencesOfModel, looksIn } from './conformance.ts'
import { folderOf, recorded, use } from './ladder.ts'
import { clientsView } from './load.ts'
import { carriedOut, type World } from './model.ts'
import { type Home, type Outcome, performHere } from './verbs.ts'

/** What stories found. */
export interface Tally {
  acts: number
  plans: number
  refusals: number
  elections: number
  /** What was not as foreseen, with the story that it belongs to. */
  differences: string[]
  /** Verbs that the role, or etcd, refused after some of their acts. */
  cutShort: string[]
  /** The verbs that cured the cluster, a line for each story. */
  cures: string[]
}

/** A story that is being told. */
export interface Teller {
  home: Home
  tally: Tally
  told: string[]
  /** What a person restores who is told to restore a backup. */
  backup?: string
}

const differ = ({ tally, told }: Teller, what: string): void => {
  tally.differences.push(`${what}\n    ${told.join('\n    ')}`)
}

/** The model's world that looks like this. What lies on hosts that do not answer is seen on their disks. */
function worldOf(home: Home, seen: Observation): World {
  const asked = Object.values(seen.hosts).some(({ ready }) => ready)
  const { version = '', members = [], downgradingTo, uncovered } = seen
  const works = Object.values(seen.hosts).find(({ answer }) => answer?.works)?.answer?.works ?? version
  const hosts = Object.entries(seen.hosts).map(([name, { ready, empty, answer }]) => {
    const data = answer?.member ?? (hasData(home, name) ? (memberOn(seen, name)?.id ?? 'of nobody') : undefined)
    const runs = answer?.version ?? version
    return [name, { up: ready || !asked, running: answer !== undefined, data, empty, version: runs, holds: runs }]
  })
  return {
    ...seen,
    hosts: Object.fromEntries(hosts),
    members: members.map((one) => ({ ...one, host: one.host ?? `none of member ${one.id}` })),
    nextId: 0,
    version,
    works: works.split('.').slice(0, 2).join('.'),
    downgradingTo: downgradingTo?.split('.').slice(0, 2).join('.'),
    uncovered: Object.keys(uncovered),
  }
}

/**
 * Performs a verb, and compares each of its acts with its effect, with the model, and all of them with its plan.
 * `killAfter`: it is ended after so many acts. `plan`: false where its plan is not asked for before.
 */
export async function carried(
  teller: Teller,
  words: string[],
  { killAfter, plan = true }: { killAfter?: number | undefined; plan?: boolean } = {},
): Promise<Outcome> {
  const { home, told, tally } = teller
  told.push(words.join(' ') + (killAfter === undefined ? '' : `, ended after act ${killAfter}`))
  const [verb = '', ...flags] = words
  const planned = plan && looksAhead.includes(verb) ? await home.verb(verb, ...flags, '--plan', '--json') : undefined
  const acts: Act[] = []
  let before: Observation | undefined
  let world: World | undefined
  const heard = (text: string, run: Run): void => {
    for (const { act, seen } of looksIn(text)) {
      if (act && before) {
        acts.push(act)
        told.push(`  ${titleOf(act)}`)
        compareAct(teller, before, world, act, seen)
      }
      ;[before, world] = [seen, seen.members && !home.machines ? worldOf(home, seen) : undefined]
      if (acts.length === killAfter) run.stop('SIGINT')
    }
  }
  const outcome = await performHere(verb, [...flags, '--yes'], home.environment(), heard)
  const isKilled = killAfter !== undefined && outcome.exitCode === 130
  told.push(`  ${Math.round(outcome.tookMs / 1000)} s`)
  if (outcome.exitCode !== 0) told.push(`  exit ${outcome.exitCode}: ${outcome.stderr.trim().split('\n').join(' | ')}`)
  if (planned) comparePlan(teller, planned, acts, outcome, isKilled)
  // It may be done with what it was asked for, and find by its last look what else is wrong.
  const isDone = outcome.exitCode === 0 || / is not healthy: \d+ of \d+ checks? fail/.test(outcome.stderr)
  if (acts.length > 0 && !isDone && !isKilled) tally.cutShort.push(`${words.join(' ')}\n    ${told.join('\n    ')}`)
  return outcome
}

/** The verbs that are carried out by plans. */
const looksAhead = ['replace', 'scale', 'defrag', 'upgrade', 'downgrade']

function compareAct(teller: Teller, before: Observation, world: World | undefined, act: Act, after: Observation): void {
  const { tally } = teller
  tally.acts++
  const found = differences(before, act, effectOf(before, act), after)
  const byModel = world ? differencesOfModel(world, before, act, after) : []
  for (const one of [...found, ...byModel.map((one) => `by the model: ${one}`)]) differ(teller, one)
  const touchesLead = ['hand over', 'install', 'take snapshots', 'bring up'].includes(act.do)
  if (before.leader && after.leader !== before.leader && !touchesLead) tally.elections++
}

/** Acts done are the acts that --plan listed; where it refused, none was done. */
function comparePlan(teller: Teller, planned: Outcome, acts: Act[], outcome: Outcome, isKilled: boolean): void {
  teller.tally.plans++
  if (planned.exitCode !== 0) {
    teller.tally.refusals++
    if (acts.length > 0 || outcome.exitCode === 0) differ(teller, `--plan refused: ${planned.stderr.trim()}`)
    return
  }
  const { plan } = JSON.parse(planned.stdout) as { plan: string[] }
  const foreseen = plan.filter((line) => !/^(leave|beware:) /.test(line))
  const open = foreseen.indexOf('then by what is found there')
  const done = acts.flatMap(linesOf)
  const told = open >= 0 ? foreseen.slice(0, open) : foreseen
  const due = isKilled ? told.slice(0, done.length) : told
  const isSame = due.every((line, at) => line === done[at] || (at >= done.length && isTail(line)))
  const isAll = open >= 0 || isKilled || done.length <= foreseen.length
  if (!isSame || !isAll)
    differ(teller, `planned was\n      ${due.join('\n      ')}\n    and done\n      ${done.join('\n      ')}`)
}

/** What follows the acts of a plan: verify, and what the role would do. */
const isTail = (line: string): boolean => /^(verify$|etcd-role: )/.test(line)

/**
 * An act is tried whether rules would or not: what etcd refuses must have been foreseen as refused, and what it takes
 * as taken. Patience is short: by a clock that goes fast.
 */
export async function tried(teller: Teller, act: Act): Promise<void> {
  const { home, tally, told } = teller
  const before = await withCluster(home, (cluster) => look(cluster))
  const world = before.members && worldOf(home, before)
  const foreseen = effectOf(before, act)
  const byModel = world ? carriedOut(world, act) : 'no quorum'
  const reason = await withCluster(home, (cluster) => carriedOutAlone(cluster, act), 5)
  told.push(`try: ${titleOf(act)}${reason ? `: ${reason}` : ''}`)
  if (reason) {
    tally.refusals++
    tally.acts++
    if (typeof foreseen !== 'string')
      differ(teller, `etcd refuses "${titleOf(act)}" (${reason}), which was not foreseen`)
    if (typeof byModel !== 'string')
      differ(teller, `etcd refuses "${titleOf(act)}" (${reason}), which the model does not`)
    return
  }
  compareAct(teller, before, world, act, await withCluster(home, (cluster) => look(cluster, {}, { seen: before, act })))
}

/** Why it was refused; '' where it was done. */
async function carriedOutAlone(cluster: Parameters<(typeof membershipActs)['promote']>[0], act: Act): Promise<string> {
  try {
    if (act.do === 'promote') {
      const tasks = (await membershipActs.promote(cluster, act)) ?? []
      for (const { task } of tasks) await task(undefined, { title: '', output: '' } as never)
    } else if (act.do === 'hand over') await membershipActs['hand over'](cluster, act)
    else if (act.do === 'remove member') await membershipActs['remove member'](cluster, act)
    else if (act.do === 'add learner') await membershipActs['add learner'](cluster, act)
    return ''
  } catch (error) {
    const { message, more } = error as Error & { more?: { output?: string } }
    return `${message} ${more?.output ?? ''}`.trim()
  }
}

/** The acts on membership that could be tried now and are not done yet; none where nobody lists the members. */
export function actsToTry(seen: Observation): Act[] {
  if (!seen.members) return []
  const hosts = seen.recorded
  return [
    ...seen.members.flatMap(({ id, host }): Act[] => (host ? [{ do: 'remove member', host, id }] : [])),
    ...hosts.flatMap((host): Act[] => (memberOn(seen, host) ? [] : [{ do: 'add learner', host }])),
    ...seen.members.flatMap(({ id, host, learner }): Act[] => (host && learner ? [{ do: 'promote', host, id }] : [])),
    ...hosts.flatMap((to): Act[] =>
      seen.leader && to !== seen.leader ? [{ do: 'hand over', from: seen.leader, to }] : [],
    ),
  ]
}

/** How many verbs a person is sent through at most, before it counts as a dead end. */
const most = 8

/** Follows what verify and refusals name until verify is content. @returns whether it came to that */
export async function cured(teller: Teller): Promise<boolean> {
  const { home, tally, told } = teller
  const chain: string[] = []
  const end = (good: boolean): boolean => {
    tally.cures.push(`${good ? '' : 'DEAD END: '}${chain.join(' → ') || 'nothing to cure'}`)
    if (!good) differ(teller, `dead end: ${chain.join(' → ')}`)
    return good
  }
  let next: Asked[] = []
  while (chain.length < most) {
    if (next.length === 0) {
      const { codes, remedy } = await whatIsWrong(home)
      if (codes === '') return end(true)
      told.push(`verify names ${codes}: ${remedy.replaceAll('\n', ' ')}`)
      next = commandsIn(remedy, teller.backup)
      chain.push(`[${codes}]`)
    }
    const fresh = next.find(({ words }) => !chain.includes(words.join(' '))) ?? next[0]
    if (!fresh) return end(false)
    chain.push(fresh.words.join(' '))
    next = await followed(teller, fresh, next)
  }
  return end((await whatIsWrong(home)).codes === '')
}

/** Does what a remedy says. @returns what to follow next; nothing: look again */
async function followed(teller: Teller, asked: Asked, all: Asked[]): Promise<Asked[]> {
  const { home, told, backup } = teller
  const [verb = '', ...rest] = asked.words
  const after = all.slice(all.indexOf(asked) + 1)
  const end = after.findIndex(({ joined }) => !joined)
  const joined = end < 0 ? after : after.slice(0, end)
  if (verb === 'by hand') {
    told.push(rest.join(' '))
    await befall(home, rest[0] ?? '', rest[1])
    return joined
  }
  if (verb === 'etcdctl') {
    const { version } = recorded(home)
    const client = clientEnvironment(clientsView(home))
    const env = { ...process.env, ...client, ETCDCTL_API: '3' }
    const { status, stderr } = spawnSync(join(folderOf(version), 'etcdctl'), rest, { env, encoding: 'utf8' })
    told.push(`etcdctl ${rest.join(' ')}: ${status === 0 ? 'done' : stderr}`)
    return joined
  }
  use(home, folderOf(versionFor(home, asked.words)))
  let outcome = await carried(teller, asked.words, { plan: false })
  const [, named] = /Name with etcd\.binaries a folder that has etcd ([\d.]+);/.exec(outcome.stderr) ?? []
  if (named) {
    use(home, folderOf(named))
    outcome = await carried(teller, asked.words, { plan: false })
  }
  if (outcome.exitCode === 0) return joined
  return commandsIn(outcome.stderr, backup).filter(({ words: [name] }) => name !== 'verify')
}

/** The programs that a person names with etcd.binaries before that verb. */
export function versionFor(home: Home, words: string[]): string {
  const at = words.indexOf('--etcd-version')
  return at >= 0 ? (words[at + 1] ?? '') : recorded(home).version
}

/** What a busy machine alone brings about: a person looks again. */
const passing = ['no-time', 'lags-behind', 'compacting', 'member-frozen', 'call-fails']

/** The first thing that verify, or else status, names. */
async function whatIsWrong(home: Home, looks = 3): Promise<{ codes: string; remedy: string }> {
  use(home, folderOf(recorded(home).version))
  const { exitCode, stdout, stderr } = await home.verb('verify', '--json', '--timeout', '8')
  if (exitCode === 0) {
    const { warning } = JSON.parse((await home.verb('status', '--json')).stdout) as { warning?: string }
    const isNamed = warning && commandsIn(warning).length > 0
    return isNamed ? { codes: 'status warns', remedy: warning } : { codes: '', remedy: '' }
  }
  const faults = stderr.split('\n').filter((line) => line.startsWith('  '))
  const { checks = [] } = (stdout ? JSON.parse(stdout) : {}) as { checks?: { findings?: { code: string }[] }[] }
  const codes = [...new Set(checks.flatMap(({ findings = [] }) => findings.map(({ code }) => code)))]
  if (looks > 0 && codes.length > 0 && codes.every((code) => passing.includes(code)))
    return whatIsWrong(home, looks - 1)
  return { codes: codes.join() || 'refused', remedy: faults.length > 0 ? faults.join('\n') : stderr }
}

/** What only a person can do, by the words that ask for it, and the deed (by-hand.ts). */
const byHand: [words: RegExp, deed: string][] = [
  [/Make room on (master\d\d)/g, 'make room on'],
  [/On (master\d\d), resume etcd if it is suspended/g, 'resume'],
  [/on (master\d\d), move its certificates \(\S+\) aside/g, 'move the certificates aside on'],
  [/(master\d\d): it cannot be reached at/g, 'switch on'],
]

/** What a person is asked to do. `joined`: with what stands before it. */
interface Asked {
  words: string[]
  joined: boolean
}

/** What a text tells a person to do, in its order, with what a person fills in. `backup`: for FILE. */
function commandsIn(text: string, backup = 'FILE'): Asked[] {
  const word = /(?:--[a-z-]+(?: (?:[\d.]*\d|N|HOST|master\d\d))?|master\d\d|FILE|\/\S+\.db)/
  const ours = new RegExp(`npx zx scripts/([a-z-]+)\\.ts((?: ${word.source})*)`)
  const asClient = /(?:eval "\$\(npx zx scripts\/env\.ts\)" )?&& etcdctl /
  const call = /((?:--user root )?[a-z-]+(?: (?:[0-9a-f]{8,16}|[a-z-]+)\b)*(?: --[a-z-]+(?:=\S+)?)?)/
  const found = [...text.matchAll(new RegExp(`${asClient.source}${call.source}|${ours.source}`, 'g'))].map((match) => {
    const [, etcdctl, verb = '', flags = ''] = match
    const words = flags.split(' ').filter((word) => word && word !== '--plan')
    const filledIn = words.map((word) => ({ N: '3', HOST: 'master02', FILE: backup })[word] ?? word)
    return { match, words: etcdctl ? ['etcdctl', ...etcdctl.trim().split(' ')] : [verb, ...filledIn] }
  })
  const asked = byHand.flatMap(([pattern, deed]) =>
    [...text.matchAll(pattern)].map((match) => ({ match, words: ['by hand', deed, match[1] ?? ''] })),
  )
  const all = [...found, ...asked].sort((one, other) => one.match.index - other.match.index)
  return all.map(({ match, words }, at) => {
    const before = all[at - 1]?.match
    const between = before && text.slice(before.index + before[0].length, match.index).trim()
    return { words, joined: ['', '&&', ', then'].includes(between ?? 'nothing') }
  })
}
