// A typed client over the etcdctl program: JSON in, values out, every call bounded in time.
import type { Cluster } from '../core/cluster.ts'
import { unheard } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { ask, type Result } from '../core/shell.ts'
import { etcdctlPath } from './binaries.ts'
import { clientEnvironment } from './client-environment.ts'
import { fromBase64, hex, type Integer, lastWords, milliseconds, parse, reasonFor, says } from './etcdctl-output.ts'
import { refuses, routed, unrouted } from './reach.ts'
import { overTheWay } from './round-trip.ts'

/** A member as the cluster lists it; the id in hexadecimal, no name where it never started. */
export interface Member {
  id: string
  name: string
  peerURLs: string[]
  clientURLs: string[]
  isLearner: boolean
}

/** What an endpoint says of itself. Ids in hexadecimal, sizes in bytes; `leaderId` is '' while it knows no leader. */
export interface EndpointStatus {
  memberId: string
  clusterId: string
  leaderId: string
  isLearner: boolean
  version: string
  dbSizeBytes: number
  /** What of that holds data; the rest is free, and can be given back to the disk. */
  inUseBytes: number
  /** Its quota; 0: etcd before 3.6 does not say. */
  quotaBytes: number
  revision: number
  raftIndex: number
  raftAppliedIndex: number
  raftTerm: number
  /** The version (as 3.5.0) of a downgrade that is enabled; '' where none is, or etcdctl before 3.6 cannot tell. */
  downgradingTo: string
}

/** The hash of all keys at one revision; comparable between members with the same `compactRevision` only. */
export interface HashKV {
  hash: number
  compactRevision: number
}

export interface Alarm {
  memberId: string
  alarm: string
}

/** What one endpoint answered, or why it did not. */
export type Answer<T> = { endpoint: string; ok: true; value: T } | { endpoint: string; ok: false; reason: string }

/** What those said that answered. */
export const valuesOf = <T>(answers: (Answer<T> | undefined)[]): T[] =>
  answers.flatMap((answer) => (answer?.ok ? [answer.value] : []))

export interface CallOptions {
  /** Whom to ask; default: every host's client URL. */
  endpoints?: string[]
  /** Milliseconds for one call to members near by, default 2000. */
  timeoutMs?: number
}

const defaultTimeoutMs = 2000
/** How long after its own limit etcdctl is killed: some of its commands do not always keep to it. */
const killMs = 400
const alarmNames = ['NONE', 'NOSPACE', 'CORRUPT']

/** The members as the cluster knows them. @throws OperationError when no endpoint answers; from 3.5 on, no quorum */
export async function memberList(cluster: Cluster, options: CallOptions = {}): Promise<Member[]> {
  const answer = await call<RawMembers>(cluster, ['member', 'list'], options)
  return (answer.members ?? []).map((member) => ({
    id: hex(member.ID),
    name: member.name ?? '',
    peerURLs: member.peerURLs ?? [],
    clientURLs: member.clientURLs ?? [],
    isLearner: member.isLearner === true,
  }))
}

/**
 * The status of every endpoint, in the order of the endpoints; needs no quorum. One etcdctl asks them in turn, so each
 * endpoint that is silent costs `timeoutMs`, but hides no other.
 */
export function endpointStatus(cluster: Cluster, options: CallOptions = {}): Promise<Answer<EndpointStatus>[]> {
  return ofThoseThatListen(endpointsOf(cluster, options), async (endpoints) => {
    const result = await etcdctl(cluster, ['endpoint', 'status'], { ...options, endpoints }, endpoints.length)
    const entries = parse<RawStatus[]>(result.stdout) ?? []
    return endpoints.map((endpoint) => {
      const status = entries.find((entry) => entry.Endpoint === endpoint)?.Status
      return status
        ? { endpoint, ok: true, value: statusFrom(status) }
        : { endpoint, ok: false, reason: reasonFor(endpoint, result) }
    })
  })
}

function statusFrom(status: NonNullable<RawStatus['Status']>): EndpointStatus {
  return {
    memberId: hex(status.header?.member_id),
    clusterId: hex(status.header?.cluster_id),
    leaderId: status.leader ? hex(status.leader) : '',
    isLearner: status.isLearner === true,
    version: status.version ?? '',
    dbSizeBytes: Number(status.dbSize ?? 0),
    inUseBytes: Number(status.dbSizeInUse ?? status.dbSize ?? 0),
    quotaBytes: Number(status.dbSizeQuota ?? 0),
    revision: Number(status.header?.revision ?? 0),
    raftIndex: Number(status.raftIndex ?? 0),
    raftAppliedIndex: Number(status.raftAppliedIndex ?? status.raftIndex ?? 0),
    raftTerm: Number(status.raftTerm ?? 0),
    downgradingTo: status.downgradeInfo?.enabled ? (status.downgradeInfo.targetVersion ?? '') : '',
  }
}

