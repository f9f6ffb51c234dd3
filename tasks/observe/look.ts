// One look at who the members are and how they do: over TLS at the members, and at the hosts where an act touched them.
import { existsSync, readdirSync } from 'node:fs'
import type { Cluster, Host } from '../core/cluster.ts'
import { compareVersions } from '../core/programs.ts'
import { replacing } from '../core/record.ts'
import { clock, sleep } from '../core/run.ts'
import { findEtcd } from '../etcd/binaries.ts'
import { leaves } from '../etcd/certificates.ts'
import {
  alarmList,
  type EndpointStatus,
  endpointHealth,
  endpointStatus,
  type Member,
  memberList,
} from '../etcd/etcdctl.ts'
import { commits, says } from '../etcd/etcdctl-output.ts'
import { refusal } from '../etcd/findings.ts'
import { ofAlarms } from '../etcd/judge.ts'
import { memberOf } from '../etcd/membership.ts'
import { type RunningVersion, runningVersions } from '../etcd/versions.ts'
import type { Act, Answer, HostSeen, MemberSeen, Observation } from '../plans/types.ts'
import * as vms from '../vms/index.ts'

/** What was seen before, and what was done since: of hosts that the act did not touch, what was known stays known. */
export interface Since {
  seen: Observation
  act: Act
}

/** What there is to look at besides the recorded members. */
export interface Scope {
  /** Hosts that are to be members, and are recorded by nobody yet. */
  coming?: Host[]
  /** Nothing but what members say: no host is asked whether it is up. */
  membersOnly?: boolean
  /** The hosts whose etcd was just seen to answer, or may just be starting; and how long it is waited for, in ms. */
  up?: string[]
  patienceMs?: number
  /** A version to move to. */
  version?: string
}

/** Members that answer may be about to elect a leader, or slow for a moment: they are looked at again, so long (ms). */
const patienceMs = 10_000

/** What is there now, of what is in scope. */
export async function look(cluster: Cluster, scope: Scope = {}, since?: Since): Promise<Observation> {
  const up = whoAnswers(scope, since)
  for (const deadline = clock() + (scope.patienceMs ?? patienceMs); ; await sleep(300)) {
    const seen = await lookOnce(cluster, scope, since)
    if ((isSettled(seen, scope) && up.every((host) => seen.hosts[host]?.answer)) || clock() > deadline) return seen
  }
}

/** Whether everybody who answers follows a leader, and every voter that answers commits; with all that is asked. */
function isSettled({ hosts, members, leader }: Observation, { version }: Scope): boolean {
  const answers = Object.values(hosts).flatMap(({ answer }) => (answer ? [answer] : []))
  return (
    (members === undefined || leader !== undefined) &&
    answers.every(
      ({ follows, commits, learner, works }) => follows && (commits || learner) && (!version || works !== undefined),
    )
  )
}

/** Everybody who answered before, or was started since: one missed call makes nobody lost. */
function whoAnswers({ up = [] }: Scope, since: Since | undefined): string[] {
  if (!since) return up
  const { seen, act } = since
  const stopped = ['set aside', 'remove member', 'remove host'].includes(act.do) && 'host' in act ? act.host : ''
  const started = act.do === 'start learner' ? [act.host] : []
  const before = Object.keys(seen.hosts).filter((host) => seen.hosts[host]?.answer && host !== stopped)
  return [...before, ...started]
}

