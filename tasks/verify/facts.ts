// One look at everything: what each host answers, what the cluster says, what was written and read back.
import { randomBytes, type X509Certificate } from 'node:crypto'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import type { Remedy } from '../core/remedy.ts'
import { clock } from '../core/run.ts'
import { adviceOf } from '../etcd/advice.ts'
import { authorityCertificate, leaves, reasonToIssue, trustedAuthorities } from '../etcd/certificates.ts'
import {
  type Alarm,
  type Answer,
  alarmList,
  answerOf,
  type EndpointStatus,
  endpointHashKV,
  endpointHealth,
  endpointStatus,
  get,
  grantLease,
  type HashKV,
  type Member,
  memberList,
  put,
  revokeLease,
} from '../etcd/etcdctl.ts'
import type { Finding } from '../etcd/findings.ts'
import { atTheDoor } from '../etcd/judge.ts'
import { majority } from '../etcd/membership.ts'
import { type Probe, probeTLS } from '../etcd/probe.ts'
import { attempt, impossible, refusals, type Visitors } from './refusals.ts'
import { whyStale, whyUntrusted } from './served.ts'

/** What was learnt of one host. What could not be asked is undefined. */
export interface HostFacts {
  host: Host
  /** The client port, asked with our own client certificate. */
  control: Probe
  /** The peer port, asked with the same certificate: it must refuse, and shows its own. */
  peer: Probe
  /** What keeps etcdctl from asking it: the probe's failure, or a certificate that cannot be trusted. */
  door: Finding[]
  /** What is wrong with the certificates it serves, on either port. */
  flaws: Finding[]
  status: Answer<EndpointStatus> | undefined
  health: Answer<{ tookMs: number }> | undefined
  write: Answer<number> | undefined
  /** The hosts whose write it does not return in a linearizable read. */
  readBack: Answer<{ missing: string[] }> | undefined
  hash: Answer<HashKV> | undefined
  /** By the refusal's name; what was not tried is not there. */
  refusals: Map<string, Attempt>
}

/** How an attempt to be let in ended, or why there was none. */
export type Attempt = Probe | { impossible: string }

export interface Facts {
  cluster: Cluster
  hosts: HostFacts[]
  members: Answer<Member[]> | undefined
  alarms: Answer<Alarm[]> | undefined
  /** The certificates here that are not as they should be. */
  certificates: Finding[]
  /** The authorities that are trusted, when the one that issues is there and good. */
  trusted: X509Certificate[] | undefined
  /** What a person should know, though nothing is wrong yet. */
  warnings: string[]
}

const probeMs = 1500
const callMs = 2000
const hashMs = 10_000

/**
 * Gathers everything, in parallel as far as one thing does not need another. A host that is down or frozen costs
 * 1.5 s at most: etcdctl is only sent where our own probe was answered.
 * @param deadline epoch milliseconds; no single question waits beyond it
 * @param patience how many times as long as a quiet machine needs a single question may take
 * @throws Interrupted
 */
