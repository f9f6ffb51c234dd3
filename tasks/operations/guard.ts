// What must hold before an operation begins: it refuses with the first that is wrong, by the ranking of the findings,
// and changes nothing.
import type { Cluster } from '../core/cluster.ts'
import { run } from '../core/run.ts'
import { commonNames } from '../etcd/certificates.ts'
import { keepsUsOut } from '../etcd/etcdctl.ts'
import { type Code, type Finding, firstCuredBy, inRanking, rankOf, refusal } from '../etcd/findings.ts'
import { look, type Scope } from '../observe/look.ts'
import type { Moves } from '../plans/scale.ts'
import type { Observation } from '../plans/types.ts'
import * as vms from '../vms/index.ts'

export interface GuardOptions {
  /** The verb that asks, with its flags: it tolerates what it cures, and what ranks below that. */
  verb?: string
  /** Hosts that may be down or out of the cluster: the operation is about them. The others must then still commit. */
  allowDown?: string[]
  /** What does not stop it, though it does not cure it. */
  allow?: Code[]
  /** A member of the present version is to join, or to get the next one: no downgrade may be enabled. */
  joins?: boolean
}

/** How replace and scale ask. */
export const ofReplace = (hosts: string[]): GuardOptions => ({ verb: 'replace', allowDown: hosts, joins: true })
export const ofScale = ({ coming, leaving }: Moves): GuardOptions => ({
  verb: 'scale',
  allowDown: [...coming, ...leaving],
  joins: true,
})

/**
 * Proves that the cluster is healthy enough to be worked on: every host answers with a certificate that we trust and
 * commits, all members are started, none is a learner or a stranger, all know one leader, and no alarm is raised.
 * @throws OperationError with the reason and the command that helps
 */
export async function requireHealthy(cluster: Cluster, options: GuardOptions = {}): Promise<void> {
  refuseUnhealthy(cluster, await lookFirst(cluster), options)
}

/** What is there before an operation begins. Keepers that are gone are started before. */
export async function lookFirst(cluster: Cluster, scope: Scope = { membersOnly: true }): Promise<Observation> {
  if (run().writes) await vms.mendKeepers(cluster)
  const seen = await look(cluster, scope)
  // Beside damaged data it is told first: to lower the alarm, and only then to be kept out, would serve damaged data.
  const answers = seen.members !== undefined || seen.findings.some(({ code }) => code === 'corrupt')
  const isOut = answers && (await keepsUsOut(cluster))
  return isOut ? { ...seen, findings: [...seen.findings, { code: 'auth-enabled', name: commonNames.client }] } : seen
}

/** Where something else than a new cluster helps. @throws OperationError */
export async function refuseCurable(cluster: Cluster, from: string | undefined): Promise<void> {
  const { findings } = await lookFirst(cluster)
  refuse(cluster, curable(findings, from))
}

/** An alarm of damaged data; or that members hang which would be a quorum, unless a person names who goes on. Pure. */
export function curable(findings: Finding[], from: string | undefined): Finding | undefined {
  const of = (code: Code): Finding | undefined => findings.find((one) => one.code === code)
  return of('corrupt') ?? (from || of('no-quorum') ? undefined : of('member-frozen'))
}

/** As requireHealthy, by what was seen. */
export const refuseUnhealthy = (cluster: Cluster, seen: Observation, options: GuardOptions): void =>
  refuse(cluster, obstacle(seen, options))

/** @throws OperationError where there is an obstacle */
export function refuse(cluster: Cluster, found: Finding | undefined): void {
  if (found) throw refusal(cluster, found, `${cluster.name} is not healthy enough, and nothing was changed: `)
}

/** The first thing that is wrong and not tolerated; undefined where nothing is. Pure. */
export function obstacle(
  { findings, hosts, recorded }: Pick<Observation, 'findings' | 'hosts' | 'recorded'>,
  options: GuardOptions,
): Finding | undefined {
  const { allowDown = [] } = options
  const silent = recorded.filter((host) => !hosts[host]?.answer)
  // about all of them: those that are up must be well
  const isAboutAll = recorded.every((host) => allowDown.includes(host))
  const about = isAboutAll ? (silent.length < recorded.length ? silent : []) : allowDown
  return firstOf(findings, { ...options, allowDown: about })
}

/**
 * What keeps members from a move to another etcd, and who may be down. One that was begun goes on where no quorum
 * commits, but not beside damaged data, nor where nobody could be asked; who ends a downgrade makes way for the cure
 * of what is down. Pure.
 */
export function obstacleToMove(seen: Observation, verb: string): { found: Finding | undefined; down: string[] } {
  const { findings, recorded, hosts, members, upgradingTo } = seen
  const mayBeDown = upgradingTo !== undefined || verb === 'downgrade --cancel'
  const down = mayBeDown ? recorded.filter((host) => !hosts[host]?.answer) : []
  // with a full database, too: it is cured once all run
  const allow: Code[] = down.length > 0 ? ['no-space', 'takes-no-writes', 'tls-refused'] : []
  const asks = { verb: upgradingTo ? '' : verb, allowDown: down, allow, joins: verb === 'upgrade' }
  const isAsked = !upgradingTo || members || findings.some(({ code }) => code === 'corrupt' || isOfHere(code))
  return { found: isAsked ? obstacle(seen, asks) : undefined, down }
}

/** Whether only what is enabled in the cluster ends: no host is touched, and one may have lost its data. */
export const endsOnly = (verb: string, begun: string | undefined): boolean =>
  verb === 'downgrade --cancel' && begun === undefined

/** What is wrong on this machine, so that no member was asked: that says nothing of a quorum. */
const isOfHere = (code: Code): boolean => rankOf(code) <= rankOf('no-client-certificate')

/** What stops an operation though it is about the host: by a wrong clock a new member would be cut off, too. */
const ofAnyHost: Code[] = [
  'tls-refused',
  'no-quorum',
  'other-name',
  'other-peer-url',
  'other-client-url',
  'corrupt',
  'no-space',
]

/** The first in the ranking that stops an operation. */
export const firstOf = (findings: Finding[], options: GuardOptions): Finding | undefined =>
  inRanking(findings).find((finding) => !isTolerated(finding, options))

function isTolerated({ code, host = '' }: Finding, options: GuardOptions): boolean {
  const { verb = '', allowDown = [], allow = [], joins = false } = options
  const isAbout = allowDown.includes(host)
  if (allow.includes(code) || (isAbout && !ofAnyHost.includes(code))) return true
  if (code === 'mixed-versions' || (code === 'downgrade-enabled' && !joins)) return true
  const [rank, cured] = [rankOf(code), firstCuredBy(verb)]
  return rank > cured || (rank === cured && (isAbout || allowDown.length === 0))
}
