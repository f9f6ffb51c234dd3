// Changes of who the members are. Each may be asked for again: that it is done already is success.
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { clock, sleep } from '../core/run.ts'
import { type CallOptions, call, endpointHealth, type Member, memberList } from './etcdctl.ts'
import { commits, says } from './etcdctl-output.ts'
import { memberOf } from './membership.ts'

/**
 * How long etcd's "not now" is waited for, in ms. It wants every voter connected for 5 s before the membership may
 * change (HealthInterval in etcd's server/etcdserver/server.go), and a learner near the leader before it may vote.
 */
const patienceMs = 60_000

/**
 * The client URLs of the hosts that commit (a full database keeps no member from that), but for `without`: whom to ask
 * for a change that concerns that host. A learner is none of them.
 */
export async function voters(cluster: Cluster, without: Host[] = []): Promise<string[]> {
  const health = await endpointHealth(cluster, { endpoints: clientURLs(cluster, without) })
  return health.filter(commits).map(({ endpoint }) => endpoint)
}

/** While a leader is elected nobody commits: so long, in ms, one who does is waited for. */
const electionMs = 20_000

/** As voters, once one of them commits; where none does in that time, all of them: their errors tell more. */
export async function votersSoon(cluster: Cluster, without: Host[] = []): Promise<string[]> {
  const all = clientURLs(cluster, without)
  for (const deadline = clock() + electionMs; all.length > 0 && clock() < deadline; await sleep(500)) {
    const found = await voters(cluster, without)
    if (found.length > 0) return found
  }
  return all
}

const clientURLs = ({ hosts }: Cluster, without: Host[]): string[] =>
  hosts.filter((host) => !without.includes(host)).map(({ clientURL }) => clientURL)

/** Adds a host's member, which gets all data but does not vote yet. @returns its id. @throws OperationError */
export async function addLearner(cluster: Cluster, host: Host, endpoints: string[]): Promise<string> {
  const added = (members: Member[]): Member | undefined =>
    members.find(({ peerURLs }) => peerURLs.includes(host.peerURL))
  const args = ['member', 'add', host.name, '--learner', `--peer-urls=${host.peerURL}`]
  const members = await change(cluster, args, endpoints, (now) => added(now) !== undefined)
  return added(members)?.id ?? ''
}

/** Lets a learner vote, once it has caught up. @throws OperationError */
export async function promote(cluster: Cluster, id: string, endpoints: string[]): Promise<void> {
  await change(cluster, ['member', 'promote', id], endpoints, (now) =>
    now.some((member) => member.id === id && !member.isLearner),
  )
}

/** Removes a member for good: its id never comes back. @throws OperationError */
export async function removeMember(cluster: Cluster, id: string, endpoints: string[]): Promise<void> {
  await change(cluster, ['member', 'remove', id], endpoints, (now) => !now.some((member) => member.id === id))
}

/** The member that lives on a host, by the word of those endpoints. @throws OperationError when they cannot say */
export const memberAt = async (cluster: Cluster, host: Host, endpoints: string[]): Promise<Member | undefined> =>
  memberOf(host, await memberList(cluster, { endpoints }))

/** Asks for a change until the members are as it makes them: an answer that got lost says nothing. */
async function change(
  cluster: Cluster,
  args: string[],
  endpoints: string[],
  done: (members: Member[]) => boolean,
): Promise<Member[]> {
  const asked: CallOptions = { endpoints, timeoutMs: 5000 }
  for (const deadline = clock() + patienceMs; ; await sleep(500)) {
    const failure = await call(cluster, args, asked).then(
      () => undefined,
      (error: unknown) => error,
    )
    const members = await memberList(cluster, asked).catch(() => [])
    if (members.length > 0 && done(members)) return members
    if (failure === undefined && clock() < deadline) continue
    if (!(failure instanceof OperationError))
      throw failure ?? new OperationError(`etcdctl ${args.slice(0, 2).join(' ')} had no effect.`)
    const again = failure.more.code === 'timed-out' || says.notNow(failure.more.output ?? '')
    if (failure.exitCode !== 1 || !again || clock() > deadline) throw failure
  }
}