async function lookOnce(cluster: Cluster, scope: Scope, since: Since | undefined): Promise<Observation> {
  const { coming = [] } = scope
  const fresh = coming.filter(({ name }) => !cluster.hosts.some((host) => host.name === name))
  const hosts = [...cluster.hosts, ...fresh]
  const endpoints = hosts.map(({ clientURL }) => clientURL)
  const [health, statuses, ready, running, programs] = await Promise.all([
    endpointHealth(cluster, { endpoints }),
    endpointStatus(cluster, { endpoints }),
    readiness(cluster, scope, since),
    scope.version ? runningVersions(cluster) : [],
    scope.version ? findEtcd({ ...cluster, etcd: { ...cluster.etcd, version: scope.version } }) : undefined,
  ])
  const able = health.filter(commits).map(({ endpoint }) => endpoint)
  if (able.length === 0 && health.some((one) => !one.ok && says.corrupt(one.reason))) await refuseCorrupt(cluster)
  const members = able.length > 0 ? await memberList(cluster, { endpoints: able }).catch(() => undefined) : undefined
  const known = statuses.map((status) => (status.ok ? status.value : undefined))
  const leaderId = known.find((status, index) => status && able.includes(endpoints[index] ?? ''))?.leaderId
  const named = hosts.map((host, index): [string, HostSeen] => {
    const runs = running.find((one) => one.host === host.name)
    const answer = answerOf(known[index], able.includes(host.clientURL), runs)
    return [host.name, { ready: ready(host), empty: !answer && isEmpty(host, since), answer }]
  })
  return {
    hosts: Object.fromEntries(named),
    members: members?.map((member) => memberSeen(member, hosts, members)),
    leader: hosts.find((_, index) => leaderId && known[index]?.memberId === leaderId)?.name,
    strict: known.some((status) => status !== undefined && compareVersions(status.version, '3.5.30') < 0),
    recorded: cluster.hosts.map(({ name }) => name),
    replacing: replacing(cluster.paths),
    version: cluster.etcd.version,
    upgradingTo: cluster.etcd.upgradingTo,
    downgradingTo: known.find((status) => status?.downgradingTo)?.downgradingTo,
    programs: programs?.version,
    backups: backupNames(cluster),
    uncovered: since && since.act.do !== 'take snapshots' ? since.seen.uncovered : {},
    done: since ? [...since.seen.done, since.act] : [],
  }
}

/** With damaged data somewhere nobody commits: that is no loss of the quorum. @throws OperationError */
async function refuseCorrupt(cluster: Cluster): Promise<void> {
  const [alarms, members] = await Promise.all([alarmList(cluster), memberList(cluster).catch(() => [])])
  const corrupt = ofAlarms(cluster.hosts, members, alarms).find(({ code }) => code === 'corrupt')
  if (corrupt) throw refusal(cluster, corrupt, `${cluster.name}: `)
}

const answerOf = (
  status: EndpointStatus | undefined,
  able: boolean,
  runs: RunningVersion | undefined,
): Answer | undefined =>
  status && {
    member: status.memberId,
    learner: status.isLearner,
    follows: status.leaderId !== '',
    commits: able && !status.isLearner,
    index: status.raftIndex,
    version: status.version,
    ...(runs && { works: runs.cluster, written: runs.storage }),
  }

const memberSeen = (member: Member, hosts: Host[], members: Member[]): MemberSeen => ({
  id: member.id,
  host: hosts.find((host) => memberOf(host, members) === member)?.name,
  learner: member.isLearner,
  started: member.name !== '',
})

const backupNames = ({ paths }: Cluster): string[] =>
  existsSync(paths.backups) ? readdirSync(paths.backups).filter((name) => name.endsWith('Z')) : []

/** Hosts are asked once, and again after an act that brings one up. */
async function readiness(
  cluster: Cluster,
  { membersOnly }: Scope,
  since: Since | undefined,
): Promise<(host: Host) => boolean> {
  if (membersOnly) return () => false
  if (since && !['bring up', 'remove host'].includes(since.act.do))
    return ({ name }) => since.seen.hosts[name]?.ready === true
  const up = (await vms.states(cluster)).filter((state) => state.up).map(({ name }) => name)
  const lacking = leaves(cluster).filter(({ certificate, key }) => !existsSync(certificate) || !existsSync(key))
  return ({ name, connection }) =>
    up.includes(name) && connection !== undefined && !lacking.some(({ title }) => title.startsWith(`${name}/`))
}

const isEmpty = ({ name }: Host, since: Since | undefined): boolean =>
  since !== undefined &&
  ((since.act.do === 'set aside' && since.act.host === name) || since.seen.hosts[name]?.empty === true)
