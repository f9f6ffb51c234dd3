// defrag: gives the members' free space back to their disks, one by one; with `disarm` the whole cure of NOSPACE.
import type { Cluster } from '../core/cluster.ts'
import { runPipeline } from '../core/pipeline.ts'
import { bytes } from '../core/terminal.ts'
import { askMembers } from '../etcd/ask.ts'
import { statusesOf } from '../etcd/judge.ts'
import { look } from '../observe/look.ts'
import { defragRules } from '../plans/defrag.ts'
import * as verify from '../verify/index.ts'
import { carryOut, planLines } from './carry-out.ts'
import { requireHealthy } from './guard.ts'
import { sayDone, sayPlan } from './say.ts'

/** Guard, (compact,) defragment in turn, (disarm, write,) verify. After a kill it starts over: no step harms twice. */
export async function defrag(cluster: Cluster, { disarm, plan }: { disarm: boolean; plan: boolean }): Promise<void> {
  const rules = defragRules(disarm)
  const scope = { membersOnly: true, up: cluster.hosts.map(({ name }) => name) }
  const guard = (): Promise<void> =>
    requireHealthy(cluster, { allow: ['disk-full'], ...(disarm && { verb: 'defrag --disarm' }) })
  if (plan) {
    await guard()
    return sayPlan(cluster, 'defrag', [...planLines(cluster, rules, await look(cluster, scope)), 'verify'])
  }
  await runPipeline([{ title: 'Check that the cluster can spare a member', task: guard }])
  const before = await sizes(cluster)
  await carryOut(cluster, rules, await look(cluster, scope), scope)
  await runPipeline(verify.tasks(cluster, verify.patiently))
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

async function sizes(cluster: Cluster): Promise<Map<string, number>> {
  const { hosts } = await askMembers(cluster)
  return new Map(statusesOf(hosts).map(({ name, status }) => [name, status.dbSizeBytes]))
}
