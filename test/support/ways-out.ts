// A person who does what the tool names, on a cluster in memory: what verify finds first, what a refusal names, until
// verify is content; or the one honest end, that too much data is lost.
import type { Cluster } from '../../tasks/core/cluster.ts'
import type { Action } from '../../tasks/core/remedy.ts'
import { actionsOf, type Finding, type Half, inRanking } from '../../tasks/etcd/findings.ts'
import { quorum } from '../../tasks/etcd/membership.ts'
import { chooseSurvivor } from '../../tasks/operations/choose-survivor.ts'
import { type GuardOptions, obstacle, ofReplace, ofScale } from '../../tasks/operations/guard.ts'
import { joinAll } from '../../tasks/plans/members.ts'
import { planOf } from '../../tasks/plans/plan.ts'
import { replaceRules } from '../../tasks/plans/replace.ts'
import { movesTo, scaleRules } from '../../tasks/plans/scale.ts'
import type { Observation, Rules } from '../../tasks/plans/types.ts'
import { testCluster } from './cluster.ts'
import { carriedOut, hasQuorum, observe, settledWith, type World } from './model.ts'

/** What came of an action: another world, or why not. */
type Outcome = { world: World } | { refused: Finding } | 'the honest end' | undefined

/** How many verbs a person is sent through at most. */
const most = 6

/** The verbs that lead out of here, in their order; undefined: a dead end. */
export const wayOut = (world: World): string[] | undefined => leadOut(world, new Set(), most)

function leadOut(world: World, been: Set<string>, left: number): string[] | undefined {
  const [first] = whatIsWrong(world)
  if (!first) return []
  const key = JSON.stringify(world)
  if (left === 0 || been.has(key)) return undefined
  return follow(world, first, new Set([...been, key]), left)
}

/** Each action in its order, until one leads out. */
function follow(world: World, finding: Finding, been: Set<string>, left: number): string[] | undefined {
  for (const action of actionsOf(clusterOf(world), finding, halfOf(world))) {
    const words = 'verb' in action ? [action.verb, ...action.words].join(' ') : 'etcdctl' in action ? 'etcdctl' : ''
    const step = JSON.stringify([world, words])
    if (been.has(step)) continue
    const outcome = done(world, action)
    const beenThere = new Set([...been, step])
    if (outcome === 'the honest end') return [words]
    if (!outcome) continue
    const rest =
      'world' in outcome
        ? leadOut(outcome.world, beenThere, left - 1)
        : left > 0 && follow(world, outcome.refused, beenThere, left - 1)
    if (rest) return [words, ...rest]
  }
  return undefined
}

/** What verify finds, first what is to be cured first; where it is content, what status warns of. */
export function whatIsWrong(world: World): Finding[] {
  const hosts = Object.keys(world.replacing)
  const half: Finding[] = [
    ...(hosts.length > 0 ? [{ code: 'half-replaced', hosts } as const] : []),
    ...(world.scaling ? [{ code: 'half-scaled', hosts: world.scaling } as const] : []),
  ]
  return [...inRanking(observe(world).findings), ...half]
}

const halfOf = ({ replacing, scaling }: World): Half => ({ replaced: Object.keys(replacing), scaledTo: scaling })

const known = testCluster()
const clusterOf = ({ version }: World): Cluster => ({ ...known, formed: true, etcd: { ...known.etcd, version } })

function done(world: World, action: Action): Outcome {
  if ('byHand' in action) return undefined
  if ('etcdctl' in action) return byEtcdctl(world, action.etcdctl)
  const { verb, words } = action
  if (verb === 'up') return up(world)
  if (verb === 'replace') return replace(world, words)
  if (verb === 'scale') return scale(world, Number(words.at(-1)) || world.recorded.length)
  if (verb === 'recover') return recover(world, words.includes('--from'))
  if (verb === 'restore') return dataOf(world).length < quorum(world.members.length) ? 'the honest end' : undefined
  return undefined
}

function byEtcdctl(world: World, words: string[]): Outcome {
  const [id = '', verb] = [...words].reverse()
  const host = world.members.find((member) => member.id === id)?.host ?? ''
  const then = verb === 'remove' ? carriedOut(world, { do: 'remove member', host, id }) : world
  return typeof then === 'string' || then === world ? undefined : { world: forget(then) }
}

const forget = (world: World): World => ({ ...world, done: [] })

/** Those whose member has its data. */
const dataOf = ({ recorded, hosts, members }: World): string[] =>
  recorded.filter((host) => members.some(({ id }) => id === hosts[host]?.data))

