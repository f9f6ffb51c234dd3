// adopt by joining, on a cluster in memory: hosts of ours join members of another tool's, which go then.
import type { Begun, Host } from '../../tasks/core/cluster.ts'
import { type Finding, inRanking } from '../../tasks/etcd/findings.ts'
import { obstacles } from '../../tasks/operations/adopt-look.ts'
import { downAmong, isWayBack, toReplace } from '../../tasks/operations/adopt-rules.ts'
import { memberOn, votes } from '../../tasks/plans/members.ts'
import { joinRules, leaveRules, movesTo, scaleRules } from '../../tasks/plans/scale.ts'
import type { Observation } from '../../tasks/plans/types.ts'
import { ranBy } from './data-in-memory.ts'
import { awoken, healthy, isForeign, observe, settledWith, type World } from './model.ts'
import { endOfRan, type Ran, role } from './role-in-memory.ts'
import { verified } from './rotations.ts'
import { all, unfitIn, unreachable } from './verbs-in-memory.ts'
import type { Verb } from './walk.ts'

/** So many members of another tool's, and hosts of ours, from h1 on, that are to take their place. */
export function adopting(foreign: number, ours: number, strict: boolean): World {
  const world = healthy(foreign, strict)
  const hosts = Array.from({ length: ours }, (_, at) => `h${foreign + at + 1}`)
  const begun: Begun = { verb: 'adopt', joining: foreign, hosts: hosts.map((name) => ({ name, address: name })) }
  return { ...settledWith(world, (host) => ({ ...host, foreign: true })), begun }
}

const oursIn = ({ begun }: World): string[] => (begun?.hosts ?? []).map(({ name }) => name)
const oldIn = (world: World): string[] => world.recorded.filter((host) => isForeign(world, host))
const isAdopting = ({ begun }: World): boolean => begun?.verb === 'adopt'

/** The hosts of ours, as a verb is told of them by their number; and that they take the place of so many. */
interface Aim {
  old: string[]
  ours: string[]
}

/** Who the members are at the first look, and who of them votes. */
const aimOf = (seen: Observation, wanted: string[]): string =>
  JSON.stringify([
    wanted,
    movesTo(seen, wanted),
    seen.recorded.map((host) => [memberOn(seen, host), votes(seen, host)]),
  ])

/** The plan of `adopt`: all of ours join; then, unless these are kept, the old ones go. */
const join = ({ old, ours }: Aim, keepOld: boolean): Verb => ({
  words: keepOld ? 'adopt --keep-old' : 'adopt',
  rules: (seen) => joinRules(seen, ours, keepOld),
  aim: (seen) => aimOf(seen, ours),
  coming: ours,
  about: [],
  may: (world) =>
    isAdopting(world) && all(ours, oursIn(world)) && !startOurs(world).refused && startOurs(world).lost.length === 0,
  evenHalfDone: isAdopting,
  reached: ({ recorded, members }) => {
    const due = keepOld ? [...old, ...ours].filter((host) => recorded.includes(host)) : ours
    return (
      all(ours, recorded) && all(recorded, due) && members.every(({ host, learner }) => !learner && due.includes(host))
    )
  },
})

/** The plan of `adopt --back`. */
const back = ({ old, ours }: Aim): Verb => ({
  words: 'adopt --back',
  rules: (seen) => scaleRules(seen, old),
  aim: (seen) => aimOf(seen, old),
  coming: [],
  about: [],
  may: (world) => isAdopting(world) && all(ours, oursIn(world)) && isWayBack(world, oldIn(world), observe(world)),
  evenHalfDone: isAdopting,
  reached: ({ recorded, members }) => all(recorded, old) && members.length === old.length,
})

export function adoptions(foreign: number, ours: number): Verb[] {
  const hosts = Array.from({ length: foreign + ours }, (_, at) => `h${at + 1}`)
  const aim = { old: hosts.slice(0, foreign), ours: hosts.slice(foreign) }
  return [join(aim, true), join(aim, false), back(aim)]
}

/** As operations/adopt-start.ts. */
function startOurs(world: World): Ran & { lost: string[] } {
  const ours = oursIn(world)
  const down = downAmong(observe(world, ours), ours)
  if (down.length === 0) return { worlds: [], lost: [] }
  const there = awoken(world)
  const lost = down.filter((host) => there.hosts[host]?.data === undefined)
  const refused = unreachable(there) ?? unfitIn({ ...there, recorded: down.filter((host) => !lost.includes(host)) })
  return { worlds: [there], refused, lost: toReplace(observe(there), lost) }
}

const lostData = (hosts: string[]): Finding => ({
  code: 'data-lost',
  host: hosts[0] ?? '',
  hosts,
  detail: '',
  remedy: '',
})

/** The old ones that go before one of ours is replaced. */
const leave = (aim: Aim, keepOld: boolean): Verb => ({
  ...join(aim, keepOld),
  words: 'leave',
  rules: (seen) => leaveRules(seen, aim.ours, keepOld),
  aim: (seen) => `${keepOld} ${aimOf(seen, aim.ours)}`,
})

/** `adopt`, to its end. */
export function adoptByJoining(world: World, keepOld = false): Ran {
  if (!isAdopting(world)) return { worlds: [] }
  const { lost, ...started } = startOurs(world)
  if (started.refused) return started
  const there = endOfRan(started, world)
  const aim = { old: oldIn(there), ours: oursIn(world) }
  const joined = ranBy(there, lost.length > 0 ? leave(aim, keepOld) : join(aim, keepOld))
  const worlds = [...started.worlds, ...joined.worlds]
  const refused = joined.refused ?? (lost.length > 0 ? lostData(lost) : undefined)
  if (refused || keepOld) return { worlds, refused }
  const now = { ...(worlds.at(-1) ?? world), done: [] }
  const inStep = role(now)
  worlds.push(...inStep.worlds)
  if (inStep.refused) return { worlds, refused: inStep.refused }
  const begun: Begun = { verb: 'adopt', ...now.begun, taken: true }
  return { worlds: [...worlds, { ...(worlds.at(-1) ?? now), begun, replacing: {} }] }
}

/** `adopt --finish`: certificates are not told apart here. */
export function finish(world: World): Ran {
  if (!isAdopting(world)) return { worlds: [] }
  const left = oldIn(world).length > 0 || !all(oursIn(world), world.recorded)
  if (left) return { worlds: [], refused: { code: 'half-restored', what: 'adopt', name: 'x' } }
  const { lost, ...started } = startOurs(world)
  const there = endOfRan(started, world)
  const own = there.recorded.map((name) => ({ name }) as Host)
  const [wrong] = inRanking(obstacles(observe(there), own))
  const empty = there.recorded.filter((host) => there.hosts[host]?.data === undefined)
  const found = wrong ?? unreachable(there) ?? (empty.length > 0 ? lostData(empty) : undefined)
  const refused = started.refused ?? (lost.length > 0 ? lostData(lost) : found)
  if (refused) return { worlds: started.worlds, refused }
  const ran = verified(role(there), there)
  const worlds = [...started.worlds, ...ran.worlds]
  return {
    worlds: ran.refused ? worlds : [...worlds, { ...endOfRan(ran, there), begun: undefined }],
    refused: ran.refused,
  }
}
