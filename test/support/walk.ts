// A verb on a cluster in memory, from its first act to its last: every promise is held at each step. Steps are kept, so
// that what many states lead to is walked once.
import type { Finding } from '../../tasks/etcd/findings.ts'
import { type GuardOptions, obstacle } from '../../tasks/operations/guard.ts'
import { effectOf } from '../../tasks/plans/effects.ts'
import { planOf } from '../../tasks/plans/plan.ts'
import type { Act, Next, Observation, Obstacle, Rules } from '../../tasks/plans/types.ts'
import { titleOf } from '../../tasks/plans/words.ts'
import { differences } from './conformance.ts'
import { memo } from './memo.ts'
import { carriedOut, hasQuorum, meanwhile, observe, runningVoters, type World, whyUnfit, whyUnfitFor } from './model.ts'
import { keyOf } from './world-key.ts'

export interface Verb {
  words: string
  rules: (seen: Observation) => Rules
  /** What the rules keep of the first look, as text; by default nothing. */
  aim?: (seen: Observation) => string
  coming: string[]
  /** Hosts that it would not know unless they are recorded. */
  about: string[]
  /** Whether it is let begin; default: always. */
  may?: (world: World) => boolean
  /** How it asks whether the cluster is healthy enough to begin; default: it asks nobody. */
  guard?: (seen: Observation, world: World) => GuardOptions
  /** Whether it may go on while something else is half done; default: it may not. */
  evenHalfDone?: (world: World) => boolean
  /** What it has noted, where it is killed. */
  noted?: (world: World) => World
  /** Whether it has done what it was asked for. */
  reached: (world: World, start: World, acts: Act[]) => boolean
}

/** A world in which the verb may be killed, and the act that it does next; none: it is done, or nothing can be done. */
export interface Step {
  world: World
  act?: Act
  next?: Step
  /** What stops it before the plan that it is in comes to its end: then nothing of that plan is begun. */
  obstacle?: Obstacle | undefined
  /** What an act found, and ends with. */
  refused?: Finding
  /** Which promise is broken from here on. */
  broken?: string | undefined
  /** How often leadership is handed over from here on. */
  handOvers?: number
}

const steps = memo<Step>(150_000)

/** Why the verb would not begin here, by the guard alone. Its rules are safe without one, too. */
export function refusalOf(world: World, verb: Verb): Finding | undefined {
  const seen = observe(world, verb.coming)
  return verb.guard && obstacle(seen, verb.guard(seen, world))
}

/** From the first act that it would do. */
export function walk(world: World, verb: Verb): Step {
  const first = observe(world, verb.coming)
  return stepFrom(world, { verb, rules: verb.rules(first), aim: verb.aim?.(first) ?? '' }, world.recorded, 0)
}

interface Way {
  verb: Verb
  rules: Rules
  aim: string
}

/** No verb has more acts, unless its rules go round in a circle. */
const longest = 100

/** `planned`: whom the record named when the plan was made. */
function stepFrom(world: World, way: Way, planned: string[], count: number): Step {
  const key = `${way.verb.words}|${way.aim}|${planned.length}|${doneOf(world)}|${keyOf(world)}`
  const known = steps.get(key)
  if (known) return known
  const step = count > longest ? { world, broken: 'the verb does not end' } : stepAt(world, way, planned, count)
  steps.set(key, step)
  return step
}

/** What rules ask of what was done before. */
const doneOf = ({ done }: World): string => [...new Set(done.map((act) => shortened(act)))].sort().join('')
const shortened = (act: Act): string => (act.do === 'defragment' ? `d${act.host}` : (remembered[act.do] ?? ''))
const remembered: Partial<Record<Act['do'], string>> = {
  'back up': 'b',
  compact: 'c',
  disarm: 'a',
  'prove a write': 'w',
  install: 'i',
  'enable downgrade': 'e',
  'end downgrade': 'n',
  verify: 'v',
}

