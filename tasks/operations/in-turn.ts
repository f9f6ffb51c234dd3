// One act on every member, one at a time, in the order that risks least; each must be back before the next one's turn.
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { sleep } from '../core/run.ts'
import { type EndpointStatus, endpointHealth, endpointStatus } from '../etcd/etcdctl.ts'
import { commits } from '../etcd/etcdctl-output.ts'
import { moveLeader } from '../etcd/maintenance.ts'

export interface InTurnOptions {
  /** Called with each host's name when its turn comes. */
  onHost?: (name: string) => void
  /** The hosts to act on; default: all. */
  hosts?: Host[]
}

/** One host at one moment. */
interface View {
  host: Host
  healthy: boolean
  status: EndpointStatus | undefined
}

const callMs = 2000
const pollMs = 100
/** How long the others may take to be healthy before a turn, and the member itself after it, in ms. */
const othersMs = 20_000
const backMs = 60_000

/**
 * Acts on each member: an unhealthy one first, then the followers, the leader last after handing over. Before each
 * turn all others must commit; after it the member must commit, too, and have applied what the others had.
 * @throws OperationError where that does not come about: the members after it are left as they are
 */
export async function inTurn(
  cluster: Cluster,
  act: (host: Host) => Promise<void>,
  { onHost, hosts = cluster.hosts }: InTurnOptions = {},
): Promise<void> {
  for (let waiting = hosts; waiting.length > 0; ) {
    const views = await lookTwice(cluster)
    const [next] = inOrderOfRisk(views.filter(({ host }) => waiting.includes(host)))
    if (!next) return
    onHost?.(next.host.name)
    if (next.healthy) await requireOthers(cluster, next.host)
    await handOver(cluster, next.host)
    await act(next.host)
    await comeBack(cluster, next.host)
    waiting = waiting.filter((host) => host !== next.host)
  }
}

interface Turn {
  host: string
  /** The host; of the leader, that it hands over first. */
  told: string
}

/** The hosts in the order in which inTurn would take them now. */
export const turns = async (cluster: Cluster): Promise<Turn[]> =>
  inOrderOfRisk(await look(cluster)).map((view) => turn(cluster, view))

const turn = ({ hosts }: Cluster, { host: { name }, status }: View): Turn => ({
  host: name,
  told: leads(status) && hosts.length > 1 ? `${name} (the leader, after handing over)` : name,
})

/** A member that is ill risks nothing more; the leader's turn disturbs most. */
export function inOrderOfRisk(views: View[]): View[] {
  const rank = ({ healthy, status }: View): number => (!healthy ? 0 : leads(status) ? 2 : 1)
  return views.toSorted((a, b) => rank(a) - rank(b))
}

async function look(cluster: Cluster): Promise<View[]> {
  const [health, statuses] = await Promise.all([
    endpointHealth(cluster, { timeoutMs: callMs }),
    endpointStatus(cluster, { timeoutMs: callMs }),
  ])
  return cluster.hosts.map((host, index) => {
    const [answer, status] = [health[index], statuses[index]]
    return {
      host,
      healthy: answer !== undefined && commits(answer),
      status: status?.ok ? status.value : undefined,
    }
  })
}

/**
 * One missed call makes nobody ill: a slow member that is taken for one would be acted on without a look at the others.
 */
async function lookTwice(cluster: Cluster): Promise<View[]> {
  const first = await look(cluster)
  if (first.every(({ healthy }) => healthy)) return first
  await sleep(callMs)
  const second = await look(cluster)
  return second.map((view, index) => ({ ...view, healthy: view.healthy || first[index]?.healthy === true }))
}

async function requireOthers(cluster: Cluster, host: Host): Promise<void> {
  const sick = (views: View[]): View[] => views.filter((view) => view.host !== host && !view.healthy)
  let found: View[] = []
  const well = await within(othersMs, async () => {
    found = sick(await look(cluster))
    return found.length === 0
  })
  if (well) return
  throw new OperationError(
    `${host.name} was left as it is: ${found.map((view) => view.host.name).join(', ')} is not healthy, ` +
      'and taking another member down would risk the quorum.',
    {
      hint: `See what is wrong: ${command(cluster, 'verify')}. Then run the same command again.`,
    },
  )
}

/** If this member leads, makes the one that lags least lead. */
async function handOver(cluster: Cluster, host: Host): Promise<void> {
  if (cluster.hosts.length === 1) return
  const moved = await within(othersMs, async () => {
    const views = await look(cluster)
    if (!leads(views.find((view) => view.host === host)?.status)) return true
    const heirs = views.filter((view) => view.host !== host && view.healthy && view.status && !view.status.isLearner)
    const [heir] = heirs.toSorted((a, b) => (b.status?.raftIndex ?? 0) - (a.status?.raftIndex ?? 0))
    await moveLeader(cluster, host.clientURL, heir?.status?.memberId ?? '').catch(onlyFailure)
    return false // looked at again: the request's answer says little
  })
  if (!moved)
    throw new OperationError(`${host.name} leads the cluster, and no other member took the lead over.`, {
      hint: `See what is wrong: ${command(cluster, 'verify')}`,
    })
}

async function comeBack(cluster: Cluster, host: Host): Promise<void> {
  const target = Math.max(0, ...(await look(cluster)).map(({ status }) => status?.raftIndex ?? 0))
  const back = await within(backMs, async () => {
    const mine = (await look(cluster)).find((view) => view.host === host)
    return mine?.healthy === true && (mine.status?.raftAppliedIndex ?? 0) >= target
  })
  if (back) return
  throw new OperationError(
    `${host.name} did not catch up within ${backMs / 1000} s; the members after it were left as they are.`,
    {
      hint: `See what is wrong: ${command(cluster, 'verify')}. Then run the same command again.`,
    },
  )
}

const leads = (status: EndpointStatus | undefined): boolean =>
  status !== undefined && status.leaderId === status.memberId

/** Asks again and again until the answer is true; false when time is up. */
async function within(ms: number, ask: () => Promise<boolean>): Promise<boolean> {
  for (const deadline = Date.now() + ms; ; await sleep(pollMs)) {
    if (await ask()) return true
    if (Date.now() > deadline) return false
  }
}

/** A failure of the world is looked at again; a bug or an interruption is not. */
function onlyFailure(error: unknown): void {
  if (!(error instanceof OperationError) || error.exitCode !== 1) throw error
}
