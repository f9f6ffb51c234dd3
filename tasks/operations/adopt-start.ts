// While hosts of ours take the place of another tool's members: those that are down are started before it goes on.
import { type Cluster, type Host, ownHosts } from '../core/cluster.ts'
import { inOrder } from '../core/pipeline.ts'
import { listed } from '../core/terminal.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type HostData, requireReachable } from '../observe/host-data.ts'
import type { Observation } from '../plans/types.ts'
import * as vms from '../vms/index.ts'
import { asLetIn } from './adopt-files.ts'
import { downAmong, toReplace } from './adopt-rules.ts'
import { lookFirst } from './guard.ts'
import { doSteps } from './steps.ts'

interface Started {
  seen: Observation
  /** Hosts that have lost their member's data, and are to be replaced. */
  lost: HostData[]
}

/** @param coming hosts that are to be, of which some may not be recorded yet */
export async function startOurs(cluster: Cluster, before: Observation, coming: Host[]): Promise<Started> {
  const down = downAmong(
    before,
    coming.map(({ name }) => name),
  )
  if (down.length === 0) return { seen: before, lost: [] }
  const copy = asLetIn(cluster)
  await doSteps([inOrder(`Bring ${listed(down)} up`, () => vms.tasks(cluster))])
  const there = await requireReachable(
    copy,
    ownHosts(cluster).filter(({ name }) => down.includes(name)),
  )
  const able = there.filter(({ hasData }) => hasData).map(({ host }) => host.name)
  if (able.length > 0)
    await doSteps([inOrder(`Start ${listed(able)} again`, () => etcdRole.tasks(copy, { limit: able }))])
  const seen = await lookFirst(copy, { coming })
  const due = toReplace(
    seen,
    down.filter((name) => !able.includes(name)),
  )
  return { seen, lost: there.filter(({ host }) => due.includes(host.name)) }
}
