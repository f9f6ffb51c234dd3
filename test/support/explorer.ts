// Walks through every state that faults and killed verbs can bring a cluster into, and holds what is promised there.
// Several may share a walk: each sees to the states whose kind falls to it (./explorers.ts).
import type { Finding } from '../../tasks/etcd/findings.ts'
import { planOf } from '../../tasks/plans/plan.ts'
import type { Act } from '../../tasks/plans/types.ts'
import { titleOf } from '../../tasks/plans/words.ts'
import { hasQuorum, killed, meanwhile, observe, runningVoters, type World } from './model.ts'
import type { Ran } from './role-in-memory.ts'
import { all, voting } from './verbs-in-memory.ts'
import { refusalOf, type Step, type Verb, walk } from './walk.ts'
import { kindOf } from './world-key.ts'

/** A way into a state: what befell the cluster, and what is left of faults and kills. */
export interface State {
  world: World
  story: string[]
  faults: number
  kills: number
}

export const broken = (story: string[], what: string): never => {
  throw new Error(`${what}\n  ${story.join('\n  ')}`)
}

const stepsFrom = (first: Step): Step[] => {
  const found: Step[] = []
  for (let step: Step | undefined = first; step; step = step.next) found.push(step)
  return found
}

/** Rules are safe without a guard, too: after so few events no guard is asked. */
const insisted = 2

/** The steps of the verb where it begins, each held to its promises; the last one is where it is done, or stops. */
function begun({ world, story }: State, verb: Verb): Step[] {
  if (world.unrecorded || (world.begun && !verb.evenHalfDone?.(world))) return []
  if (!all(verb.about, world.recorded) || verb.may?.(world) === false) return []
  if ((story.length > insisted || world.here) && refusalOf(world, verb)) return []
  const first = walk(world, verb)
  if (first.broken) broken([...story, verb.words], storyOf(first))
  if (first.obstacle) return []
  if ((first.handOvers ?? 0) > 1) broken([...story, verb.words], 'leadership is handed over twice')
  const steps = stepsFrom(first)
  const acts = steps.flatMap(({ act }) => act ?? [])
  if (steps.some((step) => copiesDamage(step, verb))) broken([...story, verb.words], 'damaged data is copied')
  const end = steps.at(-1) as Step
  if (!end.obstacle && !end.refused && !verb.reached(end.world, world, acts))
    broken([...story, verb.words, ...acts.map(titleOf)], 'the verb is done, and has not reached what it was asked for')
  return steps
}

/** Who replaces all damaged members has the new ones get their data from a sound one, where one runs that stays. */
function copiesDamage({ world, act }: Step, { about }: Verb): boolean {
  if (act?.do !== 'start learner' || !world.hosts[world.leader ?? '']?.damaged) return false
  const isSound = (host: string): boolean => !world.hosts[host]?.damaged
  const stay = voting(world).filter((host) => !about.includes(host))
  return stay.length > 0 && stay.every(isSound)
}

/** What is broken, after the acts that lead there. */
function storyOf(first: Step): string {
  const acts = stepsFrom(first).flatMap(({ act }) => act ?? [])
  return `${first.broken}\n  ${acts.map((act) => `  ${titleOf(act)}`).join('\n  ')}`
}

/** Where the verb ends; undefined: it does not begin. */
export const endOf = (state: State, verb: Verb): World | undefined => begun(state, verb).at(-1)?.world

/**
 * The worlds in which the verb may be killed, the last one: where it is done; none: it does not begin. What is done is
 * what its plan lists.
 */
function perform(state: State, verb: Verb): World[] {
  const steps = begun(state, verb)
  const acts = steps.flatMap(({ act }) => act ?? [])
  if (acts.length > 0) requirePlanned(state, verb, acts, steps.at(-1)?.refused !== undefined)
  return steps.flatMap(({ world, act, next }) => (act && next ? [...meanwhile(world, act), next.world] : []))
}

/** The worlds of a list, where it begins: none costs a quorum of three and more, unless it stops all at once. */
function listed({ world, story }: State, { words, run, evenHalfDone, unverified }: Listed): World[] {
  if (world.unrecorded || (world.begun && !evenHalfDone)) return []
  const { worlds, refused, atOnce } = run(world)
  const lost = atOnce || runningVoters(world).length < 3 ? -1 : worlds.findIndex((one) => !hasQuorum(one))
  if (serves(world) && lost >= 0) broken([...story, `${words}, at ${lost + 1}`], 'it costs the quorum')
  if (!refused && worlds.length > 0 && !unverified) requireDone([...story, words], worlds.at(-1) as World)
  if (refused && leavesDowngrade(refused, world))
    broken([...story, words], 'it ends a move, and refuses what is left of it')
  return worlds
}

/** Of a move that was begun here it knows, and need not be told by its own verify. */
const leavesDowngrade = ({ code }: Finding, { upgradingTo }: World): boolean =>
  code === 'downgrade-enabled' && upgradingTo !== undefined

/** Beside damaged data nobody is served. */
const serves = (world: World): boolean => hasQuorum(world) && !world.alarms?.some(({ kind }) => kind === 'CORRUPT')

/** A verb that says it is done leaves nothing that its own verify would have found. */
function requireDone(story: string[], world: World): void {
  const [found] = observe(world).findings
  if (found) broken(story, `it is done, and ${found.code} is left`)
}

/** `cut`: an act was refused by what only the role finds, and what is planned after it was not done. */
function requirePlanned({ world, story }: State, verb: Verb, acts: Act[], cut: boolean): void {
  const seen = observe(world, verb.coming)
  const planned = planOf(verb.rules(seen), seen)
  const told = (some: Act[]): string[] => some.map((act) => titleOf(act).replace(/member .+? of/, 'member of'))
  const [due, is] = [
    told(cut ? planned.acts.slice(0, acts.length) : planned.acts),
    told(planned.open ? acts.slice(0, planned.acts.length) : acts),
  ]
  if (due.join() !== is.join()) broken([...story, verb.words], `planned is ${due.join(', ')}; done is ${is.join(', ')}`)
}