export async function gather(cluster: Cluster, visitors: Visitors, deadline: number, patience: number): Promise<Facts> {
  const within = (most: number): number => Math.max(250, Math.min(most * patience, deadline - clock()))
  const { trusted, certificates, warnings } = certificatesHere(cluster)
  const { clientPort, peerPort } = cluster.etcd
  const knock = (port: number): Promise<Probe[]> =>
    Promise.all(cluster.hosts.map((host) => probeTLS(host.address, port, visitors.client, '/version', within(probeMs))))
  const [controls, peers] = await Promise.all([knock(clientPort), knock(peerPort)])
  const doors = cluster.hosts.map((host, index) => doorOf(host, clientPort, controls[index] as Probe, trusted))
  const reachable = cluster.hosts
    .filter((_, index) => trusted && doors[index]?.length === 0)
    .map((host) => host.clientURL)
  const call = { endpoints: reachable, timeoutMs: within(callMs) }
  const [tried, statuses, health, members, alarms, lease] = await Promise.all([
    Promise.all(
      cluster.hosts.map((host, index) =>
        tryRefusals(cluster, host, controls[index] as Probe, peers[index] as Probe, visitors, within(probeMs)),
      ),
    ),
    endpointStatus(cluster, call),
    endpointHealth(cluster, call),
    ask(reachable, () => memberList(cluster, call)),
    ask(reachable, () => alarmList(cluster, call)),
    ask(reachable, () => grantLease(cluster, 60, call)),
  ])
  const writers = cluster.hosts.filter((host) =>
    health.some((answer) => answer.ok && answer.endpoint === host.clientURL),
  )
  const { writes, reads } = await writeAndRead(cluster, clock() < deadline ? writers : [], lease, () => within(callMs))
  // a learner does not tell its hash
  const voting = statuses.flatMap((answer) => (answer.ok && !answer.value.isLearner ? [answer.endpoint] : []))
  const revision = commonRevision(writes, reads, statuses)
  const [hashes, oneView] = await Promise.all([
    revision && clock() < deadline
      ? endpointHashKV(cluster, revision, { endpoints: voting, timeoutMs: within(hashMs) })
      : [],
    membersOfMost(cluster, members, statuses, within(callMs)),
    lease?.ok
      ? ask(reachable, () => revokeLease(cluster, lease.value, { endpoints: reachable, timeoutMs: within(callMs) }))
      : undefined, // should it fail: the keys go within the minute
  ])
  const of = <T>(answers: Answer<T>[], host: Host): Answer<T> | undefined =>
    answers.find((answer) => answer.endpoint === host.clientURL)
  const hosts = cluster.hosts.map((host, index): HostFacts => {
    const [control, peer] = [controls[index] as Probe, peers[index] as Probe]
    const answers = {
      status: of(statuses, host),
      health: of(health, host),
      write: of(writes, host),
      readBack: of(reads, host),
      hash: of(hashes, host),
    }
    return {
      host,
      control,
      peer,
      door: doors[index] ?? [],
      flaws: servedFlaws(cluster, host, control, peer, trusted),
      ...answers,
      refusals: tried[index] ?? new Map(),
    }
  })
  return { cluster, hosts, members: oneView, alarms, certificates, trusted, warnings }
}

/** An answer of the cluster as a whole; undefined when there is nobody to ask. */
async function ask<T>(endpoints: string[], read: () => Promise<T>): Promise<Answer<T> | undefined> {
  return endpoints.length > 0 ? answerOf(endpoints.join(','), read) : undefined
}

/**
 * A frozen or absent host is not asked again: it would only take its time again. Our client certificate has been shown
 * on the peer port already.
 */
async function tryRefusals(
  cluster: Cluster,
  host: Host,
  control: Probe,
  peer: Probe,
  visitors: Visitors,
  timeoutMs: number,
): Promise<HostFacts['refusals']> {
  const meaningful = refusals.filter(
    ({ name, port, as }) =>
      name !== asPeer && (port === 'peer' ? speaks(peer) : speaks(control) && (control.kind === 'answered' || !as)),
  )
  const outcomes = meaningful.map(async (refusal) => {
    const outcome = (await attempt(refusal, cluster, host, visitors, timeoutMs)) ?? {
      impossible: impossible(refusal, host, visitors) ?? '',
    }
    return [refusal.name, outcome] as const
  })
  const shown: Attempt =
    'unusable' in visitors.client ? { impossible: peer.kind === 'refused' ? peer.reason : '' } : peer
  return new Map<string, Attempt>([[asPeer, shown], ...(await Promise.all(outcomes))])
}

const asPeer = 'refuses-client-as-peer'
const speaks = ({ kind }: Probe): boolean => kind !== 'closed' && kind !== 'silent'

/**
 * A write through each member, then from each a linearizable read of all of them. The lease deletes the keys, whatever
 * happens to us.
 */
