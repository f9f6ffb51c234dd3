// THE look at the members: who lets us in, and what each of those, and the cluster as a whole, says.
import type { X509Certificate } from 'node:crypto'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { authorityCertificate, trustedAuthorities } from './certificates.ts'
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
} from './etcdctl.ts'
import type { Finding } from './findings.ts'
import { atTheDoor, ofCertificates } from './judge.ts'
import { majority } from './membership.ts'
import { identityAt, knock, limitMs, type Probe, probePlain } from './probe.ts'
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
}

/**
 * Knocks at all hosts at once, and asks those that let us in. A host that is down or frozen costs one limit, a lost
 * quorum a second one. `reachMembers` is called before.
 * @param limit milliseconds that a question may take, asked before each
 */
export async function askMembers(
  cluster: Cluster,
  { hosts = cluster.hosts, limit = () => limitMs }: { hosts?: Host[]; limit?: () => number } = {},
): Promise<Answers> {
  const here = certificatesHere(cluster)
  const knocked = await Promise.all(hosts.map((host) => lookIn(cluster, host, here.trusted, limit())))
  const open = here.missing ? [] : knocked.filter(({ door }) => !door).map(({ host }) => host.clientURL)
  const statuses = await endpointStatus(cluster, { endpoints: open, timeoutMs: limit() })
  const call = { endpoints: whoKnow(statuses, open), timeoutMs: limit() }
  const ofCluster = <T>(read: () => Promise<T>): Promise<Answer<T>> | undefined =>
    open.length > 0 ? answerOf(call.endpoints.join(','), read) : undefined
  const [health, members, alarms] = await Promise.all([
    endpointHealth(cluster, { ...call, endpoints: open }),
    ofCluster(() => memberList(cluster, call)),
    ofCluster(() => alarmList(cluster, call)),
  ])
  const of = <T>(answers: Answer<T>[], { clientURL }: Host): Answer<T> | undefined =>
    answers.find(({ endpoint }) => endpoint === clientURL)
  const answered = knocked.map((one) => ({ ...one, status: of(statuses, one.host), health: of(health, one.host) }))
  return { ...here, hosts: answered, members, alarms }
}

function certificatesHere(cluster: Cluster): Pick<Answers, 'missing' | 'trusted'> {
  try {
    const isThere = authorityCertificate(cluster) && identityAt(cluster, 'etcd-client')
    return { missing: isThere ? undefined : ofCertificates(cluster), trusted: trustedAuthorities(cluster) }
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
  const first = await knock(cluster, host, { timeoutMs })
  // Go's HTTP server without TLS may reset such a connection, and say nothing.
  const plain = first.kind === 'refused' && first.mute && (await probePlain(host.address, port, '/version', timeoutMs))
  const probe: Probe = plain && plain.kind === 'answered' ? { kind: 'plain', reason: 'it does not speak TLS' } : first
  return { host, probe, door: atTheDoor(host, port, probe, trusted), runs: versionsIn(host.name, probe) }
}

/**
 * Whom to ask about the cluster: a learner does not tell, nor one without a leader; and a host may belong to another
 * cluster than most.
 */
function whoKnow(statuses: Answer<EndpointStatus>[], open: string[]): string[] {
  const known = statuses.flatMap((answer) => (answer.ok ? [{ endpoint: answer.endpoint, ...answer.value }] : []))
  const most = majority(known.map(({ clusterId }) => clusterId))
  const able = known.filter(
    ({ clusterId, isLearner, leaderId }) => !isLearner && leaderId !== '' && (!most || clusterId === most),
  )
  return able.length > 0 ? able.map(({ endpoint }) => endpoint) : open
}
