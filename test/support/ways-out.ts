// A person who does what the tool names, on a cluster in memory: what verify finds first, what a refusal names, until
// verify is content; or the one honest end, that too much data is lost.
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import type { Action } from '../../tasks/core/remedy.ts'
import { type Finding, type Half, inRanking, waysOf } from '../../tasks/etcd/findings.ts'
import { majority, quorum } from '../../tasks/etcd/membership.ts'
import { findingOf } from '../../tasks/operations/carry-out.ts'
import type { Act } from '../../tasks/plans/types.ts'
import { verb as pkiVerb } from '../../tasks/verbs/pki.ts'
import { adoptByJoining, finish } from './adoption-in-memory.ts'
import { testCluster } from './cluster.ts'
import { dataOf, halfRestored, recover, restore } from './data-in-memory.ts'
import { memo } from './memo.ts'
import {
  awoken,
  cannotIssue,
  carriedOut,
  hasQuorum,
  lacksKey,
  observe,
  runningVoters,
  settledWith,
  type World,
  whyUnfit,
  withoutClosed,
} from './model.ts'
import { adopt, endOfRan, moveOf, pki, type Ran, refusalOfRole, up } from './role-in-memory.ts'
import { changeOf, rotateCa } from './rotations.ts'
import { isLeafDue, ofClient } from './trust.ts'
import {
  defrag,
  downgrade,
  lostBeside,
  othersOff,
  refusalOfMove,
  replace,
  replaceableIn,
  scale,
  unreachable,
  upgrade,
  withoutRoom,
} from './verbs-in-memory.ts'
import { refusalOf, type Step, type Verb, walk } from './walk.ts'
import { keyOf, kindOf } from './world-key.ts'

/** What came of an action: another world, or why not. */
type Outcome = { world: World } | { refused: Finding; world?: World } | 'the honest end' | undefined
/** Something that was done because of a finding. */
type Way = { way: Action[]; finding: Finding }
type Come = { world: World; refused?: Finding } | 'the honest end'

/** The shortest way out that was found from a world of that kind. */
const known = memo<string[]>(500_000)

/** The verbs that lead out of here, in their order, not more than `most`; undefined: a dead end. */
export const wayOut = (world: World, most: number): string[] | undefined => leadOut(world, new Set(), most)

function leadOut(world: World, been: Set<string>, left: number): string[] | undefined {
  const kind = kindOf(world)
  const before = known.get(kind)
  if (before && before.length <= left) return before
  const [first] = whatIsWrong(world)
  if (first && (left === 0 || been.has(kind))) return undefined
  const found = first ? follow(world, first, new Set([...been, kind]), left) : []
  if (found) known.set(kind, found)
  return found
}

/** Each way in its order, until one leads out. */
function follow(world: World, finding: Finding, been: Set<string>, left: number, again?: Way): string[] | undefined {
  for (const way of waysOf(clusterOf(world), finding, halfOf(world))) {
    const words = way.map(inText)
    const step = `${words.join(' && ')} ${kindOf(world)}`
    if (been.has(step)) continue
    const outcome = orAgain(allDone(world, way, finding), way, again)
    const beenThere = new Set([...been, step])
    if (outcome === 'the honest end') return words
    if (!outcome) continue
    const rest = outcome.refused
      ? left > 0 && follow(outcome.world, outcome.refused, beenThere, left - 1, { way, finding })
      : leadOut(outcome.world, beenThere, left - 1)
    if (rest) return [...words, ...rest]
  }
  return undefined
}

/** What is asked for by hand because a command was refused is followed by that command, as it says. */
function orAgain(outcome: Come | undefined, by: Action[], again?: Way): Come | undefined {
  if (!again || !outcome || outcome === 'the honest end' || outcome.refused) return outcome
  const isByHand = by.every((action) => 'byHand' in action)
  const then = isByHand ? allDone(outcome.world, again.way, again.finding) : undefined
  return then && then !== 'the honest end' && !then.refused ? then : outcome
}

const inText = (action: Action): string => Object.values(action).flat().join(' ')

/** One after the other, as a person pastes them, until one is refused. */
function allDone(world: World, way: Action[], finding: Finding): Come | undefined {
  let now = world
  for (const action of way) {
    const outcome = done(now, action, finding)
    if (!outcome || outcome === 'the honest end') return outcome
    if ('refused' in outcome) return { world: now, ...outcome }
    now = outcome.world
  }
  const replaces = way.some((action) => 'verb' in action && ['replace', 'scale'].includes(action.verb))
  return replaces && hasSound(world) && !hasSound(now) ? undefined : { world: now }
}

