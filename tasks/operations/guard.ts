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
  const isOut = seen.members !== undefined && (await keepsUsOut(cluster))
  return isOut ? { ...seen, findings: [...seen.findings, { code: 'auth-enabled', name: commonNames.client }] } : seen
}

/** Where a quorum would be there if nobody hung. @throws OperationError */
export async function refuseHanging(cluster: Cluster): Promise<void> {
  const { findings } = await lookFirst(cluster)
  const hung = findings.find(({ code }) => code === 'member-frozen')
  if (hung && !findings.some(({ code }) => code === 'no-quorum'))
    throw refusal(cluster, hung, `${cluster.name} is not healthy enough, and nothing was changed: `)
}

/** As requireHealthy, by what was seen. */
export function refuseUnhealthy(cluster: Cluster, seen: Observation, options: GuardOptions): void {
  const found = obstacle(seen, options)
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

/** What stops an operation though it is about the host. */
const ofAnyHost: Code[] = ['no-quorum', 'other-name', 'other-peer-url', 'other-client-url', 'corrupt', 'no-space']

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
