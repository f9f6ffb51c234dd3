// What upgrade and downgrade share: another etcd on every member, one after the other, and the record last.
import { type Cluster, requireRecorded } from '../core/cluster.ts'
import { command, hintOf } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import type { Task } from '../core/pipeline.ts'
import { compareVersions, minorOf } from '../core/programs.ts'
import { recordCluster } from '../core/record.ts'
import { findEtcd, ownPrograms } from '../etcd/binaries.ts'
import { canFetch, fetchEtcd } from '../etcd/fetch.ts'
import { voters } from '../etcd/member-changes.ts'
import { downgradePath, refusalOfMix, upgradePath } from '../etcd/upgrade-path.ts'
import { type RunningVersion, runningVersions } from '../etcd/versions.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { look } from '../observe/look.ts'
import { inOrderOfRisk } from '../plans/in-turn.ts'
import * as verify from '../verify/index.ts'
import { backupTasks } from './backup.ts'
import type { BackupMetadata } from './backup-store.ts'
import { refuseWhileDowngrading, requireHealthy } from './guard.ts'
import { requireReachable } from './host-data.ts'

/** A change of version that is about to be made. */
export interface Move {
  verb: 'upgrade' | 'downgrade'
  cluster: Cluster
  /** The version that is recorded, and the one to go to: the same one where a move is taken back. */
  from: string
  to: string
  /** The cluster as it is to be: its programs have the new version and no other. */
  target: Cluster
  /** The cluster with the programs to ask it with: a person's own folder holds one version, from now on the new one. */
  now: Cluster
  /** The folder of the new version's programs, where they are there already. */
  there: string | undefined
  /** Where they are not to be had. */
  missing: UsageError | undefined
}

/** What a verb begins with. `first`: what must be done before, a sentence each; empty but for a plan. */
export interface Opened {
  move: Move
  before: Before
  first: string[]
  beware: string[]
}

/**
 * Looks whether the move may be made, and with which programs. Nothing is changed or fetched.
 * @throws OperationError where no way leads there; and, but for a plan, where something must be done first
 */
export async function openMove(verb: Move['verb'], cluster: Cluster, version: string, plan: boolean): Promise<Opened> {
  const planned = plannedMove(verb, cluster, version)
  const { from, to } = planned
  const { impossible, first, beware } = (verb === 'upgrade' ? upgradePath : downgradePath)(
    from,
    to,
    cluster.etcd.environment,
  )
  if (impossible) throw new OperationError(impossible, { hint: `See what it runs: ${command(cluster, 'status')}` })
  if (!plan) refuseUnready(planned, first)
  const move = await withPrograms(planned)
  if (move.missing && !plan) throw move.missing
  const before = await requireMovable(move)
  return { move, before, first: [...first, ...(move.missing?.more.hint ? [move.missing.more.hint] : [])], beware }
}

/** @throws UsageError for what is no version @throws OperationError while a move to another version is half done */
function plannedMove(verb: Move['verb'], cluster: Cluster, to: string): Move {
  requireRecorded(cluster)
  if (!/^\d+\.\d+\.\d+$/.test(to))
    throw new UsageError(`--etcd-version must be a version like 3.5.32, not ${JSON.stringify(to)}.`)
  const from = cluster.etcd.version ?? ''
  const begun = cluster.etcd.upgradingTo
  const otherWay = begun !== undefined && compareVersions(begun, from) < 0 !== (verb === 'downgrade')
  if (begun && (otherWay || (begun !== to && to !== from))) etcdRole.refuseHalfUpgraded(cluster)
  const target: Cluster = { ...cluster, etcd: { ...cluster.etcd, version: to, upgradingTo: undefined } }
  return { verb, cluster, from, to, target, now: cluster, there: undefined, missing: undefined }
}

/** The same move, with what is known of the new version's programs. Nothing is fetched. */
async function withPrograms(move: Move): Promise<Move> {
  const { target, cluster } = move
  const { binaries, version } = target.etcd
  const hint = `Name with etcd.binaries a folder that has etcd ${version}; then run this again.`
  const lacking = (message: string): Move => ({ ...move, missing: new UsageError(message, { hint }) })
  if (binaries) {
    const mine = await ownPrograms(target).catch(usageError)
    if (mine instanceof UsageError) return lacking(mine.message)
    if (mine.version !== version)
      return lacking(`etcd.binaries: ${mine.folder} has etcd ${mine.version}, not ${version}.`)
    return { ...move, there: mine.folder, now: target }
  }
  const there = (await findEtcd(target))?.folder
  if (there || (version && (await canFetch(version, target.etcd.source)))) return { ...move, there, now: cluster }
  return lacking(`etcd ${version} is not the distribution's, as etcd.source asks.`)
}

function usageError(error: unknown): UsageError {
  if (error instanceof UsageError) return error
  throw error
}

/** @throws OperationError where something must be done first */
export function refuseUnready({ cluster, to }: Move, first: string[]): void {
  if (first.length > 0)
    throw new OperationError(`${cluster.name} is not ready for etcd ${to}, and nothing was changed.`, {
      output: first.join('\n'),
      hint: 'Do that first; then run this again.',
    })
}

/** How the members are before a move. */
export interface Before {
  /** Whether a quorum commits: only then can a backup be taken. */
  commits: boolean
  down: string[]
  /** The members that answer. */
  running: RunningVersion[]
}

/**
 * That the move may begin, or go on: a run that was killed, or a version that does not start, may have left members
 * down.
 * The way back is open as long as the cluster works at the minor version that it leads to: etcd raises that only once
 * every member runs the next (etcd's upgrade guides, chapter on downgrading before the upgrade is done).
 */