/** Whether any member has data that is as it was agreed: who replaces others must not lose the last of it. */
const hasSound = (world: World): boolean => dataOf(world).some((host) => !world.hosts[host]?.damaged)

/** What verify finds, first what is to be cured first; where it is content, what status warns of. */
function whatIsWrong(world: World): Finding[] {
  if (world.unrecorded) return [withoutRecord]
  const hosts = replacedIn(world)
  const begun = moveOf(world)
  const [changing, restored] = [changeOf(world), halfRestored(world)]
  const half: Finding[] = [
    ...(begun ? [begun] : []),
    ...(restored ? [restored] : []),
    ...(hosts.length > 0 ? [{ code: 'half-replaced', hosts } as const] : []),
    ...(world.scaling ? [{ code: 'half-scaled', hosts: world.scaling } as const] : []),
    ...(changing ? [changing] : []),
  ]
  return [...inRanking([...observe(world).findings, ...differing(world), ...stale(world)]), ...half]
}

/** While the authority is changed: certificates here that are due, and ports that serve others; only verify looks. */
function stale(world: World): Finding[] {
  const { trust, recorded, hosts } = world
  if (!trust || world.here) return []
  const due = [...recorded, ofClient].filter((host) => isLeafDue(trust, host))
  const others = recorded.filter((host) => hosts[host]?.running && trust.hosts[host]?.leaf !== trust.leaves[host])
  return [
    ...due.map((what): Finding => ({ code: 'certificate-due', what, host: what || undefined, reason: '' })),
    ...others.map((host): Finding => ({ code: 'other-certificate', host, port: 2379, due: '' })),
  ]
}

/** Members whose data is not what most have; only verify compares them, where nothing keeps it from asking. */
function differing(world: World): Finding[] {
  const { recorded, hosts, alarms = [] } = world
  const voting = runningVoters(world)
    .map(({ host }) => host)
    .filter((host) => recorded.includes(host))
  if (!hasQuorum(world) || alarms.some(({ kind }) => kind === 'CORRUPT')) return []
  const hashes = voting.map((host) => hosts[host]?.damaged ?? 'right')
  const most = majority(hashes)
  const differ = voting.filter((_, at) => hashes[at] !== most)
  return differ.map((host): Finding => ({ code: 'other-data', host, is: '', most, hosts: differ }))
}

/** As every verb refuses, but adopt. */
const withoutRecord: Finding = { code: 'no-record', name: '', at: '', what: '' }

/** As beingReplaced: a note about a host that is gone says nothing. */
const replacedIn = ({ replacing, recorded }: World): string[] =>
  Object.keys(replacing).filter((host) => recorded.includes(host))
const halfOf = (world: World): Half => ({
  replaced: replacedIn(world),
  scaledTo: world.scaling,
  changing: world.trust?.old !== undefined,
})

const made = testCluster()
const asHost = (name: string, foreign = false): Host => {
  const urls = { clientURL: `https://${name}:2379`, peerURL: `https://${name}:2380` }
  return { name, address: name, ...urls, ...(foreign && { foreign: urls }) }
}
const clusterOf = ({ version, upgradingTo, begun, unrecorded, recorded, hosts }: World): Cluster => ({
  ...made,
  ...(begun?.joining && { hosts: recorded.map((name) => asHost(name, hosts[name]?.foreign)) }),
  ...(unrecorded && { provider: 'ssh' }), // no other hosts can be taken up again
  formed: true,
  begun,
  etcd: { ...made.etcd, version, upgradingTo },
})