/** A verb that is a list of steps. */
export interface Listed {
  words: string
  run: (world: World) => Ran
  /** It may go on while a recover, a restore or an adoption is half done. */
  evenHalfDone?: true
  /** It does not end with verify, and does not say that all is well. */
  unverified?: true
}

export interface Walk {
  starts: World[]
  verbs: Verb[]
  lists?: Listed[]
  /** How many of each befall a cluster on one way. */
  budget: { faults: number; kills: number }
  /** All that can befall it now, each with a title. */
  faults: (world: World) => [string, World][]
  requireWayOut: (state: State) => void
  /** Where it ends, though there were more. */
  most?: number
  /** Of the states that two events and more lead to, it takes one in so many, by chance that is always the same. */
  oneIn?: number
}

/** How a walk is shared: how many explorers there are, which one this is, and how it hands states to another. */
export interface Share {
  of: number
  at: number
  send: (to: number, state: State) => void
}

/** How many states one came upon, how many verbs were carried out in them, and how long that took a core. */
export interface Found {
  states: number
  performed: number
  seconds: number
}

export interface Explorer {
  take: (states: State[]) => void
  /** What follows from so many states that are due; whether any more are. */
  goOn: (count: number) => boolean
  found: () => Found
}

/** The states, those that faults or kills may follow first. */
export function explorerOf(walk: Walk, share: Share): Explorer {
  const { verbs, lists = [], budget, faults, requireWayOut, most = Infinity, oneIn = 1 } = walk
  const began = process.cpuUsage().user
  /** By what a world is: what was left of faults and kills when it was come upon, a bit for each pair. */
  const seen = new Map<string, number>()
  let [states, performed] = [0, 0]
  let due: State[] = []
  let next: State[] = []

  /** Whether there is more left to happen than whenever it was come upon before. */
  function isNew(kind: string, { faults, kills }: State): boolean {
    const before = seen.get(kind) ?? 0
    for (let f = faults; f <= budget.faults; f++)
      for (let k = kills; k <= budget.kills; k++) if (before & (1 << (f * (budget.kills + 1) + k))) return false
    seen.set(kind, before | (1 << (faults * (budget.kills + 1) + kills)))
    return true
  }

  function comeUpon(state: State): void {
    if (states >= most / share.of) return
    const kind = kindOf(state.world)
    const hash = hashOf(kind)
    if (state.story.length > 1 && hash % oneIn > 0) return
    const isFirst = !seen.has(kind)
    if (!isNew(kind, state)) return
    const to = (hash >>> 8) % share.of
    if (to !== share.at) {
      share.send(to, state)
      return
    }
    if (isFirst) {
      states++
      requireWayOut(state)
    }
    if (state.faults + state.kills > 0) next.push(state)
    else {
      for (const verb of verbs) performed += endOf(state, verb) ? 1 : 0
      for (const one of lists) performed += listed(state, one).length > 0 ? 1 : 0
    }
  }

  function goOnFrom(state: State): void {
    for (const verb of verbs) {
      const worlds = state.kills > 0 ? perform(state, verb) : []
      performed += worlds.length > 0 || (state.kills === 0 && endOf(state, verb)) ? 1 : 0
      for (const [at, world] of worlds.entries())
        comeUpon({
          ...state,
          world: killed(verb.noted?.(world) ?? world),
          story: [...state.story, `${verb.words}, killed at ${at + 1}`],
          kills: state.kills - 1,
        })
    }
    for (const one of lists) {
      const worlds = listed(state, one)
      performed += worlds.length > 0 ? 1 : 0
      if (state.kills > 0)
        for (const [at, world] of worlds.entries())
          comeUpon({
            ...state,
            world: killed(world),
            story: [...state.story, `${one.words}, killed at ${at + 1}`],
            kills: state.kills - 1,
          })
    }
    if (state.faults === 0) return
    for (const [title, world] of faults(state.world))
      comeUpon({ ...state, world, story: [...state.story, title], faults: state.faults - 1 })
  }

  const ours = ({ world }: State): boolean => (hashOf(kindOf(world)) >>> 8) % share.of === share.at
  const take = (states: State[]): void => states.forEach(comeUpon)
  take(walk.starts.map((world) => ({ world, story: [], ...budget })).filter(ours))
  return {
    take,
    goOn(count: number): boolean {
      if (due.length === 0) [due, next] = [next.reverse(), []]
      for (const state of due.splice(-count).reverse()) goOnFrom(state)
      return due.length + next.length > 0
    },
    found: () => ({ states, performed, seconds: (process.cpuUsage().user - began) / 1e6 }),
  }
}

/** The walk, by one: how many states there were, and verbs carried out in them. */
export function explore(walk: Walk): string {
  const began = performance.now()
  const explorer = explorerOf(walk, { of: 1, at: 0, send: () => undefined })
  while (explorer.goOn(100));
  return toldOf([explorer.found()], performance.now() - began)
}

export function toldOf(all: Found[], ms: number): string {
  const [states, performed, seconds] = (['states', 'performed', 'seconds'] as const).map((what) =>
    all.reduce((sum, found) => sum + found[what], 0),
  ) as [number, number, number]
  const times = `${(ms / 1000).toFixed(1)} s by ${all.length} at once, ${seconds.toFixed(1)} s of a core`
  const speed = `${Math.round((1000 * states) / ms)} a second`
  return `${states} states, ${performed} verbs carried out in them; ${times}; ${speed}`
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}