/** Hosts that were off come back with their data; the role starts what is stopped, or says why not. */
function up(world: World): Outcome {
  const awake = settledWith(world, (host) => ({ ...host, up: true, running: host.data !== undefined }))
  const refused = refusalOfRole(awake)
  if (refused) return JSON.stringify(awake) === JSON.stringify(world) ? { refused } : { world: awake }
  const waiting = awake.members.filter(({ host, started }) => !started && awake.recorded.includes(host))
  return { world: waiting.reduce((now, { host }) => started(now, host), awake) }
}

const started = (world: World, host: string): World => {
  const then = carriedOut(world, { do: 'start learner', host, version: world.version })
  return typeof then === 'string' ? world : forget(then)
}

/** As etcd_plan.py refuses, by what each host looks like. */
function refusalOfRole(world: World): Finding | undefined {
  const { members, recorded, hosts } = world
  const role = { detail: '', remedy: '' }
  const empty = recorded.filter((host) => hosts[host]?.data === undefined)
  if (!hasQuorum(world)) {
    if (empty.length === 0) return { code: 'no-quorum' }
    if (empty.length === recorded.length) return { code: 'all-data-lost' }
    return { code: 'others-silent', host: empty[0] ?? '', ...role }
  }
  const listed = members.map(({ host }) => host)
  const lost = empty.filter((host) => members.some((one) => one.host === host && one.started))
  if (lost[0] !== undefined) return { code: 'data-lost', host: lost[0], hosts: lost, ...role }
  const same = listed.length === recorded.length && recorded.every((host) => listed.includes(host))
  return same ? undefined : { code: 'members-differ', ...role }
}

/** A verb's rules to their end; what the verb would forget then is forgotten. */
function carried(world: World, rules: (seen: Observation) => Rules, coming: string[], guard?: GuardOptions): Outcome {
  const start = observe(world, coming)
  const stops = guard && obstacle(start, guard)
  if (stops) return { refused: stops }
  const next = rules(start)
  let now = world
  for (;;) {
    const { acts, obstacle: stop } = planOf(next, observe(now, coming))
    if (stop) return stop.code === 'refused' ? undefined : { refused: stop }
    const [act] = acts
    if (!act) return { world: { ...forget(now), replacing: {}, scaling: undefined } }
    const then = carriedOut(now, act)
    if (typeof then === 'string') return undefined
    now = then
  }
}

function replace(world: World, hosts: string[]): Outcome {
  if (!hosts.every((host) => world.recorded.includes(host))) return undefined
  if (world.recorded.length === 1) return { refused: { code: 'only-member', host: hosts[0] ?? '', name: 'x' } }
  return carried(world, (seen) => replaceRules(seen, hosts), [], ofReplace(hosts))
}

function scale(world: World, count: number): Outcome {
  const wanted = Array.from({ length: count }, (_, at) => `h${at + 1}`)
  const guard = ofScale(movesTo(observe(world, wanted), wanted))
  return carried(world, (seen) => scaleRules(seen, wanted), wanted, guard)
}

/** `insist`: a person names a host to go on from; here it is the one that goes furthest. */
function recover(world: World, insist: boolean): Outcome {
  const awake = settledWith(world, (host) => ({ ...host, up: true, running: host.data !== undefined }))
  const { recorded, hosts } = awake
  const well = dataOf(awake).length
  if (hasQuorum(awake)) {
    const silent = recorded.filter((host) => !observe(world).hosts[host]?.answer?.commits)
    return { refused: { code: 'has-quorum', name: 'x', well, voters: recorded.length, hosts: silent } }
  }
  const there = recorded.map((name) => ({
    host: { name } as Cluster['hosts'][0],
    running: hosts[name]?.running === true,
    hasData: dataOf(awake).includes(name),
    commit: 1,
    last: 1,
    restored: '',
  }))
  const choice = chooseSurvivor(there, insist)
  if ('finding' in choice) return { refused: choice.finding }
  const { name } = choice.survivor.host
  const id = `${awake.nextId}`
  const formed = settledWith(
    { ...awake, nextId: awake.nextId + 1, members: [{ id, host: name, learner: false, started: true }] },
    (host, at) => (at === name ? { ...host, data: id, running: true } : { ...host, running: false }),
  )
  return carried(
    formed,
    () => (seen) =>
      joinAll(
        seen,
        recorded.map((host) => ({ host })),
      ),
    [],
  )
}
