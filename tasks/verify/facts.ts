// One look at everything: what each host answers, what the cluster says, what was written and read back.
import { randomBytes } from 'node:crypto'
import type { Cluster, Host } from '../core/cluster.ts'
import { clock } from '../core/run.ts'
import { adviceOf } from '../etcd/advice.ts'
import { type Answers, askMembers, type HostAnswers } from '../etcd/ask.ts'
import { authorityCertificate, dueCertificates } from '../etcd/certificates.ts'
import {
  type Answer,
  answerOf,
  endpointHashKV,
  get,
  grantLease,
  type HashKV,
  hashMs,
  put,
  revokeLease,
} from '../etcd/etcdctl.ts'
import { type Finding, inWords } from '../etcd/findings.ts'
import { heartbeatAdvice } from '../etcd/heartbeat.ts'
import { type Judged, judge, statusesOf, whyUntrusted } from '../etcd/judge.ts'
import { knock, limitMs, type Probe } from '../etcd/probe.ts'
import { type Attempt, attempt, refusals, type Visitors } from './refusals.ts'
import { whyStale } from './served.ts'

/** What was learnt of one host. What could not be asked is undefined. */
export interface HostFacts extends HostAnswers {
  /** The peer port, asked with our client certificate: it must refuse, and shows its own. */
  peer: Probe
  flaws: Finding[]
  write: Answer<number> | undefined
  /** The hosts whose write it does not return in a linearizable read. */
  readBack: Answer<{ missing: string[] }> | undefined
  hash: Answer<HashKV> | undefined
  /** By the refusal's name; what was not tried is not there. */
  refusals: Map<string, Attempt>
}

export interface Facts extends Answers {
  cluster: Cluster
  hosts: HostFacts[]
  judged: Judged
  /** The certificates here that are not as they should be. */
  certificates: Finding[]
  /** What a person should know, though nothing is wrong yet. */
  warnings: string[]
}

/** How long a question may take that needs so many ms on a quiet machine. */
type Within = (most?: number) => number

/**
 * Gathers everything, in parallel as far as one thing does not need another. etcdctl is only sent where our own probe
 * was answered.
 * @param deadline epoch milliseconds; no single question waits beyond it
 * @param patience how many times as long as a quiet machine needs a single question may take
 * @throws Interrupted
 */
export async function gather(cluster: Cluster, visitors: Visitors, deadline: number, patience: number): Promise<Facts> {
  const within: Within = (most = limitMs) => Math.max(250, Math.min(most * patience, deadline - clock()))
  const answers = await askMembers(cluster, { limit: within, disks: true })
  const [seen, data, far] = await Promise.all([
    Promise.all(answers.hosts.map((one) => seeRefusals(cluster, one, visitors, within))),
    proveData(cluster, answers, deadline, within),
    answers.missing ? [] : heartbeatAdvice(cluster, answers),
  ])
  const hosts = seen.map((one): HostFacts => {
    const of = <T>(all: Answer<T>[]): Answer<T> | undefined =>
      all.find(({ endpoint }) => endpoint === one.host.clientURL)
    const held = { write: of(data.writes), readBack: of(data.reads), hash: of(data.hashes) }
    return { ...one, ...held, flaws: servedFlaws(cluster, one, answers.trusted) }
  })
  const here = certificatesHere(cluster, answers)
  const warnings = [...here.warnings, ...far.map((finding) => inWords(cluster, finding))]
  return { ...answers, cluster, hosts, judged: judge(answers), ...here, warnings }
}

/** What the host's ports refuse. A frozen or absent host is not asked again. */
async function seeRefusals(
  cluster: Cluster,
  one: HostAnswers,
  visitors: Visitors,
  within: Within,
): Promise<HostAnswers & Pick<HostFacts, 'peer' | 'refusals'>> {
  const { host, probe } = one
  const peer = await knock(cluster, host, { port: cluster.etcd.peerPort, timeoutMs: within() })
  const meaningful = refusals.filter(
    ({ name, port, as }) =>
      name !== asPeer && (port === 'peer' ? speaks(peer) : speaks(probe) && (probe.kind === 'answered' || !as)),
  )
  const outcomes = meaningful.map(
    async (refusal) => [refusal.name, await attempt(refusal, cluster, host, visitors, within())] as const,
  )
  // our client certificate has been shown on the peer port already
  const shown: Attempt =
    'unusable' in visitors.client ? { impossible: peer.kind === 'refused' ? peer.reason : '' } : peer
  return { ...one, peer, refusals: new Map<string, Attempt>([[asPeer, shown], ...(await Promise.all(outcomes))]) }
}

