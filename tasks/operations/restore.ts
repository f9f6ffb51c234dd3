// restore: the whole cluster from one snapshot, as a cluster of its own. What can fail does so before any member is stopped.
import { withCopies } from '../copies.ts'
import { checkTasks, questionsOf } from '../core/check.ts'
import type { Begun, Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { concurrently, inOrder, runPipeline, type Task } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { age, bytes } from '../core/terminal.ts'
import { endpointStatus } from '../etcd/etcdctl.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { reachMembers } from '../etcd/reach.ts'
import { restoreTool } from '../etcd/snapshot.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as pki from '../pki/index.ts'
import * as verify from '../verify/index.ts'
import * as vms from '../vms/index.ts'
import { type HostData, hostsThatAreUp, lookAtData } from './host-data.ts'
import { proveSource, readSource, type Source, snapshotFile } from './restore-source.ts'
import { sayDone, sayPlan } from './say.ts'

/** A large database is read whole before a member is healthy. */
const startSeconds = 1800

/** Check, look, agree, stage, swap, start, verify. Run again with the same file after a kill, it goes on where it was. */
export async function restore(cluster: Cluster, given: string, planOnly: boolean): Promise<void> {
  const file = await snapshotFile(given)
  etcdRole.refuseHalfUpgraded(cluster)
  if (planOnly) return sayPlan(cluster, 'restore', await steps(cluster, await readSource(cluster, file)))
  const needed = [...etcdRole.checks(cluster), ...vms.checks(cluster)]
  for (const question of await questionsOf(needed))
    if (!(await confirm(question))) throw new OperationError('Nothing was changed.')
  const { source, there } = await prepare(cluster, file, checkTasks(needed))
  const { begun, token } = beginning(cluster, source)
  await agree(cluster, source, there, token)
  const { bumps } = await restoreTool(cluster)
  await runPipeline([
    { title: 'Restore the snapshot on every host, beside its data', task: () => stage(cluster, source, begun, token) },
    { title: 'Note that the restore has begun', task: () => note(cluster, begun, token) },
    {
      title: 'Stop every member, move its data aside, and put the restored data in its place',
      task: () => take(cluster, begun),
    },
    inOrder('etcd-role: configure and start all members', () =>
      etcdRole.tasks(cluster, { variables: { ...formerTokens(begun), etcd_start_timeout: startSeconds } }),
    ),
    { title: 'Note that the restore is done', task: () => note(cluster, undefined, token) },
    inOrder('verify: prove that the cluster works', () => verify.tasks(cluster, verify.patiently)),
  ])
  if (!bumps)
    run.warnings.push(
      'These programs of etcd cannot raise the revision: start afresh whatever watches this cluster, or keeps what it read of it.',
    )
  const { revision, keys, sha256 } = source
  sayDone(cluster, 'restore', `${cluster.name} holds what the snapshot held (revision ${revision}); it is verified.`, {
    file,
    revision,
    keys,
    sha256,
    token,
    revisionRaised: bumps,
  })
}

/** Hosts and certificates as `up` makes them; nothing of a cluster that is there is touched. */
async function prepare(cluster: Cluster, file: string, checks: Task[]): Promise<{ source: Source; there: HostData[] }> {
  let source: Source | undefined
  let there: HostData[] = []
  const known = async (): Promise<Source> => (source ??= await readSource(cluster, file))
  await runPipeline([
    concurrently('doctor: check what is needed', checks),
    { title: 'Check the snapshot', task: async () => void (await known()) },
    inOrder('vms: bring the hosts up where they are not', () => {
      recordCluster(cluster)
      return vms.tasks(cluster)
    }),
    inOrder('pki: make the certificates that are missing', () => pki.tasks(cluster)),
    {
      title: 'See what the hosts have of data',
      task: async () => {
        there = await lookAtData(cluster)
      },
    },
    {
      title: 'Prove the snapshot: an etcd on this machine comes up on it',
      task: async () => void (source = { ...(await known()), keys: await proveSource(cluster, await known()) }),
    },
  ])
  return { source: await known(), there }
}

/** A run that was killed goes on under its own token; another snapshot begins anew, and replaces what that run put in place. */
function beginning(cluster: Cluster, { file, sha256 }: Source): { begun: Begun; token: string } {
  const { token } = cluster.etcd
  const before = cluster.begun?.verb === 'restore' ? cluster.begun : undefined
  if (before?.sha256 === sha256) return { begun: { ...before, file }, token }
  const moment = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  return {
    begun: { verb: 'restore', file, sha256, formerTokens: [...(before?.formerTokens ?? []), token] },
    token: `${cluster.name}-restored-${moment}Z`,
  }
}

/** Where data would be replaced, says what is lost, and asks. */
async function agree(cluster: Cluster, source: Source, there: HostData[], token: string): Promise<void> {
  const old = there.filter(({ hasData, restored }) => hasData && restored !== token)
  if (old.length === 0) return
  const question = `Replace the data of ${cluster.name} on ${old.map(({ host }) => host.name).join(', ')}? ${await loss(cluster, source)}`
  if (!(await confirm(question))) throw new OperationError('Nothing was changed.')
}

async function loss(cluster: Cluster, source: Source): Promise<string> {
  await reachMembers(cluster)
  const answers = await endpointStatus(cluster)
  const now = Math.max(0, ...answers.map((answer) => (answer.ok ? answer.value.revision : 0)))
  const lost = now > source.revision ? ` (the members are ${now - source.revision} revisions further)` : ''
  return `${described(cluster, source)}. Every write after it is lost${lost}; the data of now stays on each host, moved aside.`
}

function described(cluster: Cluster, { time, revision, keys, sizeBytes, metadata }: Source): string {
  const whose = metadata && metadata.cluster !== cluster.name ? ` of cluster ${metadata.cluster}` : ''
  return `The snapshot${whose} is ${age(Date.now() - time.getTime())} old: revision ${revision}, ${keys === undefined ? '' : `${keys} keys, `}${bytes(sizeBytes)}`
}

/** Disks that are too small, hosts that are out of reach, a transfer that damages: all of it shows here, while the members still run. */
async function stage(cluster: Cluster, { file }: Source, begun: Begun, token: string): Promise<void> {
  const { program, flags } = await restoreTool(cluster)
  const snapshot = { etcd_snapshot: file, etcd_snapshot_tool: program, etcd_snapshot_flags: flags }
  await runPlaybook(cluster, {
    playbook: 'stage-snapshot',
    variables: { ...snapshot, ...formerTokens(begun), etcd_cluster_token: token },
  })
}

const formerTokens = ({ formerTokens = [] }: Begun): Record<string, unknown> => ({ etcd_former_tokens: formerTokens })

function note(cluster: Cluster, begun: Begun | undefined, token: string): void {
  cluster.begun = begun
  cluster.etcd.token = token
  recordCluster(cluster)
}

async function take(cluster: Cluster, begun: Begun): Promise<void> {
  await etcdRole.prepare(cluster) // the inventory has the new token from now on
  const onMessage = (host: string, aside: string): void =>
    void run.changes.push(`moved the old data of ${host} to ${aside}`)
  await runPlaybook(cluster, { playbook: 'take-snapshot', variables: formerTokens(begun), onMessage })
  run.changes.push('restored the data of every member')
}

async function steps(cluster: Cluster, source: Source): Promise<string[]> {
  const { flags } = await restoreTool(cluster)
  const would = await withCopies(cluster, async (copy) => {
    const made = [...(await vms.plan(copy)), ...(await pki.plan(copy))]
    await lookAtData(copy, await hostsThatAreUp(copy)) // it refuses hosts of another cluster
    return made
  })
  return [
    ...would,
    'prove the snapshot: an etcd on this machine comes up on it',
    `restore it on every host, beside the data, under a new token${flags.length > 0 ? ` (${flags.join(' ')})` : ''}. ${described(cluster, source)}`,
    `stop every member of ${cluster.name}, move its data aside, and put the restored data in its place`,
    'start all members, with the role',
    'verify',
  ]
}