/** Whether each endpoint commits a proposal, and in how many milliseconds. All are asked at once by one etcdctl. */
export function endpointHealth(cluster: Cluster, options: CallOptions = {}): Promise<Answer<{ tookMs: number }>[]> {
  return ofThoseThatListen(endpointsOf(cluster, options), async (endpoints) => {
    const result = await etcdctl(cluster, ['endpoint', 'health'], { ...options, endpoints })
    const entries = parse<RawHealth[]>(result.stdout) ?? []
    return endpoints.map((endpoint) => {
      const entry = entries.find((candidate) => candidate.endpoint === endpoint)
      if (entry?.health) return { endpoint, ok: true, value: { tookMs: milliseconds(entry.took ?? '') } }
      return { endpoint, ok: false, reason: entry?.error?.replace(/^rpc error: .*desc = /, '') || lastWords(result) }
    })
  })
}

/** Where nobody listens the answer is known at once: etcdctl would knock there until its time is up. */
async function ofThoseThatListen<T>(
  endpoints: string[],
  asked: (endpoints: string[]) => Promise<Answer<T>[]>,
): Promise<Answer<T>[]> {
  const closed = await Promise.all(endpoints.map(refuses))
  const listening = endpoints.filter((_, index) => !closed[index])
  const answers = listening.length > 0 ? await asked(listening) : []
  return endpoints.map(
    (endpoint) =>
      answers.find((answer) => answer.endpoint === endpoint) ?? {
        endpoint,
        ok: false,
        reason: 'nothing listens there (connection refused)',
      },
  )
}

/** How long a member may take for that, in ms. */
export const hashMs = 10_000

/**
 * The hash of the keys of each endpoint at a revision; one that has not reached that revision says so as its reason.
 * Hashing takes seconds for each gigabyte: an etcdctl for each endpoint, all at once.
 */
export function endpointHashKV(
  cluster: Cluster,
  revision: number,
  options: CallOptions = {},
): Promise<Answer<HashKV>[]> {
  const words = ['endpoint', 'hashkv', '--rev', String(revision)]
  const hashOf = async (endpoint: string): Promise<HashKV> => {
    const [entry] = await call<RawHash[]>(cluster, words, { ...options, endpoints: [endpoint] })
    return { hash: Number(entry?.HashKV?.hash ?? 0), compactRevision: Number(entry?.HashKV?.compact_revision ?? 0) }
  }
  const endpoints = endpointsOf(cluster, options)
  return Promise.all(endpoints.map((endpoint) => answerOf(endpoint, () => hashOf(endpoint))))
}

/** How many keys there are. @throws OperationError */
export async function countKeys(cluster: Cluster, endpoint: string): Promise<number> {
  // The count is of all of them, whatever the limit; --count-only is not known to etcdctl 3.4.
  const { count } = await call<{ count?: Integer }>(cluster, ['get', '', '--prefix', '--keys-only', '--limit=1'], {
    endpoints: [endpoint],
    timeoutMs: 60_000,
  })
  return Number(count ?? 0)
}

/** The alarms that are raised. @throws OperationError when no endpoint answers or there is no quorum */
export async function alarmList(cluster: Cluster, options: CallOptions = {}): Promise<Alarm[]> {
  const answer = await call<RawAlarms>(cluster, ['alarm', 'list'], options)
  return (answer.alarms ?? []).map(({ memberID, alarm }) => ({
    memberId: hex(memberID),
    alarm: typeof alarm === 'string' ? alarm : (alarmNames[alarm ?? 0] ?? String(alarm)),
  }))
}

/** Whether authentication keeps us out. Of etcd 3.4, which cannot be asked, and of one without a quorum: no. */
export async function keepsUsOut(cluster: Cluster, options: CallOptions = {}): Promise<boolean> {
  return says.notAllowed(lastWords(await etcdctl(cluster, ['auth', 'status'], options)))
}

/** Writes a key, bound to a lease or for good; returns the revision that this made. @throws OperationError */
export async function put(
  cluster: Cluster,
  key: string,
  value: string,
  options: CallOptions & { lease?: string } = {},
): Promise<number> {
  const lease = options.lease ? ['--lease', options.lease] : []
  return revisionOf(await call<RawHeader>(cluster, ['put', ...lease, '--', key, value], options))
}

/**
 * Makes a lease of `ttlSeconds` and returns its id: the keys bound to it go when it ends, even if we are killed.
 * @throws OperationError
 */
export async function grantLease(cluster: Cluster, ttlSeconds: number, options: CallOptions = {}): Promise<string> {
  return hex((await call<{ ID?: Integer }>(cluster, ['lease', 'grant', String(ttlSeconds)], options)).ID)
}