async function writeAndRead(
  cluster: Cluster,
  writers: Host[],
  lease: Answer<string> | undefined,
  limit: () => number,
): Promise<{ writes: Answer<number>[]; reads: Answer<{ missing: string[] }>[] }> {
  if (!lease?.ok)
    return {
      writes: writers.map((host) => ({
        endpoint: host.clientURL,
        ok: false,
        reason: lease?.reason ?? 'nobody was asked',
      })),
      reads: [],
    }
  const prefix = `ha-etcd/verify/${randomBytes(8).toString('hex')}/`
  const value = randomBytes(8).toString('hex')
  const through = <T>(hosts: Host[], read: (host: Host) => Promise<T>): Promise<Answer<T>[]> =>
    Promise.all(hosts.map((host) => answerOf(host.clientURL, () => read(host))))
  const writes = await through(writers, (host) =>
    put(cluster, prefix + host.name, value, { lease: lease.value, endpoints: [host.clientURL], timeoutMs: limit() }),
  )
  const written = writers.filter((_, index) => writes[index]?.ok)
  const reads = await through(writers, async (host) => {
    const found = await get(cluster, prefix, { prefix: true, endpoints: [host.clientURL], timeoutMs: limit() })
    return { missing: written.filter((other) => found.get(prefix + other.name) !== value).map((other) => other.name) }
  })
  return { writes, reads }
}

/**
 * A revision that every member has: the last of our writes once all have read it back, else what the slowest has
 * reached.
 */
function commonRevision(
  writes: Answer<number>[],
  reads: Answer<unknown>[],
  statuses: Answer<EndpointStatus>[],
): number {
  const reached = statuses.flatMap((answer) => (answer.ok ? [answer.value.revision] : []))
  const ours = writes.flatMap((answer) => (answer.ok ? [answer.value] : []))
  const all = ours.length === statuses.length && reads.every((answer) => answer.ok)
  if (all && ours.length > 0) return Math.max(...ours)
  return reached.length > 0 ? Math.min(...reached) : 0
}

/** The member list; where a host belongs to another cluster than most, the list of those. */
async function membersOfMost(
  cluster: Cluster,
  members: Facts['members'],
  statuses: Answer<EndpointStatus>[],
  timeoutMs: number,
): Promise<Facts['members']> {
  const known = statuses.flatMap((answer) =>
    answer.ok ? [{ endpoint: answer.endpoint, id: answer.value.clusterId }] : [],
  )
  const most = majority(known.map(({ id }) => id))
  const endpoints = known.filter(({ id }) => id === most).map(({ endpoint }) => endpoint)
  return most === undefined || endpoints.length === known.length
    ? members
    : ask(endpoints, () => memberList(cluster, { endpoints, timeoutMs }))
}

function doorOf(host: Host, port: number, control: Probe, trusted: X509Certificate[] = []): Finding[] {
  const untrusted = control.served && whyUntrusted({ host, port, certificate: control.served }, trusted)
  return [...(untrusted ? [untrusted] : []), ...atTheDoor(host, port, control)]
}

/** What is wrong with the certificates on both ports, each seen in a connection that was made anyway. */
function servedFlaws(
  cluster: Cluster,
  host: Host,
  control: Probe,
  peer: Probe,
  trusted: X509Certificate[] | undefined,
): Finding[] {
  const ports = [
    { port: cluster.etcd.clientPort, file: `${host.name}/server.crt`, certificate: control.served },
    { port: cluster.etcd.peerPort, file: `${host.name}/${host.name}.crt`, certificate: peer.served },
  ]
  return ports.flatMap(({ port, file, certificate }) => {
    if (!trusted || !certificate) return []
    const served = { host, port, certificate }
    return whyUntrusted(served, trusted) ?? whyStale(cluster, served, trusted, file) ?? []
  })
}

/** The certificates on the controller, judged by the rules of phase pki. */
function certificatesHere(cluster: Cluster): Pick<Facts, 'trusted' | 'certificates' | 'warnings'> {
  const without = (reason: string, remedy?: Remedy): ReturnType<typeof certificatesHere> => ({
    trusted: undefined,
    certificates: [{ code: 'no-authority', reason, remedy }],
    warnings: [],
  })
  try {
    const authority = authorityCertificate(cluster)
    if (!authority) return without('the certificate ca.crt of the authority is missing here')
    const certificates = leaves(cluster).flatMap((leaf): Finding[] => {
      const reason = reasonToIssue(leaf, authority, cluster.pki)
      return reason ? [{ code: 'certificate-due', what: leaf.title, host: leaf.host, reason }] : []
    })
    return { trusted: trustedAuthorities(cluster), certificates, warnings: adviceOf(cluster) }
  } catch (error) {
    if (!(error instanceof OperationError)) throw error
    return without(error.message.replace(/\.$/, ''), error.more.remedy)
  }
}
