// THE look at the members: who lets us in, and what each of those, and the cluster as a whole, says.
import type { X509Certificate } from 'node:crypto'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { whyNotIssued } from './authority-key.ts'
import { trustedAuthorities } from './certificates.ts'
import { freeBytes } from './disk.ts'
import {
  type Alarm,
  type Answer,
  alarmList,
  answerOf,
  type CallOptions,
  type EndpointStatus,
  endpointHashKV,
  endpointHealth,
  endpointStatus,
  type HashKV,
  hashMs,
  type Member,
  memberList,
} from './etcdctl.ts'
import { commits } from './etcdctl-output.ts'
import type { Finding } from './findings.ts'
import { atTheDoor, ofCertificates } from './judge.ts'
import { isOnOneOf, majority } from './membership.ts'
import { knock, limitMs, type Probe, probePlain } from './probe.ts'
import { type RunningVersion, versionsIn } from './versions.ts'

/** What one host's member answered. */
export interface HostAnswers {
  host: Host
  /** Its client port, asked with our client certificate. */
  probe: Probe
  /** Why it cannot be asked more; undefined: it can. */
  door: Finding | undefined
  runs: RunningVersion | undefined
  /** Undefined where it was not asked. */
  status: Answer<EndpointStatus> | undefined
  /** Whether it commits. */
  health: Answer<{ tookMs: number }> | undefined
  /** The hash of its data; a guard and a plan ask for it only where etcd does not say whose data are damaged. */
  hash?: Answer<HashKV> | undefined
  /** Bytes that its disk has left for etcd's data; undefined where that is not known. */
  free?: number | undefined
}

/** What all of them answered, and the cluster as a whole. */
export interface Answers {
  /** What is missing here, so that nobody was asked. */
  missing: Finding | undefined
  trusted: X509Certificate[]
  hosts: HostAnswers[]
  /** Undefined: nobody could be asked. */
  members: Answer<Member[]> | undefined
  alarms: Answer<Alarm[]> | undefined
  /** What keeps us from issuing certificates that are due; asked only where data are damaged. */
  keyless?: Finding | undefined
}

/**
 * Knocks at all hosts at once, and asks those that let us in. A host that is down or frozen costs one limit, a lost
 * quorum a second one. `reachMembers` is called before.
 * @param disks whether hosts are asked over ssh for the room on their disks; local ones always are
 * @param limit milliseconds that a question may take, asked before each
 */
export async function askMembers(
  cluster: Cluster,
  {
    hosts = cluster.hosts,
    limit = () => limitMs,
    disks = false,
  }: { hosts?: Host[]; limit?: () => number; disks?: boolean } = {},
): Promise<Answers> {
  const here = certificatesHere(cluster)
  const room = Promise.all(hosts.map((host) => freeBytes(cluster, host, disks)))
  const knocked = await Promise.all(hosts.map((host) => lookIn(cluster, host, here.trusted, limit())))
  const open = here.missing ? [] : knocked.filter(({ door }) => !door).map(({ host }) => host.clientURL)
  const statuses = await endpointStatus(cluster, { endpoints: open, timeoutMs: limit() })
  const committing = endpointHealth(cluster, { endpoints: open, timeoutMs: limit() })
  const ofCluster = async <T>(read: (call: CallOptions) => Promise<T>): Promise<Answer<T> | undefined> => {
    const from = (endpoints: string[]): Promise<Answer<T>> =>
      answerOf(endpoints.join(','), () => read({ endpoints, timeoutMs: limit() }))
    const answer = open.length > 0 ? await from(whoKnow(statuses, open)) : undefined
    // etcdctl may have waited for one that knows a leader and hears nobody: those that commit say it
    const able = answer?.ok === false ? (await committing).filter(commits).map(({ endpoint }) => endpoint) : []
    return able.length > 0 ? from(able) : answer
  }
  const [health, members, alarms] = await Promise.all([
    committing,
    ofCluster((call) => memberList(cluster, call)),
    ofCluster((call) => alarmList(cluster, call)),
  ])
  const of = <T>(answers: Answer<T>[], { clientURL }: Host): Answer<T> | undefined =>
    answers.find(({ endpoint }) => endpoint === clientURL)
  const [free, hashes] = await Promise.all([room, hashesOf(cluster, hosts, statuses, members, alarms)])
  const answered = knocked.map((one, index) => ({
    ...one,
    status: of(statuses, one.host),
    health: of(health, one.host),
    hash: of(hashes, one.host),
    free: free[index],
  }))
  const isDamaged = alarms?.ok && alarms.value.some(({ alarm }) => alarm === 'CORRUPT')
  return { ...here, hosts: answered, members, alarms, keyless: isDamaged ? whyNotIssued(cluster) : undefined }
}

/** Asked of who votes where an alarm of damaged data is about no member of ours: etcd does not know whose are right. */
async function hashesOf(
  cluster: Cluster,
  hosts: Host[],
  statuses: Answer<EndpointStatus>[],
  members: Answer<Member[]> | undefined,
  alarms: Answer<Alarm[]> | undefined,
): Promise<Answer<HashKV>[]> {
  const isOurs = ({ memberId }: Alarm): boolean => members?.ok === true && isOnOneOf(hosts, members.value, memberId)
  const isAsked = alarms?.ok && alarms.value.some((one) => one.alarm === 'CORRUPT' && !isOurs(one))
  const voting = statuses.flatMap((one) => (one.ok && !one.value.isLearner ? [one] : []))
  if (!isAsked || voting.length === 0) return []
  const revision = Math.min(...voting.map(({ value }) => value.revision))
  return endpointHashKV(cluster, revision, { endpoints: voting.map(({ endpoint }) => endpoint), timeoutMs: hashMs })
}

function certificatesHere(cluster: Cluster): Pick<Answers, 'missing' | 'trusted'> {
  try {
    return { missing: ofCertificates(cluster), trusted: trustedAuthorities(cluster) }
  } catch (error) {
    if (!(error instanceof OperationError)) throw error
    const reason = error.message.replace(/\.$/, '')
    return { missing: { code: 'no-authority', reason, remedy: error.more.remedy }, trusted: [] }
  }
}

async function lookIn(
  cluster: Cluster,
  host: Host,
  trusted: X509Certificate[],
  timeoutMs: number,
): Promise<Pick<HostAnswers, 'host' | 'probe' | 'door' | 'runs'>> {
  const port = cluster.etcd.clientPort
  const isPlain = cluster.plainClients === 'only'
  const first = isPlain
    ? await probePlain(host.address, port, '/version', timeoutMs)
    : await knock(cluster, host, { timeoutMs })
  // Go's HTTP server without TLS may reset such a connection, and say nothing.
  const plain = first.kind === 'refused' && first.mute && (await probePlain(host.address, port, '/version', timeoutMs))
  const probe: Probe = plain && plain.kind === 'answered' ? { kind: 'plain', reason: 'it does not speak TLS' } : first
  return { host, probe, door: atTheDoor(host, port, probe, trusted), runs: versionsIn(host.name, probe) }
}

/** Whom to ask about the cluster: no learner, none without a leader, none of another cluster than most are of. */
function whoKnow(statuses: Answer<EndpointStatus>[], open: string[]): string[] {
  const known = statuses.flatMap((answer) => (answer.ok ? [{ endpoint: answer.endpoint, ...answer.value }] : []))
  const most = majority(known.map(({ clusterId }) => clusterId))
  const able = known.filter(
    ({ clusterId, isLearner, leaderId }) => !isLearner && leaderId !== '' && (!most || clusterId === most),
  )
  return able.length > 0 ? able.map(({ endpoint }) => endpoint) : open
}