function stepAt(world: World, way: Way, planned: string[], count: number): Step {
  const { rules, verb } = way
  const seen = observe(world, verb.coming)
  const next = rules(seen)
  if (next === 'done') return { world }
  if ('obstacle' in next) return { world, obstacle: next.obstacle }
  const { act } = next
  const [foreseen, then] = [effectOf(seen, act), carriedOut(world, act)]
  const refused = foundByAct(seen, world, act, then)
  if (refused) return { world, refused }
  if (typeof then === 'string') {
    // a plan that is stopped later begins with nothing
    const { obstacle } = planOf(rules, seen)
    return obstacle && obstacle.code !== 'refused'
      ? { world, obstacle }
      : { world, broken: `etcd refuses "${titleOf(act)}": ${then}` }
  }
  if (typeof foreseen === 'string') return { world, broken: `the plan has a refused act: ${titleOf(act)}: ${foreseen}` }
  const isOpen = isOpenAfter(act, seen, planned)
  const after = stepFrom(then, way, isOpen ? then.recorded : planned, count + 1)
  const obstacle = isOpen ? undefined : after.obstacle
  const broken =
    otherwise(seen, act, foreseen, then, verb) ??
    (isOpen || after.refused ? undefined : otherNext(rules(foreseen), after)) ??
    harm(world, act, then, verb) ??
    after.broken
  const handOvers = (after.handOvers ?? 0) + Number(act.do === 'hand over')
  return { world, act, next: after, handOvers, obstacle, broken: obstacle ? undefined : broken }
}

/** What no look shows: writes are only tried at the end, and who is down tells no version that its database is for. */
function foundByAct(seen: Observation, world: World, act: Act, then: World | string): Finding | undefined {
  if (act.do === 'verify' && world.alarms?.length) return { code: 'no-space' }
  const host = 'host' in act ? act.host : ''
  const unfit = whyUnfitFor(act, world.hosts[host])
  if (unfit) return { code: 'ends', host, detail: unfit, remedy: '' }
  const isSilent = seen.recorded.every((host) => !seen.hosts[host]?.answer)
  const ends = act.do === 'install' && typeof then === 'string' && isSilent
  return ends ? { code: 'ends', host: seen.recorded[0] ?? '', detail: then, remedy: '' } : undefined
}

/** As a plan goes on only by what is found then (plans/plan.ts). */
const isOpenAfter = (act: Act, seen: Observation, planned: string[]): boolean =>
  act.do === 'bring up' ? planned.includes(act.host) : act.do === 'take snapshots' && !seen.members

/** What a plan foresees of an act is what the model makes of it. */
function otherwise(seen: Observation, act: Act, foreseen: Observation, then: World, verb: Verb): string | undefined {
  const found = differences(seen, act, foreseen, observe(then, verb.coming))
  return found.length > 0 ? `the effect is not what the model says: ${found.join('; ')}` : undefined
}

/** A plan goes on from what it foresees, a run from what it finds: with the same act. */
function otherNext(planned: Next, { act, obstacle, broken }: Step): string | undefined {
  const due = planned === 'done' ? 'done' : 'act' in planned ? titleOf(planned.act) : planned.obstacle.code
  const is = act ? titleOf(act) : (obstacle?.code ?? 'done')
  const [one, other] = [due, is].map((title) => title.replace(/member .+? of/, 'member of'))
  return one === other || (broken && !act) ? undefined : `planned is "${due}", but then it is "${is}"`
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

/** Its member goes, and the role would let none come. */
const removesInVain = (world: World, act: Act, { about }: Verb): boolean =>
  act.do === 'remove member' && about.includes(act.host) && whyUnfit(world.hosts[act.host]) !== undefined

function harm(world: World, act: Act, then: World, verb: Verb): string | undefined {
  const told = `"${titleOf(act)}"`
  if (costsQuorum(world, act, then)) return `${told} costs the quorum`
  if (stopsLeader(world, act)) return `${told} stops the leader`
  if (removesInVain(world, act, verb)) return `${told}, and its host can get no new one`
  if (act.do === 'set aside' && !hasQuorum(then)) return `${told} sets the last data aside`
  if (act.do === 'remove host' && !hasQuorum(then)) return `${told} deletes data without a quorum`
  return undefined
}