async function requireMovable({ verb, cluster, now, from, to }: Move): Promise<Before> {
  const begun = cluster.etcd.upgradingTo !== undefined
  const running = await runningVersions(now)
  const down = begun
    ? now.hosts.map(({ name }) => name).filter((name) => !running.some(({ host }) => host === name))
    : []
  const commits = !begun || (running.length > 0 && (await voters(now)).length > 0)
  if (commits) await requireHealthy(now, { allowDown: down })
  if (commits && verb === 'upgrade') await refuseWhileDowngrading(now)
  const servers = [...new Set(running.map(({ server }) => server))]
  const raised = running.find((one) => minorOf(one.cluster) !== minorOf(to) && minorOf(one.server) !== minorOf(to))
  const reason =
    refusalOfMix(servers, from, cluster.etcd.upgradingTo ?? to) ||
    (!begun && servers.length > 1 ? `members run etcd ${servers.join(' and ')}, and no ${verb} was begun here` : '') ||
    (from === to && verb === 'upgrade' && raised
      ? `all members run etcd ${raised.server} already: there is no way back to ${from}`
      : '')
  if (reason)
    throw new OperationError(`${now.name} cannot be moved to etcd ${to}, and nothing was changed: ${reason}.`, {
      hint: `See what each runs: ${command(now, 'status')}`,
    })
  await requireReachable(now, commits ? now.hosts.filter(({ name }) => !down.includes(name)) : now.hosts)
  return { commits, down, running }
}

/** Gets the programs, and notes that the move has begun. */
export function beginTasks({ cluster, target, from, to, there }: Move): Task[] {
  return [
    {
      title: `Get etcd ${to}`,
      skip: () => there !== undefined && `it is in ${there}`,
      task: async (_, task) => {
        const { told } = await fetchEtcd(target, (line) => void (task.output = line))
        task.title = `Get etcd ${to}: ${told}`
      },
    },
    ...(from === to
      ? []
      : [{ title: `Note that the way to etcd ${to} has begun`, task: () => note(cluster, from, to) }]),
  ]
}

/** Why no backup is taken; '' where one is. */
function whyNoBackup({ from, to }: Move, { commits }: Before): string {
  if (from === to) return 'the one that was taken before the change stays'
  return commits ? '' : 'no quorum answers; the one before stays'
}

/** A backup, where one can be had; the way back takes none. */
export function backupFirst(move: Move, before: Before, made: Made): Task[] {
  const why = whyNoBackup(move, before)
  return why ? [{ title: `Take no backup: ${why}`, task: () => undefined }] : backupTasks(move.now, made)
}

/** What that is in a plan. */
export const plannedBackup = (move: Move, before: Before): string[] =>
  whyNoBackup(move, before) ? [] : ['take a backup, proven by restoring it']

/** The members that do not run the version yet, in their turn; one that does is left as it is. */
export async function plannedTurns({ now, to }: Move, { running }: Before): Promise<string[]> {
  const runs = (host: string): string | undefined => running.find((one) => one.host === host)?.server
  const seen = await look(now)
  const handsOver = (host: string): boolean => host === seen.leader && seen.recorded.length > 1
  return inOrderOfRisk(seen, seen.recorded)
    .filter((host) => runs(host) !== to)
    .map((host) => {
      const told = handsOver(host) ? `${host} (the leader, after handing over)` : host
      return `restart ${told} with etcd ${to} (now ${runs(host) ?? 'down'}), and wait until it has caught up`
    })
}

export interface Made {
  folder?: string
  metadata?: BackupMetadata
}

/**
 * The programs of the new version on every member, the proof, and the record. `after`: what is due before the proof.
 */
export function rollTasks(move: Move, after: Task[] = []): Task[] {
  const { cluster, target, to } = move
  return [
    ...etcdRole.upgradeTasks(target).map((task) => withWayBack(move, task)),
    ...after,
    ...verify.tasks(target, verify.patiently),
    {
      title: `Record that ${cluster.name} runs etcd ${to}`,
      task: async () => {
        await requireAll(target, to)
        note(cluster, to, undefined)
      },
    },
  ]
}

/** A member that does not come up on the new version is what the way back is for. */
function withWayBack({ verb, cluster, from, to }: Move, task: Task): Task {
  const words = verb === 'upgrade' ? `upgrade --etcd-version ${from}` : 'downgrade --cancel'
  return {
    ...task,
    task: async (context, wrapper) => {
      try {
        return await task.task(context, wrapper)
      } catch (error) {
        if (!(error instanceof OperationError) || error.exitCode !== 1 || from === to) throw error
        const { verb: _, ...more } = error.more
        const helps = hintOf(cluster, error.more)
        const hint = `${helps} The same command goes on; this takes it back: ${command(cluster, words)}`
        throw new OperationError(error.message, { ...more, hint: hint.trim() })
      }
    },
  }
}

function note(cluster: Cluster, version: string, upgradingTo: string | undefined): void {
  cluster.etcd.version = version
  cluster.etcd.upgradingTo = upgradingTo === version ? undefined : upgradingTo
  recordCluster(cluster)
}

async function requireAll(target: Cluster, to: string): Promise<void> {
  const running = await runningVersions(target)
  const other = target.hosts.find(({ name }) => !running.some(({ host, server }) => host === name && server === to))
  const runs = running.find(({ host }) => host === other?.name)?.server
  if (other)
    throw new OperationError(`${other.name} runs ${runs ? `etcd ${runs}` : 'nothing'}, not etcd ${to}.`, {
      hint: 'Run the same command again.',
    })
}
