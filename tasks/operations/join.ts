// How a host becomes a member, whatever state it and its member are in: each step may be killed, and all of them run again.
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { Interrupted, OperationError } from '../core/errors.ts'
import { inOrder, type Task } from '../core/pipeline.ts'
import { compareVersions } from '../core/programs.ts'
import { run } from '../core/run.ts'
import { endpointStatus, memberList } from '../etcd/etcdctl.ts'
import { addLearner, memberAt, promote, removeMember, voters } from '../etcd/member-changes.ts'
import { quorum } from '../etcd/membership.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as pki from '../pki/index.ts'
import * as vms from '../vms/index.ts'

/** How long a learner may take to get all data: a large database is sent whole. One whose etcd does not stay up is given up at once. */
const catchUpSeconds = 1800

/** Brings the host up and its certificates about, makes its member anew as a learner, starts it, and lets it vote once it has caught up. `absent`: hosts that are no members now, and have their turn later. */
export function joinTasks(cluster: Cluster, host: Host, absent: Host[] = []): Task[] {
  const { name } = host
  return [
    inOrder('vms: bring it up where it is not', () => vms.tasks(cluster)),
    inOrder('pki: make the certificates that it lacks', () => pki.tasks(cluster)),
    {
      title: `Add ${name} as a learner`,
      task: async (_, task) => {
        // Only a learner that runs is gone on with: any other may have lost what the leader believes it has.
        if (await followsAsLearner(cluster, host)) return void (task.title = `${name} is a learner already`)
        await requireQuorumWithout(cluster, host) // the host before it may have taken its time; and a slow member is not a lost one
        task.output = 'stop its etcd, and move its data aside'
        const left = await setAside(cluster, host)
        if (left) task.title += `; its old data lies in ${left}`
        const others = await voters(cluster, [host])
        const old = await memberAt(cluster, host, others)
        if (old) {
          task.output = `remove its member ${old.id}`
          await removeMember(cluster, old.id, others)
        }
        task.output = 'add a new member'
        await addLearner(cluster, host, others)
        run().changes.push(`added ${name}`)
      },
    },
    inOrder(`etcd-role: configure and start ${name}`, async () =>
      orWithdraw(
        cluster,
        host,
        etcdRole.tasks(cluster, {
          limit: await withWitnesses(cluster, host),
          variables: { etcd_start_timeout: catchUpSeconds, etcd_without: absent.map((one) => one.name) },
        }),
      ),
    ),
    ...orWithdraw(cluster, host, [
      {
        title: `Let ${name} vote`,
        task: async () => {
          const others = await voters(cluster, [host])
          await promote(cluster, (await memberAt(cluster, host, others))?.id ?? '', others)
          if (forgetsPromotions(cluster.etcd.version ?? ''))
            run().warnings.push(
              `etcd ${cluster.etcd.version} notes a promotion in one of two places only (etcd-io/etcd#19557): go to 3.5.32 or later before 3.6.`,
            )
        },
      },
    ]),
  ]
}

/** @throws OperationError when the others could not go on without this host, or cannot say */
export async function requireQuorumWithout(cluster: Cluster, host: Host): Promise<void> {
  const others = await voters(cluster, [host])
  const members = others.length > 0 ? await memberList(cluster, { endpoints: others }) : []
  const voting = members.filter(({ isLearner }) => !isLearner).length
  const needed = quorum(voting)
  if (others.length > 0 && others.length >= needed) return
  const reason =
    others.length === 0
      ? 'no other member is healthy'
      : `of ${voting} members ${needed} must agree, and without it only ${others.length} are healthy`
  throw new OperationError(`${host.name} cannot get a new member now: ${reason}.`, {
    hint: `See what is wrong: ${command(cluster, 'verify')}`,
  })
}

/** etcd 3.5.1 to 3.5.19: a later 3.6 takes the promoted member for a learner again. */
const forgetsPromotions = (version: string): boolean =>
  version.startsWith('3.5.') && compareVersions(version, '3.5.1') >= 0 && compareVersions(version, '3.5.20') < 0

/** Whether the host's etcd runs as a learner that knows its leader. */
async function followsAsLearner(cluster: Cluster, host: Host): Promise<boolean> {
  const [answer] = await endpointStatus(cluster, { endpoints: [host.clientURL] })
  return answer?.ok === true && answer.value.isLearner && answer.value.leaderId !== ''
}

/** Stops the host's etcd and moves what it has of data aside. @returns where that lies; '' where there was none */
async function setAside(cluster: Cluster, host: Host): Promise<string> {
  await etcdRole.prepare(cluster)
  let left = ''
  await runPlaybook(cluster, {
    playbook: 'set-aside',
    limit: [host.name],
    onSaid: (_, aside) => void (left = String(aside)),
  })
  if (left) run().changes.push(`moved the old data of ${host.name} to ${left}`)
  return left
}

/** The host, and two healthy members that tell the role who belongs to the cluster: all of them would take longer and say no more. */
async function withWitnesses(cluster: Cluster, host: Host): Promise<string[]> {
  const urls = await voters(cluster, [host])
  const witnesses = cluster.hosts.filter(({ clientURL }) => urls.includes(clientURL)).slice(0, 2)
  return [host, ...witnesses].map(({ name }) => name)
}

/** The tasks; when one fails, the learner is removed again, so that none is left behind. After a Ctrl-C it stays: the next run goes on with it. */
function orWithdraw(cluster: Cluster, host: Host, tasks: Task[]): Task[] {
  return tasks.map((task) => ({
    ...task,
    task: async (context, wrapper) => {
      try {
        return await task.task(context, wrapper)
      } catch (error) {
        if (!(error instanceof OperationError) || error instanceof Interrupted) throw error
        throw new OperationError(error.message, {
          ...error.more,
          hint: await withdraw(cluster, host, error.more.hint ?? ''),
        })
      }
    },
  }))
}

async function withdraw(cluster: Cluster, host: Host, hint: string): Promise<string> {
  const others = await voters(cluster, [host])
  const learner = await memberAt(cluster, host, others).catch(() => undefined)
  if (!learner?.isLearner) return hint
  const removed = await removeMember(cluster, learner.id, others).then(
    () => true,
    () => false,
  )
  if (!removed) return hint
  return `${hint} The learner was removed again; then run the same command again, or see how the cluster is: ${command(cluster, 'verify')}`.trim()
}
