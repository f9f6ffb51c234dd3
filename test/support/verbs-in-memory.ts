// The verbs that are plans, as they are tried on a cluster in memory: their rules, who lets them begin, and what they
// must have reached.
import type { Host } from '../../tasks/core/cluster.ts'
import type { Finding } from '../../tasks/etcd/findings.ts'
import { putRight } from '../../tasks/operations/adopt-look.ts'
import { replaceable } from '../../tasks/operations/adopt-rules.ts'
import { endsOnly, obstacleToMove, ofReplace, ofScale } from '../../tasks/operations/guard.ts'
import { defragRules } from '../../tasks/plans/defrag.ts'
import { goesDown, memberOn } from '../../tasks/plans/members.ts'
import { cancelRules, downgradeRules, upgradeRules, whyNotMove } from '../../tasks/plans/move.ts'
import { goalsOf, replaceRules } from '../../tasks/plans/replace.ts'
import { movesTo, scaleRules } from '../../tasks/plans/scale.ts'
import type { Act, Observation } from '../../tasks/plans/types.ts'
import { cannotIssue, hasQuorum, isForeign, lacksKey, observe, runningVoters, type World, whyUnfit } from './model.ts'
import type { Verb } from './walk.ts'

export const voting = (world: World): string[] => runningVoters(world).map(({ host }) => host)
export const all = (hosts: string[], among: string[]): boolean => hosts.every((host) => among.includes(host))

const idOn = (world: World, host: string): string | undefined => world.members.find((one) => one.host === host)?.id

/** Who voted before has a new member now; but whom a killed run has replaced is not replaced twice. */
function isNew(start: World, acts: Act[], host: string): boolean {
  const [before, noted] = [idOn(start, host), start.replacing[host]]
  if (!hasQuorum(start) || !voting(start).includes(host)) return true
  const isReplaced = acts.some((act) => act.do === 'remove member' && act.host === host)
  return isReplaced === (noted === undefined || noted === before)
}

/** Whom each host's replacement is about is fixed, and noted before anything else: who is there, or was; or nobody. */
const aimOfReplace = (seen: Observation, hosts: string[]): string =>
  goalsOf(seen, hosts)
    .map(({ host, old }) => (old === undefined ? 'n' : memberOn(seen, host)?.id === old ? 'p' : 'o'))
    .join('')

export const replace = (...hosts: string[]): Verb => ({
  words: `replace ${hosts.join(' ')}`,
  rules: (seen) => replaceRules(seen, hosts),
  aim: (seen) => aimOfReplace(seen, hosts),
  coming: [],
  about: hosts,
  may: (world) =>
    !othersOff(world, hosts) &&
    !unreachable(world) &&
    !withoutRoom(world, hosts) &&
    !cannotIssue(world) &&
    !isEnabled(world),
  evenHalfDone: (world) => all(hosts, replaceableIn(world)),
  guard: (seen, { begun }) => ({ ...ofReplace(hosts), joins: !goesDown(seen), allow: begun ? putRight : [] }),
  reached: (world, start, acts) => all(hosts, voting(world)) && hosts.every((host) => isNew(start, acts, host)),
})

/** While something is half done. */
export function replaceableIn(world: World): string[] {
  const hosts = world.recorded.map((name) => ({ name, ...(isForeign(world, name) && { foreign: {} }) }) as Host)
  return replaceable({ begun: world.begun, hosts }, [])
}

/** All others of ours are looked at: one may be recorded that was not brought up yet. */
export function othersOff(world: World, among: string[]): Finding | undefined {
  const { recorded, hosts, begun } = world
  const host = recorded.find((name) => begun && !among.includes(name) && !isForeign(world, name) && !hosts[name]?.up)
  return host === undefined ? undefined : { code: 'host-not-up', host }
}

/** A downgrade that no move of ours is about: etcd would start no new member. */
const isEnabled = ({ downgradingTo, upgradingTo }: World): boolean => downgradingTo !== undefined && !upgradingTo

/** What observe/host-data.ts finds on hosts that are up. */
export function unreachable({ recorded, hosts }: World): Finding | undefined {
  const host = recorded.find((name) => hosts[name]?.up && hosts[name].certificates === 'foreign')
  return host === undefined ? undefined : { code: 'host-of-other-cluster', host }
}

/** And operations/room.ts. */
export function withoutRoom({ hosts }: World, among: string[]): Finding | undefined {
  const host = among.find((name) => hosts[name]?.up && hosts[name].full)
  return host === undefined ? undefined : { code: 'disk-too-small', host, is: '', due: '' }
}

const hostNames = (count: number): string[] => Array.from({ length: count }, (_, at) => `h${at + 1}`)

