// What must hold before an operation begins: it refuses with the reason and the command that helps, and changes
// nothing.
import type { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { readFileIfThere } from '../core/files.ts'
import { minorOf } from '../core/programs.ts'
import { run, sleep } from '../core/run.ts'
import { authorityCertificate, isSignedBy, restoreHint, trustedAuthorities } from '../etcd/certificates.ts'
import {
  type Answer,
  alarmList,
  type EndpointStatus,
  endpointHealth,
  endpointStatus,
  memberList,
} from '../etcd/etcdctl.ts'
import { commits } from '../etcd/etcdctl-output.ts'
import { voters } from '../etcd/member-changes.ts'
import { agreedLeader, compareMembers, type Difference } from '../etcd/membership.ts'
import { type Identity, identity, probeTLS } from '../etcd/probe.ts'
import { reachMembers } from '../etcd/reach.ts'
import * as vms from '../vms/index.ts'
import { enabledDowngrade } from './end-downgrade.ts'

export interface GuardOptions {
  /** Hosts that may be down or out of the cluster: the operation is about them. The others must then still commit. */
  allowDown?: string[]
  /** True where the operation is the cure of a full database. */
  allowNoSpace?: boolean
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
  try {
    await requireWell(cluster, options)
  } catch (error) {
    if (
      !(error instanceof OperationError) ||
      error.exitCode !== 1 ||
      error.more.code !== 'down' ||
      (await voters(cluster)).length > 0
    )
      throw error
    const hint =
      `${command(cluster, 'up')} starts members that are only stopped. If too many are lost for good to be ` +
      `a quorum: ${command(cluster, 'recover --plan')}`
    throw new OperationError(error.message, { ...error.more, hint })
  }
}

/**
 * While a downgrade is enabled, a new member of the present version cannot join.
 * @throws OperationError naming the cancel
 */
export async function refuseWhileDowngrading(cluster: Cluster): Promise<void> {
  const to = await enabledDowngrade(cluster)
  if (to)
    throw new OperationError(
      `A downgrade to etcd ${minorOf(to)} is enabled: a new member would not start, and nothing was changed.`,
      { hint: `Take it back: ${command(cluster, 'downgrade --cancel')}` },
    )
}

async function requireWell(cluster: Cluster, { allowDown = [], allowNoSpace = false }: GuardOptions): Promise<void> {
  const trusted = authorityCertificate(cluster) && trustedAuthorities(cluster)
  const [cert, key] = ['crt', 'key'].map((kind) => readFileIfThere(join(cluster.paths.certs, `etcd-client.${kind}`)))
  if (!trusted || !cert || !key)
    throw new OperationError(`The authority or the client certificate is missing in ${cluster.paths.certs}.`, {
      hint: restoreHint(cluster),
    })
  await reachMembers(cluster)
  const client = identity({ cert, key })
  const others = cluster.hosts.filter(({ name }) => !allowDown.includes(name))
  // about all of them: those that are up must be well
  const hosts = others.length > 0 ? others : await answering(cluster, client)
  if (hosts.length === 0) refuse(cluster, 'no member answers', 'up')
  await Promise.all(hosts.map((host) => requireOurs(cluster, host, client, trusted)))
  for (let look = 1; ; look++) {
    try {
      return await requireAgreement(cluster, hosts, allowDown, allowNoSpace, callMs * look)
    } catch (error) {
      if (!(error instanceof OperationError) || error.exitCode !== 1 || look === looks) throw error
      await sleep(500)
    }
  }
}

/** That those hosts, which answer, commit, and agree on the members, on one leader and on no alarm. */
async function requireAgreement(
  cluster: Cluster,
  hosts: Host[],
  allowDown: string[],
  allowNoSpace: boolean,
  timeoutMs: number,
): Promise<void> {
  const asked = { endpoints: hosts.map(({ clientURL }) => clientURL), timeoutMs }
  const [health, statuses, members, alarms] = await Promise.all([
    endpointHealth(cluster, asked),
    endpointStatus(cluster, asked),
    memberList(cluster, asked).catch((error) =>
      refuse(cluster, 'the members cannot be listed: there is no quorum', 'up', error),
    ),
    alarmList(cluster, asked).catch((error) =>
      refuse(cluster, 'the alarms cannot be listed: there is no quorum', 'up', error),
    ),
  ])
  for (const [index, host] of hosts.entries()) {
    const answer = health[index]
    if (answer && !answer.ok && !commits(answer))
      refuse(cluster, `${host.name} commits nothing: ${answer.reason}`, 'verify')
  }
  const difference = compareMembers(cluster.hosts, members).find(
    ({ host, kind }) => !(host && allowDown.includes(host.name) && ['missing', 'unstarted', 'learner'].includes(kind)),
  )
  if (difference) refuse(cluster, inWords(difference), 'verify')
  requireOneLeader(cluster, statuses)
  const alarm = alarms.find((one) => !(allowNoSpace && one.alarm === 'NOSPACE'))
  if (alarm) refuse(cluster, `alarm ${alarm.alarm} is raised`, alarm.alarm === 'NOSPACE' ? 'defrag --disarm' : 'verify')
}

async function answering(cluster: Cluster, client: Identity): Promise<Host[]> {
  const probes = await Promise.all(
    cluster.hosts.map(({ address }) => probeTLS(address, cluster.etcd.clientPort, client, '/version', probeMs)),
  )
  return cluster.hosts.filter((_, index) => probes[index]?.kind === 'answered')
}

/** That somebody answers at a host, and that its certificate is of an authority that we trust. */
async function requireOurs(cluster: Cluster, host: Host, client: Identity, trusted: X509Certificate[]): Promise<void> {
  const probe = await probeTLS(host.address, cluster.etcd.clientPort, client, '/version', probeMs)
  const { served } = probe
  if (served && !trusted.some((authority) => isSignedBy(served, authority)))
    refuse(
      cluster,
      `the certificates on ${host.name} are of another authority (${served.issuer.split('\n').join(', ')})`,
      'verify',
    )
  if (probe.kind !== 'answered')
    refuse(cluster, `${host.name} does not answer: ${probe.reason}`, probe.kind === 'closed' ? 'up' : 'verify')
}

function requireOneLeader(cluster: Cluster, statuses: Answer<EndpointStatus>[]): void {
  const silent = statuses.find((answer) => !answer.ok)
  if (silent && !silent.ok) refuse(cluster, `${silent.endpoint} does not say how it is: ${silent.reason}`, 'verify')
  if (!agreedLeader(statuses.flatMap((answer) => (answer.ok ? [answer.value] : []))))
    refuse(cluster, 'the members do not agree on one leader', 'verify')
}

function inWords({ kind, host, member }: Difference): string {
  const who = host?.name ?? `member ${member?.id} (${member?.peerURLs.join(', ')})`
  const words: Record<Difference['kind'], string> = {
    missing: 'is no member of the cluster',
    extra: 'belongs to none of our hosts',
    unstarted: 'was added, but has never started',
    learner: 'is still a learner, which does not vote',
    name: `is called ${member?.name} in the cluster`,
    peerURLs: `has the peer URL ${member?.peerURLs.join(', ')} in the cluster, not ${host?.peerURL}`,
    clientURLs: `has the client URL ${member?.clientURLs.join(', ')} in the cluster, not ${host?.clientURL}`,
  }
  return `${who} ${words[kind]}`
}

function refuse(cluster: Cluster, reason: string, verb: string, cause?: unknown): never {
  const output = cause instanceof OperationError ? cause.more.output : undefined
  const purpose =
    verb === 'verify' ? 'See what is wrong and what to do' : verb === 'up' ? 'Bring it back first' : 'Cure it first'
  throw new OperationError(`${cluster.name} is not healthy enough, and nothing was changed: ${reason}.`, {
    hint: `${purpose}: ${command(cluster, verb)}`,
    ...(verb === 'up' && { code: 'down' }),
    ...(output && { output }),
  })
}