function done(world: World, action: Action, { code, host = '' }: Finding): Outcome {
  if ('byHand' in action) return byPerson(world, action.byHand, code, host)
  if ('etcdctl' in action) return byEtcdctl(world, action.etcdctl)
  const { verb, words } = action
  if (verb === 'adopt' && world.begun?.joining && !world.unrecorded)
    return outcomeOf(world, words.includes('--finish') ? finish(world) : adoptByJoining(world))
  if (world.unrecorded) return withLostRecord(world, verb, code)
  const half = halfRestored(world)
  const goesOn =
    (verb === 'defrag' && defrag.evenHalfDone?.(world)) ||
    (verb === 'replace' && words.every((host) => replaceableIn(world).includes(host)))
  if (half && !goesOn && !['verify', 'restore', pkiVerb.evenHalfDone && 'pki', world.begun?.verb].includes(verb))
    return { refused: half }
  const to = words[words.indexOf('--etcd-version') + 1] ?? ''
  switch (verb) {
    case 'up':
    case 'etcd-role':
      return outcomeOf(world, up(world, verb === 'up'))
    case 'pki':
      return outcomeOf(world, pki(world, words.includes('--from-hosts')))
    case 'rotate-ca':
      return outcomeOf(world, rotateCa(world, words.includes('--back')))
    case 'vms':
      return { world: awoken(world) }
    case 'verify':
      return { world }
    case 'replace':
      return replaced(world, words)
    case 'scale':
      return scaled(world, Number(words.at(-1)) || world.recorded.length)
    case 'recover':
      return outcomeOf(world, recover(world, words[words.indexOf('--from') + 1] ?? ''))
    case 'defrag':
      return carried(world, defrag)
    case 'upgrade':
    case 'downgrade':
      return moved(world, verb, words.includes('--cancel') ? world.version : to, words.includes('--cancel'))
    case 'restore':
      if (world.begun?.verb === 'restore') return outcomeOf(world, restore(world))
      return isLost(world) || world.begun ? 'the honest end' : undefined
    default:
      return undefined
  }
}

/** Every verb but adopt refuses; where no host has data, adopt names before restore how an empty cluster is made. */
function withLostRecord(world: World, verb: string, code: string): Outcome {
  if (verb === 'adopt') return outcomeOf(world, adopt(world))
  return verb === 'restore' && code === 'all-data-lost' ? 'the honest end' : { refused: withoutRecord }
}

/** Of a list of steps: where it ends. */
function outcomeOf(world: World, ran: Ran): { world: World } | { refused: Finding; world: World } {
  const end = endOfRan(ran, world)
  return ran.refused ? { refused: ran.refused, world: end } : { world: end }
}

/** What only a person can do: also by the role's own words, where its checks refuse a host. */
function byPerson(world: World, what: string, code: string, host: string): Outcome {
  const at = world.hosts[host]
  if (world.begun?.joining && what.includes('by the means that')) return { world: withOldStarted(world) }
  if (what.includes('as a cluster of another name'))
    return isQuorumLost(world) || (hasQuorum(world) && isLost(world)) ? 'the honest end' : undefined
  if (code === 'authority-key-closed') return what.includes('aside') ? { world: withoutClosed(world) } : undefined
  if (code === 'member-frozen' && at?.frozen) return { world: changed(world, host, { frozen: false }) }
  const stranger = world.members.find((member) => member.host === 'stranger')?.id
  if (code === 'members-differ' && stranger) return byEtcdctl(world, ['member', 'remove', stranger])
  if (code === 'tls-refused' && at?.late) return { world: changed(world, host, { late: false }) }
  if (code.startsWith('disk-') && at?.full) return { world: changed(world, host, { full: false }) }
  if (what.includes('its certificates') && ['foreign', 'gone'].includes(at?.certificates ?? ''))
    return { world: changed(world, host, { certificates: 'gone' }) }
  if (
    what.includes('from your copy') &&
    ['no client', 'no certificates'].includes(world.here ?? '') &&
    !lacksKey(world)
  )
    return { world: { ...world, here: undefined } }
  if (code === 'ends' && at && (!at.up || (world.unrecorded && !at.running))) return startedBy(world, host)
  if (code !== 'ends' || !(at?.full || whyUnfit(at) || at?.certificates === 'foreign')) return undefined
  if (at?.late || at?.full) return { world: changed(world, host, { late: false, full: false }) }
  // "Issue it again", it says of those that are not valid
  return whyUnfit(at) ? outcomeOf(world, pki(world)) : { world: changed(world, host, { certificates: 'renewed' }) }
}

/** Too few of those that vote have their data. */
function isQuorumLost({ members, hosts }: World): boolean {
  const voters = members.filter(({ learner }) => !learner)
  return voters.filter(({ host, id }) => hosts[host]?.data === id).length < quorum(voters.length)
}

/** Whoever set up the members of another tool's starts those that have their data. */
const withOldStarted = (world: World): World =>
  settledWith(world, (host) => (host.foreign && host.up && host.data !== undefined ? { ...host, running: true } : host))

