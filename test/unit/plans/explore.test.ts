// Every state that faults and killed verbs can bring a cluster into, and from each of them every verb: what must hold
// does.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { defragRules } from '../../../tasks/plans/defrag.ts'
import { planOf } from '../../../tasks/plans/plan.ts'
import { replaceRules } from '../../../tasks/plans/replace.ts'
import { scaleRules } from '../../../tasks/plans/scale.ts'
import type { Act, Observation, Rules } from '../../../tasks/plans/types.ts'
import { reasonOf, titleOf } from '../../../tasks/plans/words.ts'
import {
  carriedOut,
  faults,
  hasQuorum,
  healthy,
  killed,
  meanwhile,
  observe,
  runningVoters,
  type World,
} from '../../support/model.ts'

interface Verb {
  words: string
  rules: (seen: Observation) => Rules
  coming: string[]
  /** Hosts that it would not know unless they are recorded. */
  about: string[]
  /** Whether it has done what it was asked for. */
  reached: (world: World, start: World) => boolean
}

const hostNames = (count: number): string[] => Array.from({ length: count }, (_, at) => `h${at + 1}`)
const voting = (world: World): string[] => runningVoters(world).map(({ host }) => host)
const all = (hosts: string[], among: string[]): boolean => hosts.every((host) => among.includes(host))

const replace = (...hosts: string[]): Verb => ({
  words: `replace ${hosts.join(' ')}`,
  rules: (seen) => replaceRules(seen, hosts),
  coming: [],
  about: hosts,
  reached: (world, start) => all(hosts, voting(world)) && hosts.every((host) => isNew(world, start, host)),
})

const idOn = (world: World, host: string): string | undefined => world.members.find((one) => one.host === host)?.id

/** Who voted before has a new member now; but whom a killed run has replaced is not replaced twice. */
function isNew(world: World, start: World, host: string): boolean {
  const [before, noted] = [idOn(start, host), start.replacing[host]]
  if (!hasQuorum(start) || !voting(start).includes(host)) return true
  return noted !== undefined && noted !== before ? idOn(world, host) === before : idOn(world, host) !== before
}

const scale = (count: number): Verb => ({
  words: `scale ${count}`,
  rules: (seen) => scaleRules(seen, hostNames(count)),
  coming: hostNames(count),
  about: [],
  reached: (world) =>
    world.recorded.length === count &&
    hostNames(count).every((host) => world.members.some((one) => one.host === host && !one.learner)),
})

const defrag: Verb = {
  words: 'defrag --disarm',
  rules: () => defragRules(true),
  coming: [],
  about: [],
  reached: ({ done, recorded }) =>
    done.filter((act) => act.do === 'defragment').length === recorded.length && done.at(-1)?.do === 'prove a write',
}

/** A way into a state: what befell the cluster, and what is left of faults and kills. */
interface State {
  world: World
  story: string[]
  faults: number
  kills: number
}

const broken = (story: string[], what: string): never => {
  throw new Error(`${what}\n  ${story.join('\n  ')}`)
}

/** A member that leads is not stopped, removed or kept busy: writes would wait for an election. */
const stopsLeader = (world: World, act: Act): boolean =>
  ['set aside', 'remove member', 'defragment'].includes(act.do) &&
  'host' in act &&
  act.host === world.leader &&
  world.recorded.length > 1

/** Of one or two members each is needed. */
const costsQuorum = (world: World, act: Act, then: World): boolean =>
  hasQuorum(world) && !(hasQuorum(then) && (runningVoters(world).length < 3 || hasQuorum(meanwhile(world, act))))

/** Carries the whole verb out, holds every promise at every step, and returns what is there after each. */
function perform({ world: start, story }: State, verb: Verb): World[] {
  if (!all(verb.about, start.recorded)) return []
  const first = observe(start, verb.coming)
  const rules = verb.rules(first)
  const worlds: World[] = []
  const told = [...story, verb.words]
  let world = start
  let handOvers = 0
  for (;;) {
    const plan = planOf(rules, observe(world, verb.coming))
    if (plan.obstacle?.code === 'refused') broken(told, reasonOf(plan.obstacle))
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
      if (costsQuorum(world, next.act, then)) broken(told, `"${titleOf(planned)}" costs the quorum`)
      if (stopsLeader(world, next.act)) broken(told, `"${titleOf(planned)}" stops the leader`)
      handOvers += planned.do === 'hand over' ? 1 : 0
      if (handOvers > 1) broken(told, 'leadership is handed over twice')
      if (planned.do === 'set aside' && !hasQuorum(then)) broken(told, `"${titleOf(planned)}" sets the last data aside`)
      if (planned.do === 'remove host' && !hasQuorum(then))
        broken(told, `"${titleOf(planned)}" deletes data without a quorum`)
      world = then
      worlds.push(world)
      told.push(titleOf(planned))
    }
    if (plan.open) continue
    if (rules(observe(world, verb.coming)) !== 'done') broken(told, 'the plan was done, and the verb is not')
    if (!verb.reached(world, start)) broken(told, 'the verb is done, and has not reached what it was asked for')
    return worlds
  }
}

const idOf = (next: unknown): string => (next as { act?: { id?: string } }).act?.id ?? ''

/** While a quorum commits, one verb brings back all that do not vote, however many and however lost. */
function requireWayOut(state: State): void {
  const { world } = state
  const silent = world.recorded.filter((host) => !voting(world).includes(host))
  if (!hasQuorum(world) || silent.length === 0) return
  const verb = replace(...silent)
  const end = perform(state, verb).at(-1)
  if (!end || !all(silent, voting(end))) broken(state.story, `no way out: ${verb.words} does not help`)
}

/** Breadth first; the number of states and of verbs that were carried out in them. */
function explore(starts: World[], verbs: Verb[], budget: { faults: number; kills: number }): string {
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
          world: killed(world),
          story: [...state.story, `${verb.words}, killed after act ${at + 1}`],
          kills: state.kills - 1,
        })
    }
    if (state.faults === 0) continue
    for (const [title, world] of faults(state.world))
      queue.push({ ...state, world, story: [...state.story, title], faults: state.faults - 1 })
  }
  return `${seen.size} states, ${performed} verbs carried out in them`
}

for (const strict of [false, true]) {
  test(`three hosts, two faults and a killed verb, in any order${strict ? '; etcd before 3.5.30' : ''}`, () => {
    const verbs = [replace('h1'), replace('h2'), replace('h1', 'h3'), scale(3), scale(5), scale(1), defrag]
    const found = explore([healthy(3, strict)], verbs, { faults: 2, kills: 1 })
    console.log(`measured: ${found}`)
    assert.ok(Number.parseInt(found, 10) > 500)
  })

  test(`five hosts, two faults and a killed verb, in any order${strict ? '; etcd before 3.5.30' : ''}`, () => {
    const verbs = [replace('h1'), replace('h1', 'h2'), replace('h5'), scale(5), scale(3), defrag]
    const found = explore([healthy(5, strict)], verbs, { faults: 2, kills: 1 })
    console.log(`measured: ${found}`)
    assert.ok(Number.parseInt(found, 10) > 500)
  })
}

test.run()
