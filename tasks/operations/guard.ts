// What must hold before an operation begins: it refuses with the first that is wrong, by the ranking of the findings,
// and changes nothing.
import type { X509Certificate } from 'node:crypto'
import type { Cluster, Host } from '../core/cluster.ts'
import { run, sleep } from '../core/run.ts'
import { authorityCertificate, isSignedBy, trustedAuthorities } from '../etcd/certificates.ts'
import {
  type Alarm,
  type Answer,
  alarmList,
  answerOf,
  type EndpointStatus,
  endpointHealth,
  endpointStatus,
  type Member,
  memberList,
} from '../etcd/etcdctl.ts'
import { commits } from '../etcd/etcdctl-output.ts'
import { type Code, type Finding, firstCuredBy, inRanking, rankOf, refusal } from '../etcd/findings.ts'
import { atTheDoor, hanging, ofAlarms, ofCertificates, ofLeaders, ofMembers } from '../etcd/judge.ts'
import { voters } from '../etcd/member-changes.ts'
import { quorum } from '../etcd/membership.ts'
import { type Identity, identityAt, type Probe, probeTLS } from '../etcd/probe.ts'
import { reachMembers } from '../etcd/reach.ts'
import * as vms from '../vms/index.ts'
import { enabledDowngrade } from './end-downgrade.ts'

export interface GuardOptions {
  /** The verb that asks, with its flags: it tolerates what it cures, and what ranks below that. */
  verb?: string
  /** Hosts that may be down or out of the cluster: the operation is about them. The others must then still commit. */
  allowDown?: string[]
  /** What does not stop it, though it does not cure it. */
  allow?: Code[]
}

const probeMs = 1500
const callMs = 5000
/**
 * Members that answer may be slow for a moment, or about to elect a leader: they are looked at again before they are
 * refused.
 */
const looks = 3

/**
 * Proves that the cluster is healthy enough to be worked on: every host answers with a certificate that we trust and
 * commits, all members are started, none is a learner or a stranger, all know one leader, and no alarm is raised.
 * @throws OperationError with the reason and the command that helps
 */
export async function requireHealthy(cluster: Cluster, options: GuardOptions = {}): Promise<void> {
  if (run().writes) await vms.mendKeepers(cluster)
  refuse(cluster, await obstacle(cluster, options))
}

/** While a downgrade is enabled, a new member of the present version cannot join. @throws OperationError */
export async function refuseWhileDowngrading(cluster: Cluster): Promise<void> {
  const due = await enabledDowngrade(cluster)
  if (due) refuse(cluster, { code: 'downgrade-enabled', due })
}

/** Where a quorum would be there if nobody hung. @throws OperationError */
export async function refuseHanging(cluster: Cluster): Promise<void> {
  const trusted = authorityCertificate(cluster) && trustedAuthorities(cluster)
  const client = identityAt(cluster, 'etcd-client')
  if (!trusted || !client) return
  const [, doors] = await knock(cluster, client, trusted, [])
  refuse(cluster, hanging(cluster.hosts, doors))
}

function refuse(cluster: Cluster, finding: Finding | undefined): void {
  if (finding) throw refusal(cluster, finding, `${cluster.name} is not healthy enough, and nothing was changed: `)
}

/** The first thing that is wrong and not tolerated; undefined where nothing is. */
async function obstacle(cluster: Cluster, options: GuardOptions): Promise<Finding | undefined> {
  const trusted = authorityCertificate(cluster) && trustedAuthorities(cluster)
  const client = identityAt(cluster, 'etcd-client')
  if (!trusted || !client) return ofCertificates(cluster)
  await reachMembers(cluster)
  const [asked, doors] = await knock(cluster, client, trusted, options.allowDown ?? [])
  const shut = firstOf(doors, options)
  if (shut) return (await isOneOfMany(cluster, shut)) ? whyNobodyCommits(cluster) : shut
  for (let look = 1; ; look++) {
    const found = firstOf(findingsOf(cluster.hosts, asked, await ask(cluster, asked, callMs * look)), options)
    if (!found || look === looks) return found
    await sleep(500)
  }
}

/** The hosts that are to be asked, and what stands in the way. */
async function knock(
  cluster: Cluster,
  client: Identity,
  trusted: X509Certificate[],
  allowDown: string[],
): Promise<[Host[], Finding[]]> {
  const { clientPort: port } = cluster.etcd
  const probed = async (host: Host): Promise<{ host: Host; probe: Probe }> => ({
    host,
    probe: await probeTLS(host.address, port, client, '/version', probeMs),
  })
  const others = cluster.hosts.filter(({ name }) => !allowDown.includes(name))
  const all = await Promise.all((others.length > 0 ? others : cluster.hosts).map(probed))
  // about all of them: those that are up must be well
  const up = others.length > 0 ? [] : all.filter(({ probe }) => probe.kind === 'answered')
  const asked = up.length > 0 ? up : all
  return [
    asked.map(({ host }) => host),
    asked.flatMap(({ host, probe }) => [...foreign(host, port, probe, trusted), ...atTheDoor(host, port, probe)]),
  ]
}

