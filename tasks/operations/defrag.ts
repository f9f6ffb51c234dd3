// defrag: gives the members' free space back to their disks, one member at a time; with `disarm` the whole cure of
// NOSPACE.

import { randomBytes } from 'node:crypto'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { runPipeline, type Task } from '../core/pipeline.ts'
import { bytes } from '../core/terminal.ts'
import { del, endpointStatus, put } from '../etcd/etcdctl.ts'
import { says } from '../etcd/etcdctl-output.ts'
import { compact, defragment, disarmAlarms } from '../etcd/maintenance.ts'
import * as verify from '../verify/index.ts'
import { requireHealthy } from './guard.ts'
import { inTurn, turns } from './in-turn.ts'
import { sayDone, sayPlan } from './say.ts'

/**
 * Guard, (compact,) defragment in turn, (disarm, write,) verify. Run again after a kill, it starts over: no step harms
 * twice.
 */
export async function defrag(cluster: Cluster, { disarm, plan }: { disarm: boolean; plan: boolean }): Promise<void> {
  const guard = (): Promise<void> => requireHealthy(cluster, disarm ? { verb: 'defrag --disarm' } : {})
  if (plan) {
    await guard()
    return sayPlan(cluster, 'defrag', await steps(cluster, disarm))
  }
  let before = new Map<string, number>()
  await runPipeline([
    {
      title: 'Check that the cluster can spare a member',
      task: async () => {
        await guard()
        before = await sizes(cluster)
      },
    },
    ...(disarm ? [{ title: 'Forget older versions of keys (compact)', task: () => compactAll(cluster) }] : []),
    {
      title: 'Defragment one member at a time',
      task: (_, task) =>
        inTurn(cluster, (host) => defragment(cluster, host.clientURL), { onHost: (name) => void (task.output = name) }),
    },
    ...(disarm ? cure(cluster) : []),
    ...verify.tasks(cluster, verify.patiently),
  ])
  const after = await sizes(cluster)
  const members = [...after].map(([name, size]) => ({
    name,
    dbSizeBytesBefore: before.get(name) ?? 0,
    dbSizeBytes: size,
  }))
  const told = members
    .map((member) => `${member.name} ${bytes(member.dbSizeBytesBefore)} → ${bytes(member.dbSizeBytes)}`)
    .join(', ')
  sayDone(cluster, 'defrag', `Defragmented: ${told}.${disarm ? ' No alarm is raised, and writes go on.' : ''}`, {
    members,
    disarmed: disarm,
  })
}

async function steps(cluster: Cluster, disarm: boolean): Promise<string[]> {
  return [
    ...(disarm ? ['forget all versions of keys but the newest (watchers that lag must start anew)'] : []),
    ...(await turns(cluster)).map(({ told }) => `defragment ${told}`),
    ...(disarm ? ['lower the alarms', 'prove by a write that the database takes writes'] : []),
    'verify',
  ]
}

async function compactAll(cluster: Cluster): Promise<void> {
  const answers = await endpointStatus(cluster)
  await compact(cluster, Math.max(...answers.map((answer) => (answer.ok ? answer.value.revision : 0))))
}

function cure(cluster: Cluster): Task[] {
  return [
    { title: 'Lower the alarms', task: () => disarmAlarms(cluster) },
    { title: 'Prove that a write is taken', task: () => writeOnce(cluster) },
  ]
}

async function writeOnce(cluster: Cluster): Promise<void> {
  const key = `ha-etcd/defrag/${randomBytes(8).toString('hex')}`
  try {
    await put(cluster, key, 'written')
  } catch (error) {
    if (!(error instanceof OperationError) || !says.full(error.more.output ?? '')) throw error
    throw new OperationError(`The keys themselves fill the quota of ${cluster.name}: it takes no writes yet.`, {
      hint:
        `Delete keys and run ${command(cluster, 'defrag --disarm')} again; or raise ` +
        `ETCD_QUOTA_BACKEND_BYTES in etcd.environment, run ${command(cluster, 'up')}, then this again.`,
    })
  }
  await del(cluster, key)
}

async function sizes(cluster: Cluster): Promise<Map<string, number>> {
  const answers = await endpointStatus(cluster)
  return new Map(
    cluster.hosts.flatMap((host, index) =>
      answers[index]?.ok ? [[host.name, answers[index].value.dbSizeBytes] as const] : [],
    ),
  )
}
