// recover: quorum lost for good. A new cluster is formed from the data of one member; the others come back as learners.
import { withCopies } from '../copies.ts'
import { type Begun, type Cluster, type Host, hostNamed, refuseHalfDone } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { Interrupted, OperationError } from '../core/errors.ts'
import { inOrder, runPipeline, type Task } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { print, run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { table } from '../core/terminal.ts'
import { endpointStatus, type Member, memberList } from '../etcd/etcdctl.ts'
import { removeMember, voters } from '../etcd/member-changes.ts'
import { memberOf } from '../etcd/membership.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { reachMembers } from '../etcd/reach.ts'
import { restoreTool } from '../etcd/snapshot.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type HostData, hostsThatAreUp, lookAtData } from '../observe/host-data.ts'
import { look } from '../observe/look.ts'
import * as pki from '../pki/index.ts'
import { joinAll } from '../plans/members.ts'
import * as verify from '../verify/index.ts'
import * as vms from '../vms/index.ts'
import { carryOut } from './carry-out.ts'
import { chooseSurvivor } from './choose-survivor.ts'
import { aroundRestore } from './clients.ts'
import { endInherited } from './end-downgrade.ts'
import { endMove } from './end-move.ts'
import { forgetSnapshot, isRaising, raiseTasks } from './raise.ts'
import { cannotRaise } from './revision.ts'
import { sayDone, sayPlan } from './say.ts'

/** How long a member may take to come up with a large database. */
const startSeconds = 1800

/**
 * See what is there, choose, agree, form the new cluster, bring the others back, verify. Run again after a kill, it
 * goes on where it was.
 */
export async function recover(
  cluster: Cluster,
  { from, plan }: { from: string | undefined; plan: boolean },
): Promise<void> {
  if (from) hostNamed(cluster, from)
  if (cluster.begun?.verb === 'restore') refuseHalfDone(cluster)
  await reachMembers(cluster)
  await refuseQuorum(cluster, plan)
  if (plan) return sayPlan(cluster, 'recover', await withCopies(cluster, (copy) => steps(copy, from)))
  const there = await prepare(cluster)
  await refuseQuorum(cluster, false) // the hosts that were down may have been all that was missing
  if (cluster.begun && !cluster.begun.from) await startFormed(cluster, there)
  const stands = await whereItStands(cluster)
  const { raises } = await restoreTool(cluster)
  const survivor = stands === 'not formed' ? await agree(cluster, there, from, raises) : undefined
  await runPipeline([
    ...(survivor ? formTasks(cluster, survivor) : []),
    ...(stands === 'formed' ? [] : settleTasks(cluster, survivor?.host ?? formedFrom(cluster), raises)),
    endInherited(cluster),
  ])
  await bringBack(cluster)
  await runPipeline([
    inOrder('etcd-role: bring every initial cluster in step', () => etcdRole.tasks(cluster)),
    { title: 'Note that the recovery is done', task: () => note(cluster, undefined) },
    inOrder('verify: prove that the cluster works', () => verify.tasks(cluster, verify.patiently)),
  ])
  if (!raises) run().warnings.push(cannotRaise)
  const origin = survivor ? `, from the data of ${survivor.host.name} (raft index ${survivor.commit})` : ''
  const done = `${cluster.name} has ${cluster.hosts.length} members again${origin}; it is verified.`
  sayDone(cluster, 'recover', `${done}\n${aroundRestore.after}`, {
    from: survivor?.host.name ?? null,
    raftIndex: survivor?.commit ?? null,
    raisedTo: raises ? (cluster.highestRevision ?? null) : null,
    clients: aroundRestore.after,
  })
}

/**
 * How far an earlier run came: the new cluster may be there, with or without the setting that forms it, or about to be
 * raised.
 */
async function whereItStands(cluster: Cluster): Promise<'not formed' | 'forced' | 'raising' | 'formed'> {
  if (isRaising(cluster)) return 'raising'
  if (!cluster.begun || (await voters(cluster)).length === 0) return 'not formed'
  return cluster.begun.from ? 'forced' : 'formed'
}

const formedFrom = (cluster: Cluster): Host => hostNamed(cluster, cluster.begun?.from ?? '')

/** The new cluster of an earlier run may only be down: it has all there is, and a second one would have less. */
async function startFormed(cluster: Cluster, there: HostData[]): Promise<void> {
  if ((await voters(cluster)).length > 0) return
  const names = (has: boolean): string[] => there.filter(({ hasData }) => hasData === has).map(({ host }) => host.name)
  if (names(true).length === 0) return
  const start = etcdRole.tasks(cluster, { limit: names(true), variables: { etcd_without: names(false) } })
  try {
    await runPipeline([inOrder('Start what an earlier run has formed', () => start)])
  } catch (error) {
    if (!(error instanceof OperationError) || error instanceof Interrupted) throw error
    run().warnings.push(`The new cluster of an earlier run was formed, and cannot be started: ${error.message}`)
  }
}

/** While a quorum commits there is nothing to recover; but the new cluster of an earlier run of ours commits, too. */
async function refuseQuorum(cluster: Cluster, plan: boolean): Promise<void> {
  const { begun, name, hosts } = cluster
  const able = await voters(cluster)
  if (able.length === 0 || (begun && (!begun.from || able.length === 1))) return
  if (begun && !plan) note(cluster, undefined) // the old cluster came back before a new one was formed
  const silent = hosts.filter(({ clientURL }) => !able.includes(clientURL)).map((host) => host.name)
  const hint =
    silent.length > 0
      ? `Start what is only stopped: ${command(cluster, 'up')}. Rebuild what is lost: ` +
        `${command(cluster, `replace ${silent.join(' ')}`)}`
      : undefined
  throw new OperationError(
    `${name} has a quorum: ${hosts.length - silent.length} of ${hosts.length} members commit. There is ` +
      'nothing to recover, and nothing was changed.',
    {
      hint: hint ?? `See how it is: ${command(cluster, 'verify')}`,
    },
  )
}

/**
 * Hosts and certificates as `up` makes them, and what there is of data. A host that is only off comes back with its
 * data.
 */
async function prepare(cluster: Cluster): Promise<HostData[]> {
  let there: HostData[] = []
  await runPipeline([
    inOrder('vms: bring the hosts up where they are not', () => vms.tasks(cluster)),
    inOrder('pki: make the certificates that are missing', () => pki.tasks(cluster)),
    {
      title: 'See what the hosts have of data',
      task: async () => {
        there = await lookAtMembers(cluster, cluster.hosts)
      },
    },
  ])
  return there
}

/** A member that answers knows better than its log how far it is. */
async function lookAtMembers(cluster: Cluster, hosts: Host[]): Promise<HostData[]> {
  const [there, statuses] = [
    await lookAtData(cluster, hosts),
    await endpointStatus(cluster, { endpoints: hosts.map(({ clientURL }) => clientURL) }),
  ]
  return there.map((one, index) => {
    const status = statuses[index]
    return status?.ok && one.hasData ? { ...one, commit: Math.max(one.commit, status.value.raftAppliedIndex) } : one
  })
}

/** Says what there is, chooses, says what may be lost, and asks. */
async function agree(
  cluster: Cluster,
  there: HostData[],
  from: string | undefined,
  raises: boolean,
): Promise<HostData> {
  const survivor = choose(cluster, there, from)
  const moved = await endMove(cluster, survivor.host)
  if (moved) run().warnings.push(moved)
  if (!run().json) print(`\n${table([['HOST', 'DATA UP TO RAFT INDEX', 'ETCD'], ...there.map(row)])}\n\n`)
  const risk = raises ? [] : [cannotRaise]
  const question = [`Form a new cluster from the data of ${survivor.host.name}?`, loss(there, survivor), moved, ...risk]
  if (!(await confirm([...question, aroundRestore.before].filter(Boolean).join(' '))))
    throw new OperationError('Nothing was changed.')
  return survivor
}

const row = ({ host, hasData, commit, running }: HostData): string[] => [
  host.name,
  hasData ? String(commit) : 'no data',
  running ? 'runs, without a quorum' : 'does not run',
]

const loss = (there: HostData[], { host, commit }: HostData): string => {
  const others = there.filter((one) => one.host !== host && one.hasData).map((one) => one.host.name)
  const aside =
    others.length > 0
      ? ` What ${others.join(' and ')} still ${others.length === 1 ? 'has' : 'have'} of data is moved aside.`
      : ''
  return (
    `Every write after its raft index ${commit} is lost for good, acknowledged ones too.${aside} A ` +
    'copy of its data is kept.'
  )
}

/** @throws OperationError where no new cluster may be formed, with the verb that helps */
function choose(cluster: Cluster, there: HostData[], from: string | undefined): HostData {
  const choice = chooseSurvivor(there, (from ?? cluster.begun?.from) !== undefined, from ?? cluster.begun?.from)
  if ('survivor' in choice) return choice.survivor
  const insist =
    choice.verb === 'up'
      ? ` Only if ${from ? 'those are' : 'all but one are'} lost for good: ${command(cluster, 'recover')} --from HOST`
      : ''
  const helps =
    choice.verb === 'up' && cluster.begun
      ? `See why they do not run: ${command(cluster, 'verify')}; then run the same command again`
      : command(cluster, choice.verb)
  throw new OperationError(`No new cluster is formed: ${choice.refusal}.`, { hint: `${helps}.${insist}` })
}

/**
 * The others are parted from their data first: should two of them come back later, they would be a quorum of the old
 * cluster.
 * @returns up to a cluster of one member that is told at each start to forget the others
 */
function formTasks(cluster: Cluster, { host }: HostData): Task[] {
  const others = cluster.hosts.filter((one) => one !== host)
  return [
    { title: 'Check once more that there is no quorum', task: () => refuseQuorum(cluster, false) },
    {
      title: `Stop ${host.name} and keep a copy of its data`,
      skip: () => cluster.begun?.from === host.name && 'an earlier run did',
      task: async (_, task) => {
        const onSaid = (_host: string, copy: unknown): void => void (task.title += `: ${copy}`)
        await runPlaybook(cluster, { playbook: 'copy-data', limit: [host.name], onSaid })
        run().changes.push(`copied the data of ${host.name}`)
      },
    },
    {
      title: 'Note that the recovery has begun',
      task: () => note(cluster, { verb: 'recover', from: host.name, ...formerTokensOf(cluster.begun) }),
    },
    {
      title: `Stop ${others.map(({ name }) => name).join(' and ')}, and move what they have of data aside`,
      skip: () => others.length === 0,
      task: async () => {
        const onSaid = (name: string, aside: unknown): void =>
          void run().changes.push(`moved the old data of ${name} to ${aside}`)
        await runPlaybook(cluster, {
          playbook: 'set-aside',
          limit: others.map(({ name }) => name),
          variables: { etcd_doctor: false },
          onSaid,
        })
      },
    },
    inOrder(`Start ${host.name} as the only member of a new cluster`, () =>
      alone(cluster, host, { ETCD_FORCE_NEW_CLUSTER: 'true' }),
    ),
  ]
}

/**
 * The same member without that setting, which would undo what follows; and, where etcd's tools can, with a revision
 * that no client has seen.
 */
function settleTasks(cluster: Cluster, host: Host, raises: boolean): Task[] {
  return [
    {
      title: 'Forget the members that are lost',
      skip: () => isRaising(cluster) && 'an earlier run did',
      task: async () => {
        const endpoints = [host.clientURL]
        // Where its log lagged behind its database, etcd may have kept them in its list (etcd-io/etcd#20055).
        for (const { id } of strangers(host, await memberList(cluster, { endpoints })))
          await removeMember(cluster, id, endpoints)
      },
    },
    ...(raises || isRaising(cluster) ? raiseTasks(cluster, host, (begun) => note(cluster, begun)) : []),
    inOrder('Start it again as a member like any other', () => alone(cluster, host, {})),
    {
      title: 'Note that the new cluster is formed',
      task: () => {
        note(cluster, { verb: 'recover', ...formerTokensOf(cluster.begun) })
        forgetSnapshot(cluster)
      },
    },
  ]
}

/** The hosts that come back may still bear the tokens before. */
const formerTokensOf = (begun: Begun | undefined): Partial<Begun> =>
  begun?.formerTokens ? { formerTokens: begun.formerTokens } : {}

const strangers = (host: Host, members: Member[]): Member[] =>
  members.filter((member) => member !== memberOf(host, members))

/** The role on one host, as if it were the only one. */
function alone(cluster: Cluster, { name }: Host, more: Record<string, string>): Task[] {
  const without = cluster.hosts.map((host) => host.name).filter((other) => other !== name)
  return etcdRole.tasks(cluster, {
    limit: [name],
    variables: {
      etcd_environment: { ...cluster.etcd.environment, ...more },
      etcd_without: without,
      etcd_start_timeout: startSeconds,
    },
  })
}

/** Those that do not vote, one at a time. */
async function bringBack(cluster: Cluster): Promise<void> {
  const goals = cluster.hosts.map(({ name }) => ({ host: name }))
  await carryOut(cluster, (seen) => joinAll(seen, goals), await look(cluster))
}

function note(cluster: Cluster, begun: Begun | undefined): void {
  cluster.begun = begun
  recordCluster(cluster)
}

/** Hosts that are not up cannot be looked at; the others are, through copies of inventory and certificates. */
async function steps(copy: Cluster, from: string | undefined): Promise<string[]> {
  const hosts = await hostsThatAreUp(copy)
  const would = [...(await vms.plan(copy)), ...(await pki.plan(copy))]
  if (hosts.length === 0)
    return [...would, 'see what they have of data, and form a new cluster from the member that goes furthest']
  const there = await lookAtMembers(copy, hosts)
  const survivor = choose(copy, there, from)
  const others = copy.hosts.filter((host) => host !== survivor.host).map(({ name }) => name)
  const moved = await endMove(copy, survivor.host)
  const { raises } = await restoreTool(copy)
  return [
    aroundRestore.plan.first,
    ...(moved ? [`beware: ${moved}`] : []),
    ...(raises ? [] : [`beware: ${cannotRaise}`]),
    ...would,
    `stop ${survivor.host.name} and keep a copy of its data (raft index ${survivor.commit})`,
    ...(others.length > 0 ? [`stop ${others.join(' and ')}, and move what they have of data aside`] : []),
    `start ${survivor.host.name} as the only member of a new cluster. ${loss(there, survivor)}`,
    ...(raises ? ['raise its revision above all that clients have seen: restore its data under a new token'] : []),
    ...others.map((name) => `add ${name} as a learner, start it, and let it vote once it has caught up`),
    'verify',
    aroundRestore.plan.last,
  ]
}
