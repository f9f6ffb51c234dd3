// scale: more members or fewer, one at a time. Growing, each comes as a learner; shrinking, the highest name goes first.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { UsageError } from '../core/errors.ts'
import { inOrder, runPipeline, type Task } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { memberList } from '../etcd/etcdctl.ts'
import { memberAt, removeMember, voters } from '../etcd/member-changes.ts'
import { memberOf } from '../etcd/membership.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as verify from '../verify/index.ts'
import * as vms from '../vms/index.ts'
import { refuseWhileDowngrading, requireHealthy } from './guard.ts'
import { requireReachable } from './host-data.ts'
import { joinTasks } from './join.ts'
import { leadElsewhere } from './lead-elsewhere.ts'
import { sayDone, sayPlan } from './say.ts'

/**
 * Makes the cluster's members those that it is to have, whatever an earlier run left half-done. `planOnly`: says what it would do.
 * @throws UsageError when it is not said how many, or hosts are to come and others to go at once
 */
export async function scale(cluster: Cluster, planOnly: boolean): Promise<void> {
  const { coming, leaving } = await difference(cluster)
  etcdRole.refuseHalfUpgraded(cluster)
  const moving = [...coming, ...leaving]
  await requireHealthy(cluster, { allowDown: moving.map(({ name }) => name) })
  await refuseWhileDowngrading(cluster)
  await requireReachable(
    cluster,
    cluster.hosts.filter((host) => !moving.includes(host)),
  )
  if (planOnly)
    return sayPlan(cluster, 'scale', [
      ...coming.map(comes),
      ...leaving.map(goes),
      ...(coming.length + leaving.length > 0 ? ['bring every initial cluster in step, with the role', 'verify'] : []),
    ])
  await runPipeline([
    ...coming.map((host) =>
      inOrder(`Grow by ${host.name}`, () => [record(cluster, host), ...joinTasks(cluster, host)]),
    ),
    ...leaving.map((host) => inOrder(`Shrink by ${host.name}`, () => shrinkTasks(cluster, host, leaving))),
    inOrder('etcd-role: bring the inventory and every initial cluster in step', () => etcdRole.tasks(cluster)),
    inOrder('verify: prove that the cluster works', () => verify.tasks(cluster, verify.patiently)),
  ])
  const count = cluster.hosts.length
  sayDone(cluster, 'scale', `${cluster.name} has ${count} ${count === 1 ? 'member' : 'members'}; it is verified.`, {
    masters: count,
    added: coming.map(({ name }) => name),
    removed: leaving.map(({ name }) => name),
  })
}

const comes = ({ name, address }: Host): string =>
  `bring ${name} up at ${address}, make its certificates, add it as a learner, start it, and let it vote once it has caught up`
const goes = ({ name }: Host): string =>
  `hand leadership over if ${name} has it, remove its member, and then the host with its data and its certificates`

/** Who must come, and who must go: members that are down first, then the highest name. A recorded host that is no voter yet was cut short while it came. */
async function difference(cluster: Cluster): Promise<{ coming: Host[]; leaving: Host[] }> {
  const { hosts, wanted } = cluster
  if (!wanted)
    throw new UsageError('--masters N is missing: how many are there to be?', {
      hint: `There are ${hosts.length} now. Example: ${command(cluster, 'scale --masters 5')}`,
    })
  const moved = wanted.find((host) => hosts.some((one) => one.name === host.name && one.address !== host.address))
  if (moved)
    throw new UsageError(`${moved.name} has another address than the member of that name.`, {
      hint: 'Give the new host a name of its own.',
    })
  const named = (list: Host[], { name }: Host): Host | undefined => list.find((one) => one.name === name)
  const endpoints = await voters(cluster)
  const members = endpoints.length > 0 ? await memberList(cluster, { endpoints }) : []
  const votes = (host: Host): boolean => {
    const member = memberOf(host, members)
    return members.length === 0 || (member !== undefined && !member.isLearner && member.name !== '')
  }
  const coming = wanted
    .map((host) => named(hosts, host) ?? host)
    .filter((host) => !hosts.includes(host) || !votes(host))
  const silentFirst = (a: Host, b: Host): number =>
    Number(endpoints.includes(a.clientURL)) - Number(endpoints.includes(b.clientURL)) // etcd refuses to lose a healthy one beside it
  const leaving = hosts
    .filter((host) => !named(wanted, host))
    .reverse()
    .toSorted(silentFirst)
  if (coming.some((host) => !hosts.includes(host)) && leaving.length > 0)
    throw new UsageError(
      `${coming.map(({ name }) => name).join(', ')} would come, and ${leaving.map(({ name }) => name).join(', ')} go.`,
      {
        hint: 'Do one after the other: first a list with all of them, then one without those that go.',
      },
    )
  return { coming, leaving }
}

const record = (cluster: Cluster, host: Host): Task => ({
  title: `Record ${host.name}`,
  task: () => {
    if (!cluster.hosts.includes(host)) cluster.hosts.push(host)
    recordCluster(cluster)
  },
})

/** The record is last: a run that is killed before it begins this host again. */
function shrinkTasks(cluster: Cluster, host: Host, leaving: Host[]): Task[] {
  const { name } = host
  return [
    {
      title: `Remove the member of ${name}`,
      task: async (_, task) => {
        await requireHealthy(cluster, { allowDown: leaving.map((one) => one.name) })
        const heir = await leadElsewhere(cluster, leaving)
        if (heir) task.title += `, after ${heir} took the lead over`
        const others = await voters(cluster, [host])
        const member = await memberAt(cluster, host, others)
        if (member) await removeMember(cluster, member.id, others)
        run().changes.push(`removed ${name}`)
      },
    },
    { title: `Stop and remove ${name}`, task: () => vms.removeHost(cluster, host) },
    {
      title: `Forget ${name} and its certificates`,
      task: () => {
        rmSync(join(cluster.paths.certs, name), { recursive: true, force: true })
        cluster.hosts.splice(cluster.hosts.indexOf(host), 1)
        recordCluster(cluster)
      },
    },
  ]
}
