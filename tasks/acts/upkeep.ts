// How each act on the members' data and alarms is carried out.
import { randomBytes } from 'node:crypto'
import { type Cluster, type Host, hostNamed } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { clock, sleep } from '../core/run.ts'
import { del, endpointHealth, endpointStatus, put, valuesOf } from '../etcd/etcdctl.ts'
import { commits, says } from '../etcd/etcdctl-output.ts'
import { refusal } from '../etcd/findings.ts'
import { compact, defragment, disarmAlarms } from '../etcd/maintenance.ts'
import type { Carriers } from './carriers.ts'

/** How long a member may take to be healthy after its turn, in ms. */
const backMs = 60_000

export const upkeepActs = {
  compact: async (cluster) => {
    await compact(cluster, Math.max(0, ...valuesOf(await endpointStatus(cluster)).map(({ revision }) => revision)))
  },
  defragment: async (cluster, { host }) => {
    const goal = hostNamed(cluster, host)
    await defragment(cluster, goal.clientURL)
    await comeBack(cluster, goal)
  },
  disarm: (cluster) => disarmAlarms(cluster),
  'prove a write': (cluster) => writeOnce(cluster),
} satisfies Partial<Carriers>

/** Waits until the member commits again, and has applied what the others had. @throws OperationError */
async function comeBack(cluster: Cluster, { name, clientURL }: Host): Promise<void> {
  const target = Math.max(0, ...valuesOf(await endpointStatus(cluster)).map(({ raftIndex }) => raftIndex))
  const endpoints = [clientURL]
  for (const deadline = clock() + backMs; clock() < deadline; await sleep(100)) {
    const [[health], [status]] = await Promise.all([
      endpointHealth(cluster, { endpoints }),
      endpointStatus(cluster, { endpoints }),
    ])
    if (health && commits(health) && status?.ok && status.value.raftAppliedIndex >= target) return
  }
  throw new OperationError(
    `${name} did not catch up within ${backMs / 1000} s; the members after it were left as they are.`,
    { hint: `See what is wrong: ${command(cluster, 'verify')}. Then run the same command again.` },
  )
}

async function writeOnce(cluster: Cluster): Promise<void> {
  const key = `ha-etcd/defrag/${randomBytes(8).toString('hex')}`
  try {
    await put(cluster, key, 'written')
  } catch (error) {
    if (!(error instanceof OperationError) || !says.full(error.more.output ?? '')) throw error
    throw refusal(cluster, { code: 'keys-fill-quota', name: cluster.name })
  }
  await del(cluster, key)
}
