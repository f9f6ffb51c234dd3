// restore: the whole cluster from one snapshot, as a cluster of its own. What can fail does so before any member is
// stopped.
import { rmSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { withCopies, withScratch } from '../copies.ts'
import { findAnsible } from '../core/ansible.ts'
import { agreeTo, checkTasks } from '../core/check.ts'
import { type Begun, type Cluster, type Host, refuseHalfDone } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import type { Flags } from '../core/flags.ts'
import { concurrently, inOrder, type Task } from '../core/pipeline.ts'
import { noteReplacing, recordCluster } from '../core/record.ts'
import { clock, run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { age, bytes } from '../core/terminal.ts'
import { findEtcd } from '../etcd/binaries.ts'
import { voters } from '../etcd/member-changes.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { reachMembers } from '../etcd/reach.ts'
import { raiseFlags, restoreTool, sumFlags } from '../etcd/snapshot.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type HostData, hostsThatAreUp, lookAtData } from '../observe/host-data.ts'
import * as vms from '../vms/index.ts'
import { aroundRestore } from './clients.ts'
import { endInherited } from './end-downgrade.ts'
import { endMove } from './end-move.ts'
import { type FetchOptions, fetchBackup, fetchedFolder, planFetch } from './fetch-backup.ts'
import { hostStepsOf } from './lost-authority.ts'
import { proveSource, readSource, type Source, snapshotFile } from './restore-source.ts'
import { cannotRaise, newToken, type Reached, raisedRevision, reachedBefore, unknownPast } from './revision.ts'
import { refuseSmall } from './room.ts'
import { sayDone, sayPlan } from './say.ts'
import { doSteps, look, lower, planOfSteps, proveItWorks, type Step } from './steps.ts'

/** A large database is read whole before a member is healthy. */
const startSeconds = 1800

export interface RestoreOptions {
  /** Take a member's own database, too, which has no checksum. */
  skipHashCheck: boolean
  /** The highest revision that clients have seen, where a person knows it. */
  above: number | undefined
  plan: boolean
  /** What is done before: lines of the plan. */
  before?: string[]
}

/** Check, look, agree, stage, swap, start, verify. Run again after a kill, it goes on where it was. */
export async function restore(
  cluster: Cluster,
  given: string,
  { skipHashCheck, above, plan, before = [] }: RestoreOptions,
): Promise<void> {
  if (cluster.begun?.verb === 'adopt') refuseHalfDone(cluster)
  const file = await snapshotFile(cluster, given, skipHashCheck)
  if (cluster.etcd.upgradingTo) await refuseWhileMovable(cluster)
  if (plan) {
    const would = await planned(cluster, await readSource(cluster, file), above)
    return sayPlan(cluster, 'restore', [...before, ...would])
  }
  const needed = [...etcdRole.checks(cluster), ...vms.checks(cluster)]
  await agreeTo(needed)
  const agreed = await agreeFirst(cluster, file, above)
  const found = await weigh(cluster, await prepare(cluster, file, checkTasks(needed)), above)
  await agree(cluster, found, agreed)
  const { source, past, begun, token } = found
  const moved = await endMove(cluster)
  if (moved) run().warnings.push(moved)
  cluster.highestRevision = Math.max(past.highest, begun.revision ?? 0)
  // its revision goes back: backups of before say nothing of what is newer
  if (!begun.revision) cluster.life = undefined
  await doSteps(replaceSteps(cluster, source, begun, token))
  if (!begun.revision) run().warnings.push(cannotRaise)
  const { revision, keys, sha256 } = source
  const raised = begun.revision ? `, raised to ${begun.revision}` : ''
  const done = `${cluster.name} holds what the snapshot held (revision ${revision}${raised}); it is verified.`
  const isCopy = source.metadata !== undefined && source.metadata.cluster !== cluster.name
  sayDone(cluster, 'restore', isCopy ? done : `${done}\n${aroundRestore.after(cluster)}`, {
    file,
    revision,
    keys,
    sha256,
    token,
    revisionRaised: begun.revision !== undefined,
    raisedTo: begun.revision ?? null,
    clients: aroundRestore.after(cluster),
  })
}

/** As `restore`, of a backup that lies at a target. */
export async function restoreFrom(
  cluster: Cluster,
  from: FetchOptions,
  options: RestoreOptions,
  flags: Flags,
): Promise<void> {
  if (!options.plan) {
    const { folder, cluster: known } = await fetchBackup(cluster, from, flags)
    return restore(known, folder, options)
  }
  await withScratch(cluster, async (scratch) => {
    const { would, file } = await planFetch(cluster, from, scratch)
    if (would.length === 1) return restore(cluster, file, { ...options, before: would })
    sayPlan(cluster, 'restore', [...would, `restore it on the hosts of that record, and all that belongs to it`])
  })
}

/** A move to another etcd that was begun is finished or taken back, as long as a quorum is there for it. */
async function refuseWhileMovable(cluster: Cluster): Promise<void> {
  await reachMembers(cluster)
  if ((await voters(cluster)).length > 0) etcdRole.refuseHalfUpgraded(cluster)
}

/** Hosts and certificates as `up` makes them; nothing of a cluster that is there is touched. */
async function prepare(cluster: Cluster, file: string, checks: Task[]): Promise<Prepared> {
  let source: Source | undefined
  let there: HostData[] = []
  const known = async (): Promise<Source> => (source ??= await readSource(cluster, file))
  await doSteps([
    concurrently('doctor: check what is needed', checks),
    look('Check the snapshot', async () => void (await known())),
    ...hostStepsOf(cluster),
    look('See what the hosts have of data', async () => void (there = await lookAtRoom(cluster, await known()))),
    look(
      proofTitle,
      async () => void (source = { ...(await known()), keys: await proveSource(cluster, await known()) }),
    ),
  ])
  return { source: await known(), there }
}

/**
 * Refuses hosts of another cluster, and those without room for the restored data beside the old; over ssh the snapshot
 * itself comes, too.
 */
async function lookAtRoom(cluster: Cluster, { sizeBytes }: Source, hosts?: Host[]): Promise<HostData[]> {
  const there = await lookAtData(cluster, hosts)
  if (!cluster.begun) refuseSmall(cluster, there, () => sizeBytes * (cluster.provider === 'local' ? 1 : 2))
  return there
}

const proofTitle = 'Prove the snapshot: an etcd on this machine comes up on it'

/** What replaces the data of every member; `begun`: what the record says of it until it is done. */
function replaceSteps(cluster: Cluster, source: Source, begun: Begun, token: string): Step[] {
  const raise = begun.revision ? `, its revision raised to ${begun.revision}` : ''
  return [
    {
      title: 'Restore the snapshot on every host, beside its data',
      task: () => stage(cluster, source, begun, token),
      would: [`restore it on every host, beside the data, under a new token${raise}. ${described(cluster, source)}`],
    },
    { title: 'Note that the restore has begun', task: () => note(cluster, begun, token) },
    {
      title: 'Stop every member, move its data aside, and put the restored data in its place',
      task: () => take(cluster),
    },
    inOrder('etcd-role: configure and start all members', () =>
      etcdRole.tasks(cluster, { variables: { etcd_start_timeout: startSeconds, etcd_restored: true } }),
    ),
    {
      title: 'Note that the restore is done',
      task: () => {
        noteReplacing(cluster.paths, {})
        rmSync(fetchedFolder(cluster), { recursive: true, force: true })
        note(cluster, undefined, token)
      },
    },
    { ...endInherited(cluster), would: [] },
    proveItWorks(cluster),
  ]
}

/** The revisions that the cluster had before, and the one that the snapshot is raised to; none where etcd cannot. */
interface Past extends Reached {
  live: number
  target: number | undefined
}

/** What a restore comes upon, and with what it begins or goes on. */
interface Found {
  source: Source
  there: HostData[]
  past: Past
  begun: Begun
  token: string
}

type Prepared = Pick<Found, 'source' | 'there'>

async function weigh(cluster: Cluster, { source, there }: Prepared, above: number | undefined): Promise<Found> {
  const reached = await reachedBefore(cluster, above)
  const { raises } = await restoreTool(cluster)
  const past = { ...reached, target: raises ? raisedRevision(reached, source.revision) : undefined }
  return { source, there, past, ...beginning(cluster, source, past.target) }
}

/** A killed run goes on under its token, to its revision: members must agree in both. Another snapshot: new ones. */
function beginning(cluster: Cluster, { file, sha256 }: Source, revision?: number): Pick<Found, 'begun' | 'token'> {
  const { begun: before, etcd } = cluster
  if (before?.verb === 'restore' && before.sha256 === sha256) return { begun: { ...before, file }, token: etcd.token }
  const formerTokens = [...(before?.formerTokens ?? []), etcd.token]
  return {
    begun: { verb: 'restore', file, sha256, formerTokens, ...(revision && { revision }) },
    token: newToken(cluster, 'restored'),
  }
}

/** What a person has agreed to: that these hosts' data are replaced, and that clients could be misled. */
interface Agreed {
  old: string[]
  risks: string[]
}

/** Asks before anything takes time, by what can be seen by then: hosts that are up, with the programs that are here. */
async function agreeFirst(cluster: Cluster, file: string, above: number | undefined): Promise<Agreed | undefined> {
  if (run().yes || !(await findAnsible()) || !(await findEtcd(cluster))) return undefined
  let foreseen: Found | undefined
  await doSteps([
    look('See what would be lost', async () => {
      const source = await readSource(cluster, file)
      foreseen = await withCopies(cluster, (copy) => foresee(copy, source, above))
    }),
  ])
  return foreseen ? agree(cluster, foreseen) : undefined
}

/** Where data would be replaced, or clients could be misled, says what is lost, and asks; once for the same. */
async function agree(cluster: Cluster, found: Found, agreed: Agreed = { old: [], risks: [] }): Promise<Agreed> {
  const { source, there, past, token } = found
  const old = there.filter(({ restored, hasData }) => hasData && restored !== token).map(({ host }) => host.name)
  const risks = risksOf(past)
  if (old.every((name) => agreed.old.includes(name)) && risks.length <= agreed.risks.length) return agreed
  const what = old.length > 0 ? `Replace the data of ${cluster.name} on ${old.join(', ')}?` : `Restore ${cluster.name}?`
  const lost = old.length > 0 ? [loss(cluster, source, past)] : []
  const words = [what, `${described(cluster, source)}.`, ...lost, ...risks]
  if (!(await confirm([...words, aroundRestore.before(cluster)].join(' '))))
    throw new OperationError('Nothing was changed.')
  return { old, risks }
}

/** What clients that watch or cache may suffer, in sentences. */
const risksOf = ({ known, target }: Past): string[] =>
  target === undefined ? [cannotRaise] : known ? [] : [unknownPast(target)]

/** Revisions of two clusters say nothing of each other. */
export function loss(
  { name }: Pick<Cluster, 'name'>,
  { revision, metadata }: { revision: number; metadata: { cluster: string } | undefined },
  { live }: Pick<Past, 'live'>,
): string {
  if (metadata && metadata.cluster !== name)
    return `Nothing of ${name} is in it: all of that is lost; the data of now stays on each host, moved aside.`
  const lost = live > revision ? ` (the members are ${live - revision} revisions further)` : ''
  return `Every write after it is lost${lost}; the data of now stays on each host, moved aside.`
}

function described(cluster: Cluster, { file, time, revision, keys, sizeBytes, metadata }: Source): string {
  const isOtherLife = metadata?.life !== undefined && cluster.life !== undefined && metadata.life !== cluster.life
  const whose =
    metadata && metadata.cluster !== cluster.name
      ? ` of cluster ${metadata.cluster}`
      : isOtherLife
        ? `, of another cluster that was called ${cluster.name}, or of this one before it was restored,`
        : ''
  const name = metadata ? ` ${basename(dirname(file))}` : ''
  return (
    `The snapshot${name}${whose} is ${age(clock() - time.getTime())} old: revision ${revision}, ` +
    `${keys === undefined ? '' : `${keys} keys, `}${bytes(sizeBytes)}`
  )
}

/** Small disks, hosts out of reach, a transfer that damages: all of it shows here, while the members still run. */
async function stage(cluster: Cluster, { file, revision }: Source, begun: Begun, token: string): Promise<void> {
  await runPlaybook(cluster, {
    playbook: 'stage-snapshot',
    variables: {
      etcd_snapshot: file,
      etcd_snapshot_tool: (await restoreTool(cluster)).program,
      etcd_snapshot_flags: [...(await sumFlags(file)), ...(begun.revision ? raiseFlags(revision, begun.revision) : [])],
      etcd_former_tokens: begun.formerTokens ?? [],
      etcd_cluster_token: token,
    },
  })
}

function note(cluster: Cluster, begun: Begun | undefined, token: string): void {
  cluster.begun = begun
  cluster.etcd.token = token
  recordCluster(cluster)
}

async function take(cluster: Cluster): Promise<void> {
  await etcdRole.prepare(cluster) // the inventory has the new token from now on, and the former ones
  const onSaid = (host: string, aside: unknown): void =>
    void run().changes.push(`moved the old data of ${host} to ${aside}`)
  await runPlaybook(cluster, { playbook: 'take-snapshot', onSaid })
  run().changes.push('restored the data of every member')
}

/** Found before hosts are brought up, as far as it can be seen then; `would`: what brings these up. */
async function foresee(copy: Cluster, source: Source, above: number | undefined): Promise<Found & { would: string[] }> {
  const would = await planOfSteps(hostStepsOf(copy))
  const there = await lookAtRoom(copy, source, await hostsThatAreUp(copy))
  return { would, ...(await weigh(copy, { source, there }, above)) }
}

async function planned(cluster: Cluster, source: Source, above: number | undefined): Promise<string[]> {
  return withCopies(cluster, async (copy) => {
    const { would, past, begun, token } = await foresee(copy, source, above)
    return [
      aroundRestore.plan.first(cluster),
      ...risksOf(past).map((risk) => `beware: ${risk}`),
      ...would,
      lower(proofTitle),
      ...(await planOfSteps(replaceSteps(copy, source, begun, token))),
      aroundRestore.plan.last,
    ]
  })
}