export const scale = (count: number): Verb => ({
  words: `scale ${count}`,
  rules: (seen) => scaleRules(seen, hostNames(count)),
  aim: (seen) => JSON.stringify(movesTo(seen, hostNames(count))),
  coming: hostNames(count),
  about: [],
  may: (world) => world.upgradingTo === undefined && !unreachable(world) && !lacksKey(world) && !isEnabled(world),
  noted: (world) => ({ ...world, scaling: hostNames(count) }),
  guard: (seen) => ofScale(movesTo(seen, hostNames(count))),
  reached: (world) =>
    world.recorded.length === count &&
    hostNames(count).every((host) => world.members.some((one) => one.host === host && !one.learner)),
})

export const defrag: Verb = {
  words: 'defrag --disarm',
  rules: () => defragRules(true),
  coming: [],
  about: [],
  may: (world) => !withoutRoom(world, world.recorded),
  evenHalfDone: ({ begun }) => begun?.verb === 'adopt',
  guard: (_, { begun }) => ({ verb: 'defrag --disarm', allow: begun ? putRight : [] }),
  reached: ({ recorded }, _, acts) =>
    acts.filter((act) => act.do === 'defragment').length === recorded.length && acts.at(-1)?.do === 'prove a write',
}

/** Every member runs it, the record says so, and nothing is under way. */
export const runsAll = (world: World, version: string): boolean =>
  all(world.recorded, voting(world)) &&
  world.recorded.every((host) => world.hosts[host]?.version === version && world.hosts[host].holds === version) &&
  [world.version, world.upgradingTo, world.downgradingTo].join() === [version, undefined, undefined].join()

/** A host without a member that votes, or without its data. */
export const lostIn = ({ recorded, members, hosts }: World): string | undefined =>
  recorded.find(
    (name) => !members.some(({ host, id, learner }) => host === name && !learner && hosts[name]?.data === id),
  )

/** The same, where it is in the way: who ends what is enabled in the cluster touches no host. */
export const lostBeside = (world: World, cancel: boolean): string | undefined =>
  endsOnly(cancel ? 'downgrade --cancel' : '', world.upgradingTo) ? undefined : lostIn(world)

/** A host that the role refuses by its checks, in words of its own. */
export function unfitIn({ recorded, hosts }: World): Finding | undefined {
  const host = recorded.find((name) => whyUnfit(hosts[name]))
  return host === undefined ? undefined : { code: 'ends', host, detail: whyUnfit(hosts[host]) ?? '', remedy: '' }
}

/** What the verbs refuse before they plan, as operations/roll.ts asks. */
export function refusalOfMove(world: World, verb: string, to: string, cancel: boolean): Finding | undefined {
  const { version, upgradingTo: begun, recorded } = world
  const otherWay = begun !== undefined && begun < version !== (verb === 'downgrade')
  const what = begun && begun < version ? 'downgrade' : 'upgrade'
  if (begun && (otherWay || (begun !== to && to !== version))) return { code: 'move-begun', what, due: begun }
  const seen = observe(world)
  const asks = cancel ? 'downgrade --cancel' : verb
  const { found } = obstacleToMove(seen, asks)
  if (found || endsOnly(asks, begun)) return found
  const stop = whyNotMove(seen, verb, to)
  if (stop) return stop
  const off = recorded.find((host) => !world.hosts[host]?.up)
  if (off !== undefined) return { code: 'host-not-up', host: off }
  const full = recorded.find((host) => world.hosts[host]?.full)
  if (full !== undefined) return { code: 'disk-full', host: full, is: '' }
  return unreachable(world) ?? unfitIn(world)
}

/** The role restarts nobody beside a host that has lost its data. */
function mayMove(world: World, verb: 'upgrade' | 'downgrade', to: string): boolean {
  if (verb === 'upgrade' ? to < world.version : to > world.version) return false
  const isCancel = verb === 'downgrade' && to === world.version
  return !refusalOfMove(world, verb, to, isCancel) && !lostBeside(world, isCancel)
}

/** Who takes a move back keeps the backup that was made before it. */
const isBackedUp = (start: World, acts: Act[], to: string): boolean =>
  start.version === to || !hasQuorum(start) || acts.some((act) => act.do === 'back up')

const aimOfMove = ({ version, members }: Observation): string => `${version} ${members !== undefined}`

export const upgrade = (to: string): Verb => ({
  words: `upgrade ${to}`,
  rules: (seen) => upgradeRules(seen, to),
  aim: aimOfMove,
  coming: [],
  about: [],
  may: (world) => mayMove(world, 'upgrade', to),
  reached: (world, start, acts) => runsAll(world, to) && isBackedUp(start, acts, to),
})

export const downgrade = (to: string): Verb => ({
  words: `downgrade ${to}`,
  rules: (seen) => (seen.version === to && !seen.upgradingTo ? cancelRules : downgradeRules(seen, to)),
  aim: (seen) => `${aimOfMove(seen)} ${seen.upgradingTo}`,
  coming: [],
  about: [],
  may: (world) => mayMove(world, 'downgrade', to),
  reached: (world, start, acts) =>
    start.version === to && !start.upgradingTo
      ? !world.downgradingTo
      : runsAll(world, to) && isBackedUp(start, acts, to),
})
