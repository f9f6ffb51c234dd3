// replace: a lost or emptied host gets a member anew. Old member out, old data aside, back as a learner, then as a voter.
import { rmSync } from 'node:fs'
import { type Cluster, type Host, hostNamed } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { writeFileAtomic } from '../core/files.ts'
import { inOrder, runPipeline, type Task } from '../core/pipeline.ts'
import { replacing } from '../core/record.ts'
import { memberAt, voters } from '../etcd/member-changes.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as verify from '../verify/index.ts'
import { refuseWhileDowngrading, requireHealthy } from './guard.ts'
import { requireReachable } from './host-data.ts'
import { joinTasks, requireQuorumWithout } from './join.ts'
import { leadElsewhere } from './lead-elsewhere.ts'
import { sayDone, sayPlan } from './say.ts'

/** Replaces the members of the named hosts, one after the other. `planOnly`: says what it would do. */
export async function replace(cluster: Cluster, names: string[], planOnly: boolean): Promise<void> {
  const hosts = names.map((name) => hostNamed(cluster, name))
  const guard = async (): Promise<void> => {
    if (cluster.hosts.length === 1)
      throw new OperationError(`${names[0]} is the only member of ${cluster.name}: nobody has its data but itself.`, {
        hint: `While it runs, others can get its data: ${command(cluster, 'scale --masters 3')}`,
      })
    etcdRole.refuseHalfUpgraded(cluster)
    await requireHealthy(cluster, { allowDown: names })
    await refuseWhileDowngrading(cluster)
    for (const host of hosts) await requireQuorumWithout(cluster, host)
    await requireReachable(
      cluster,
      cluster.hosts.filter((host) => !hosts.includes(host)),
    )
  }
  if (planOnly) {
    await guard()
    return sayPlan(cluster, 'replace', [
      ...(await Promise.all(hosts.map((host) => steps(cluster, host)))).flat(),
      'verify',
    ])
  }
  await runPipeline([
    { title: `Check that the others have a quorum without ${names.join(' and ')}`, task: guard },
    ...hosts.map(
      (host): Task =>
        inOrder(`Replace ${host.name}`, async () =>
          (await isNew(cluster, host)) ? [] : [handOver(cluster, host), ...joinTasks(cluster, host)],
        ),
    ),
    inOrder('verify: prove that the cluster works', () => verify.tasks(cluster, verify.patiently)),
    { title: 'Forget who was replaced', task: () => rmSync(cluster.paths.replacing, { force: true }) },
  ])
  sayDone(
    cluster,
    'replace',
    `${names.join(' and ')} ${names.length === 1 ? 'is a member' : 'are members'} again; the cluster is verified.`,
    { replaced: names },
  )
}

const handOver = (cluster: Cluster, host: Host): Task => ({
  title: `Check that ${host.name} does not lead`,
  task: async (_, task) => {
    await noteOld(cluster, host)
    const heir = await leadElsewhere(cluster, [host])
    if (heir) task.title = `Hand leadership over to ${heir}`
  },
})

/** A run that was killed is gone on with, and replaces nobody twice. */
async function noteOld(cluster: Cluster, host: Host): Promise<void> {
  const old = await memberAt(cluster, host, await voters(cluster, [host]))
  if (old && !old.isLearner)
    writeFileAtomic(
      cluster.paths.replacing,
      JSON.stringify({ ...replacing(cluster.paths), [host.name]: old.id }),
      0o600,
    )
}

/** Whether a run that was killed has replaced the host's member already, and the new one votes and commits. */
async function isNew(cluster: Cluster, host: Host): Promise<boolean> {
  const old = replacing(cluster.paths)[host.name]
  const able = old ? await voters(cluster) : []
  const member = able.includes(host.clientURL) ? await memberAt(cluster, host, able) : undefined
  return member !== undefined && !member.isLearner && member.id !== old
}

async function steps(cluster: Cluster, host: Host): Promise<string[]> {
  const { name } = host
  if (await isNew(cluster, host)) return [`leave ${name}, which the run before has replaced already`]
  const member = await memberAt(cluster, host, await voters(cluster, [host]))
  return [
    `bring ${name} up, if it is not, and make the certificates that it lacks`,
    `if ${name} leads, hand leadership over; stop its etcd and move its data aside`,
    ...(member ? [`remove member ${member.id} (${name})`] : []),
    `add ${name} as a learner, start it with the role, wait until it has caught up, and let it vote`,
  ]
}