/** Ends a lease and deletes its keys. @throws OperationError */
export async function revokeLease(cluster: Cluster, lease: string, options: CallOptions = {}): Promise<void> {
  await call(cluster, ['lease', 'revoke', lease], options)
}

/** Reads a key, or every key below a prefix, linearizably. Returns values by key. @throws OperationError */
export async function get(cluster: Cluster, key: string, options: KeyOptions = {}): Promise<Map<string, string>> {
  const answer = await call<RawKeys>(cluster, ['get', '--consistency=l', ...keyWords(key, options)], options)
  return new Map((answer.kvs ?? []).map((pair) => [fromBase64(pair.key), fromBase64(pair.value)]))
}

/** Deletes a key, or every key below a prefix; returns the revision that this made. @throws OperationError */
export async function del(cluster: Cluster, key: string, options: KeyOptions = {}): Promise<number> {
  return revisionOf(await call<RawHeader>(cluster, ['del', ...keyWords(key, options)], options))
}

type KeyOptions = CallOptions & { prefix?: boolean }

const keyWords = (key: string, { prefix }: KeyOptions): string[] => [...(prefix ? ['--prefix'] : []), '--', key]

// What etcdctl prints with -w json; 64-bit integers arrive as text (see parse).
interface RawHeader {
  header?: { cluster_id?: Integer; member_id?: Integer; revision?: Integer }
}
interface RawMembers {
  members?: { ID?: Integer; name?: string; peerURLs?: string[]; clientURLs?: string[]; isLearner?: boolean }[]
}
interface RawStatus {
  Endpoint?: string
  Status?: RawHeader & {
    version?: string
    dbSize?: Integer
    dbSizeInUse?: Integer
    dbSizeQuota?: Integer
    leader?: Integer
    raftIndex?: Integer
    raftAppliedIndex?: Integer
    raftTerm?: Integer
    isLearner?: boolean
    downgradeInfo?: { enabled?: boolean; targetVersion?: string }
  }
}

interface RawHealth {
  endpoint: string
  health?: boolean
  took?: string
  error?: string
}
interface RawHash {
  HashKV?: { hash?: Integer; compact_revision?: Integer }
}
interface RawAlarms {
  alarms?: { memberID?: Integer; alarm?: number | string }[]
}
interface RawKeys {
  kvs?: { key: string; value?: string }[]
}

const endpointsOf = (cluster: Cluster, options: CallOptions): string[] =>
  options.endpoints ?? cluster.hosts.map((host) => host.clientURL)
const revisionOf = (answer: RawHeader): number => Number(answer.header?.revision ?? 0)

/** Turns a failed call into an answer that says why. Anything but a failure of the world is thrown on. */
export async function answerOf<T>(endpoint: string, read: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { endpoint, ok: true, value: await read() }
  } catch (error) {
    if (!(error instanceof OperationError) || error.exitCode !== 1) throw error
    return { endpoint, ok: false, reason: error.more.output ?? error.message }
  }
}

/** One call that answers in JSON. @throws OperationError with etcdctl's last words */
export async function call<T>(cluster: Cluster, args: string[], options: CallOptions): Promise<T> {
  const result = await etcdctl(cluster, args, options)
  const value = result.exitCode === 0 ? parse<T>(result.stdout) : undefined
  if (value === undefined)
    throw new OperationError(
      `etcdctl ${args.slice(0, 2).join(' ')} failed on ${endpointsOf(cluster, options).join(', ')}.`,
      { output: lastWords(result), ...(result.exitCode === 124 && { code: 'timed-out' }) },
    )
  return value
}

/**
 * The one place where etcdctl is started. It gets its options as variables, and no ETCDCTL_* of a person's own.
 * `inTurn`: how many endpoints it asks one after the other.
 */
export async function etcdctl(cluster: Cluster, args: string[], options: CallOptions, inTurn = 1): Promise<Result> {
  const timeoutMs = overTheWay(options.timeoutMs ?? defaultTimeoutMs)
  const limit = `${Math.round(timeoutMs)}ms`
  const ours = {
    ETCDCTL_ENDPOINTS: endpointsOf(cluster, options).map(routed).join(','),
    ETCDCTL_DIAL_TIMEOUT: limit,
    ETCDCTL_COMMAND_TIMEOUT: limit,
    ETCDCTL_WRITE_OUT: 'json',
  }
  const [program, reach] = await Promise.all([etcdctlPath(cluster), clientEnvironment(cluster)])
  const result = await ask(program, args, {
    env: { ...unheard('ETCDCTL_'), ...direct, ...reach, ...ours },
    timeout: timeoutMs * inTurn + killMs,
  })
  return { ...result, stdout: unrouted(result.stdout), stderr: unrouted(result.stderr) }
}

/** No proxy stands between us and a member. */
const direct = { NO_PROXY: '*', no_proxy: '*' }
