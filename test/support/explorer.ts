// Walks through every state that faults and killed verbs can bring a cluster into, and holds what is promised there.
import type { Finding } from '../../tasks/etcd/findings.ts'
import { type GuardOptions, obstacle } from '../../tasks/operations/guard.ts'
import { effectOf } from '../../tasks/plans/effects.ts'
import { planOf } from '../../tasks/plans/plan.ts'
import type { Act, Observation, Rules } from '../../tasks/plans/types.ts'
import { titleOf } from '../../tasks/plans/words.ts'
import { differences } from './conformance.ts'
import { carriedOut, hasQuorum, killed, meanwhile, observe, runningVoters, type World } from './model.ts'

export interface Verb {
  words: string
  rules: (seen: Observation) => Rules
  coming: string[]
  /** Hosts that it would not know unless they are recorded. */
  about: string[]
  /** Whether it is let begin; default: always. */
  may?: (world: World) => boolean
  /** How it asks whether the cluster is healthy enough to begin; default: it asks nobody. */
  guard?: (seen: Observation) => GuardOptions
  /** What it has noted, where it is killed. */
  noted?: (world: World) => World
  /** Whether it has done what it was asked for. */
  reached: (world: World, start: World) => boolean
}

export const voting = (world: World): string[] => runningVoters(world).map(({ host }) => host)
export const all = (hosts: string[], among: string[]): boolean => hosts.every((host) => among.includes(host))

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

/** Why the verb would not begin here, by the guard alone. Its rules are safe without one, too. */
export function refusalOf(world: World, verb: Verb): Finding | undefined {
  const seen = observe(world, verb.coming)
  return verb.guard && obstacle(seen, verb.guard(seen))
}

/** A member that leads is not stopped, removed or kept busy: writes would wait for an election. */
const stopsLeader = (world: World, act: Act): boolean =>
  world.recorded.length > 1 &&
  (act.do === 'install'
    ? act.turns.slice(0, -1).some(({ host }) => host === world.leader)
    : ['set aside', 'remove member', 'defragment'].includes(act.do) && 'host' in act && act.host === world.leader)

/** Of one or two members each is needed. */
const costsQuorum = (world: World, act: Act, then: World): boolean =>
  hasQuorum(world) && !(hasQuorum(then) && (runningVoters(world).length < 3 || meanwhile(world, act).every(hasQuorum)))

const compared = new Set<string>()

/** What a plan foresees of an act is what the model makes of it. */
function requireSameEffect(world: World, act: Act, then: World, coming: string[], told: string[]): void {
  const key = JSON.stringify([{ ...world, done: [] }, act, coming])
  if (compared.has(key)) return
  compared.add(key)
  const seen = observe(world, coming)
  const otherwise = differences(seen, act, effectOf(seen, act), observe(then, coming))
  if (otherwise.length > 0) broken(told, `the effect is not what the model says: ${otherwise.join('; ')}`)
}

/**
 * Carries the whole verb out, and holds every promise at every step.
 * @returns the worlds in which it may be killed; the last one: where it is done; none: it does not begin
 */
export function perform({ world: start, story }: State, verb: Verb): World[] {
  if (!all(verb.about, start.recorded) || verb.may?.(start) === false) return []
  const first = observe(start, verb.coming)
  const rules = verb.rules(first)
  const worlds: World[] = []
  const told = [...story, verb.words]
  let world = start
  let handOvers = 0
  for (;;) {
    const plan = planOf(rules, observe(world, verb.coming))
    if (plan.obstacle?.code === 'refused') broken(told, JSON.stringify(plan.obstacle))
    if (plan.obstacle) return worlds
    for (const planned of plan.acts) {
      const next = rules(observe(world, verb.coming))
      if (
        next === 'done' ||
        'obstacle' in next ||
        titleOf(next.act) !== titleOf(planned).replace(/new on h\d/, idOf(next))
      )
        return broken(told, `planned "${titleOf(planned)}", but now it is ${JSON.stringify(next)}`)
      const then = carriedOut(world, next.act)
      if (typeof then === 'string') return broken(told, `etcd refuses "${titleOf(planned)}": ${then}`)
      requireSameEffect(world, next.act, then, verb.coming, told)
      if (costsQuorum(world, next.act, then)) broken(told, `"${titleOf(planned)}" costs the quorum`)
      if (stopsLeader(world, next.act)) broken(told, `"${titleOf(planned)}" stops the leader`)
      handOvers += planned.do === 'hand over' ? 1 : 0
      if (handOvers > 1) broken(told, 'leadership is handed over twice')
      if (planned.do === 'set aside' && !hasQuorum(then)) broken(told, `"${titleOf(planned)}" sets the last data aside`)
      if (planned.do === 'remove host' && !hasQuorum(then))
        broken(told, `"${titleOf(planned)}" deletes data without a quorum`)
      worlds.push(...meanwhile(world, next.act), then)
      world = then
      told.push(titleOf(planned))
    }
    if (plan.open) continue
    if (rules(observe(world, verb.coming)) !== 'done') broken(told, 'the plan was done, and the verb is not')
    if (!verb.reached(world, start)) broken(told, 'the verb is done, and has not reached what it was asked for')
    return worlds
  }
}

const idOf = (next: unknown): string => (next as { act?: { id?: string } }).act?.id ?? ''

export interface Walk {
  starts: World[]
  verbs: Verb[]
  /** How many of each befall a cluster on one way. */
  budget: { faults: number; kills: number }
  /** All that can befall it now, each with a title. */
  faults: (world: World) => [string, World][]
  requireWayOut: (state: State) => void
}

/** Breadth first; the number of states and of verbs that were carried out in them. */
export function explore({ starts, verbs, budget, faults, requireWayOut }: Walk): string {
  const queue: State[] = starts.map((world) => ({ world, story: [], ...budget }))
  const seen = new Set<string>()
  let performed = 0
  for (let state = queue.shift(); state; state = queue.shift()) {
    const key = JSON.stringify([state.world, state.faults, state.kills])
    if (seen.has(key)) continue
    seen.add(key)
    requireWayOut(state)
    for (const verb of verbs) {
      const worlds = perform(state, verb)
      performed += worlds.length > 0 ? 1 : 0
      if (state.kills === 0) continue
      for (const [at, world] of worlds.entries())
        queue.push({
          ...state,
          world: killed(verb.noted?.(world) ?? world),
          story: [...state.story, `${verb.words}, killed at ${at + 1}`],
          kills: state.kills - 1,
        })
    }
    if (state.faults === 0) continue
    for (const [title, world] of faults(state.world))
      queue.push({ ...state, world, story: [...state.story, title], faults: state.faults - 1 })
  }
  return `${seen.size} states, ${performed} verbs carried out in them`
}