function foreign({ name }: Host, port: number, { served }: Probe, trusted: X509Certificate[]): Finding[] {
  if (!served || trusted.some((authority) => isSignedBy(served, authority))) return []
  return [{ code: 'other-authority', host: name, port, is: served.issuer.split('\n').join(', ') }]
}

/** Whether a member that does not answer is not alone in that: then nobody commits. */
const isOneOfMany = async (cluster: Cluster, { code }: Finding): Promise<boolean> =>
  code === 'member-down' && (await voters(cluster)).length === 0

/** With damaged data somewhere nobody commits, however many run. */
async function whyNobodyCommits(cluster: Cluster): Promise<Finding> {
  const { hosts } = cluster
  const [alarms, members] = await Promise.all([
    answerOf('', () => alarmList(cluster)),
    answerOf('', () => memberList(cluster)),
  ])
  const raised = alarms.ok ? ofAlarms(hosts, members.ok ? members.value : [], alarms.value) : []
  const reason = `${quorum(hosts.length)} of ${hosts.length} members must work together, and none commits`
  return raised.find(({ code }) => code === 'corrupt') ?? { code: 'no-quorum', reason }
}

/** What hosts and the cluster as a whole answered; the hosts' answers in their order. */
export interface Answers {
  health: Answer<unknown>[]
  statuses: Answer<EndpointStatus>[]
  members: Answer<Member[]>
  alarms: Answer<Alarm[]>
}

async function ask(cluster: Cluster, hosts: Host[], timeoutMs: number): Promise<Answers> {
  const asked = { endpoints: hosts.map(({ clientURL }) => clientURL), timeoutMs }
  const [health, statuses, members, alarms] = await Promise.all([
    endpointHealth(cluster, asked),
    endpointStatus(cluster, asked),
    answerOf('', () => memberList(cluster, asked)),
    answerOf('', () => alarmList(cluster, asked)),
  ])
  return { health, statuses, members, alarms }
}

/** What keeps a cluster of these hosts from being worked on, by what those that were asked answered. Pure. */
export function findingsOf(hosts: Host[], asked: Host[], { health, statuses, members, alarms }: Answers): Finding[] {
  const unknown = (what: string, answer: Answer<unknown>): Finding[] =>
    answer.ok ? [] : [{ code: 'no-quorum', reason: `${what} cannot be listed: ${answer.reason}` }]
  const raised = alarms.ok ? ofAlarms(hosts, members.ok ? members.value : [], alarms.value) : []
  // with damaged data somewhere nobody answers a read, and a learner never does
  const isCorrupt = raised.some(({ code }) => code === 'corrupt')
  const known: { name: string; status: EndpointStatus }[] = []
  const ailing: Finding[] = []
  for (const [index, { name: host }] of asked.entries()) {
    const [does, status] = [health[index], statuses[index]]
    if (status?.ok) known.push({ name: host, status: status.value })
    else ailing.push({ code: 'call-fails', host, what: 'status', reason: status?.reason ?? 'nobody asked' })
    const mayFail = isCorrupt || (status?.ok && status.value.isLearner)
    if (does && !does.ok && !commits(does) && !mayFail)
      ailing.push({ code: 'commits-nothing', host, reason: does.reason })
  }
  return [
    ...unknown('the members', members),
    ...unknown('the alarms', alarms),
    ...ailing,
    ...(members.ok ? ofMembers(hosts, members.value) : []),
    ...ofLeaders(known),
    ...raised,
  ]
}

/** A host that an operation is about may be like this. */
const mayBeOut: Code[] = ['member-missing', 'unstarted-member', 'learner-left']

/** The first in the ranking that stops an operation. */
export const firstOf = (findings: Finding[], options: GuardOptions): Finding | undefined =>
  inRanking(findings).find((finding) => !isTolerated(finding, options))

function isTolerated({ code, host = '' }: Finding, { verb = '', allowDown = [], allow = [] }: GuardOptions): boolean {
  const isAbout = allowDown.includes(host)
  if (allow.includes(code) || (isAbout && mayBeOut.includes(code))) return true
  const [rank, cured] = [rankOf(code), firstCuredBy(verb)]
  return rank > cured || (rank === cured && (isAbout || allowDown.length === 0))
}