const asPeer = 'refuses-client-as-peer'
const speaks = ({ kind }: Probe): boolean => kind !== 'closed' && kind !== 'silent'

interface Data {
  writes: Answer<number>[]
  reads: Answer<{ missing: string[] }>[]
  hashes: Answer<HashKV>[]
}

/** A write through each member, a linearizable read of all from each, the hash of all data. A lease ends the keys. */
async function proveData(cluster: Cluster, { hosts }: Answers, deadline: number, within: Within): Promise<Data> {
  const able = hosts.flatMap(({ host, health }) => (health?.ok && clock() < deadline ? [host] : []))
  const lease = able.length > 0 ? await answerOf('', () => grantLease(cluster, 60, via(able, within))) : undefined
  const reason = lease?.ok === false ? lease.reason : ''
  const { writes, reads } = lease?.ok
    ? await writeAndRead(cluster, able, lease.value, within)
    : { writes: able.map(({ clientURL: endpoint }) => ({ endpoint, ok: false as const, reason })), reads: [] }
  const known = statusesOf(hosts).map(({ status }) => status)
  const revision = commonRevision(writes, reads, known)
  // a learner does not tell its hash
  const voting = hosts.flatMap(({ host, status }) => (status?.ok && !status.value.isLearner ? [host.clientURL] : []))
  const [hashes] = await Promise.all([
    revision && clock() < deadline
      ? endpointHashKV(cluster, revision, { endpoints: voting, timeoutMs: within(hashMs) })
      : [],
    // should it fail: the keys go within the minute
    lease?.ok && answerOf('', () => revokeLease(cluster, lease.value, via(able, within))),
  ])
  return { writes, reads, hashes }
}

const via = (hosts: Host[], within: Within): { endpoints: string[]; timeoutMs: number } => ({
  endpoints: hosts.map(({ clientURL }) => clientURL),
  timeoutMs: within(),
})

async function writeAndRead(
  cluster: Cluster,
  writers: Host[],
  lease: string,
  within: Within,
): Promise<Pick<Data, 'writes' | 'reads'>> {
  const prefix = `ha-etcd/verify/${randomBytes(8).toString('hex')}/`
  const value = randomBytes(8).toString('hex')
  const through = <T>(read: (host: Host) => Promise<T>): Promise<Answer<T>[]> =>
    Promise.all(writers.map((host) => answerOf(host.clientURL, () => read(host))))
  const writes = await through((host) => put(cluster, prefix + host.name, value, { lease, ...via([host], within) }))
  const isWritten = ({ clientURL }: Host): boolean => writes.some((one) => one.ok && one.endpoint === clientURL)
  const reads = await through(async (host) => {
    const found = await get(cluster, prefix, { prefix: true, ...via([host], within) })
    const missing = writers.filter((other) => isWritten(other) && found.get(prefix + other.name) !== value)
    return { missing: missing.map(({ name }) => name) }
  })
  return { writes, reads }
}

/** A revision that every member has: our last write once all have read it, else what the slowest has reached. */
function commonRevision(writes: Data['writes'], reads: Data['reads'], known: { revision: number }[]): number {
  const ours = writes.flatMap((answer) => (answer.ok ? [answer.value] : []))
  const all = ours.length === known.length && reads.every((answer) => answer.ok)
  if (all && ours.length > 0) return Math.max(...ours)
  return known.length > 0 ? Math.min(...known.map(({ revision }) => revision)) : 0
}

/** What is wrong with the certificates on both ports, each seen in a connection that was made anyway. */
function servedFlaws(
  cluster: Cluster,
  { host, probe, peer }: Pick<HostFacts, 'host' | 'probe' | 'peer'>,
  trusted: Answers['trusted'],
): Finding[] {
  const ports = [
    { port: cluster.etcd.clientPort, file: `${host.name}/server.crt`, certificate: probe.served },
    { port: cluster.etcd.peerPort, file: `${host.name}/${host.name}.crt`, certificate: peer.served },
  ]
  return ports.flatMap(({ port, file, certificate }) =>
    trusted.length > 0 && certificate
      ? (whyUntrusted(host, port, certificate, trusted) ??
        whyStale(cluster, host, port, certificate, trusted, file) ??
        [])
      : [],
  )
}

/** The certificates on the controller, judged by the rules of phase pki. */
function certificatesHere(cluster: Cluster, { missing }: Answers): Pick<Facts, 'certificates' | 'warnings'> {
  const authority = missing ? undefined : authorityCertificate(cluster)
  if (!authority) return { certificates: missing ? [missing] : [], warnings: [] }
  return { certificates: dueCertificates(cluster, authority), warnings: adviceOf(cluster) }
}