/** The host is brought back; without a record a person starts its etcd, and mends before what keeps it from that. */
function startedBy(world: World, host: string): Outcome {
  const ready = world.unrecorded ? changed(world, host, { full: false }) : world
  return { world: { ...awoken({ ...ready, recorded: [host] }), recorded: world.recorded } }
}

const changed = (world: World, host: string, change: Partial<World['hosts'][string]>): World =>
  settledWith(world, (one, name) => (name === host ? { ...one, ...change } : one))

function byEtcdctl(world: World, words: string[]): Outcome {
  const [last = '', verb] = [...words].reverse()
  if (verb === 'auth' && last === 'disable') return { world: { ...world, auth: false } }
  const host = world.members.find((member) => member.id === last)?.host ?? ''
  const act: Act | undefined =
    verb === 'remove' ? { do: 'remove member', host, id: last } : verb === 'alarm' ? { do: 'disarm' } : undefined
  const then = act ? carriedOut(world, act) : world
  return typeof then === 'string' || then === world ? undefined : { world: forget(then) }
}

/** Too much data is gone, or nobody can say which is right. */
const isLost = (world: World): boolean =>
  dataOf(world).length < quorum(world.members.length) ||
  !runningVoters(world).some(({ host }) => !world.hosts[host]?.damaged) ||
  differing({ ...world, alarms: [] }).some((finding) => finding.code === 'other-data' && finding.most === undefined)

const forget = (world: World): World => ({ ...world, done: [] })

/** What comes of a verb; what the verb would forget then is forgotten. */
function carried(world: World, verb: Verb): Outcome {
  const refused = refusalOf(world, verb)
  if (refused) return { refused }
  const first = walk(world, verb)
  const end = lastOf(first)
  const stop = first.obstacle ?? end.obstacle
  if (stop) return stop.code === 'refused' ? undefined : { refused: findingOf(stop, observe(world)) }
  if (end.refused) return { refused: end.refused, world: forget(end.world) }
  return first.broken ? undefined : { world: { ...forget(end.world), replacing: {}, scaling: undefined } }
}

function lastOf(step: Step): Step {
  let last = step
  while (last.next) last = last.next
  return last
}

function replaced(world: World, hosts: string[]): Outcome {
  if (!hosts.every((host) => world.recorded.includes(host))) return undefined
  if (world.recorded.length === 1) return { refused: { code: 'only-member', host: hosts[0] ?? '', name: 'x' } }
  const verb = replace(...hosts)
  const refused =
    refusalOf(world, verb) ??
    othersOff(world, hosts) ??
    unreachable(world) ??
    withoutRoom(world, hosts) ??
    cannotIssue(world)
  return refused ? { refused } : carried(world, verb)
}

function scaled(world: World, count: number): Outcome {
  const lacks = cannotIssue({ ...world, here: world.here ?? (world.recorded.length < count ? 'no client' : undefined) })
  const refused = moveOf(world) ?? refusalOf(world, scale(count)) ?? unreachable(world) ?? lacks
  return refused ? { refused } : carried(world, scale(count))
}

function moved(world: World, verb: 'upgrade' | 'downgrade', to: string, cancel: boolean): Outcome {
  const refused =
    refusalOfMove(world, verb, to, cancel) ??
    (lostBeside(world, cancel) && (refusalOfRole(world) ?? { code: 'no-quorum' }))
  return refused ? { refused } : carried(world, verb === 'upgrade' ? upgrade(to) : downgrade(to))
}

/** For a dead end: what was tried, and why it does not help. */
export function trail(world: World, depth = 0, [finding] = whatIsWrong(world)): string[] {
  if (!finding || depth > 3) return []
  const said = (all: Finding[]): string => all.map(({ code, host = '' }) => `${code} ${host}`.trim()).join(', ')
  return waysOf(clusterOf(world), finding, halfOf(world)).flatMap((way) => {
    const outcome = allDone(world, way, finding)
    const told = `${'  '.repeat(depth)}${said([finding])}: ${way.map(inText).join(' && ')}:`
    if (!outcome || outcome === 'the honest end') return [`${told} ${outcome ?? 'does nothing'}`]
    if (outcome.refused)
      return [`${told} refused, ${said([outcome.refused])}`, ...trail(outcome.world, depth + 1, [outcome.refused])]
    const isSame = keyOf(outcome.world) === keyOf(world)
    return [`${told} then ${said(whatIsWrong(outcome.world))}`, ...(isSame ? [] : trail(outcome.world, depth + 1))]
  })
}
