// upgrade: a newer etcd on every member, one after the other, with a proven backup before and the record last.
// downgrade: one minor version down by etcd's own API, or within a minor version; it can be taken back.
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { compareVersions } from '../core/programs.ts'
import { run } from '../core/run.ts'
import { refusal } from '../etcd/findings.ts'
import { nameFolder, whyNoPrograms, withoutPrograms } from '../etcd/required-programs.ts'
import { downgradePath, upgradePath } from '../etcd/upgrade-path.ts'
import { atVersion } from '../etcd/versions.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { requireData, requireReachable } from '../observe/host-data.ts'
import type { Scope } from '../observe/look.ts'
import { cancelRules, downgradeRules, upgradeRules, whyNotMove } from '../plans/move.ts'
import type { Observation, Rules } from '../plans/types.ts'
import { carryOut, planLines } from './carry-out.ts'
import { endsOnly, lookFirst, obstacleToMove, refuse } from './guard.ts'
import { lookForOldRequests } from './old-requests.ts'
import { refuseFull } from './room.ts'
import { sayDone, sayPlan } from './say.ts'

/**
 * Check the path, guard, back up, get the programs, roll, verify, record. Run again after a kill, it goes on where it
 * was; with the version that is recorded it goes back, as long as not every member runs the new one.
 */
export async function upgrade(cluster: Cluster, { version, plan }: { version: string; plan: boolean }): Promise<void> {
  const begun = cluster.etcd.upgradingTo
  const move = await openMove('upgrade', cluster, version, plan)
  const there = begun
    ? `${cluster.name} runs etcd ${version} again; the way to ${begun} was taken back.`
    : `${cluster.name} runs etcd ${version} already.`
  await makeMove(move, upgradeRules(move.seen, version), plan, there)
}

/**
 * Check the path, guard, enable the downgrade, wait until every database is written for the older version, back up,
 * roll, verify, record. Run again after a kill, it goes on where it was. `cancel`: back to the version that is
 * recorded.
 */
export async function downgrade(
  cluster: Cluster,
  { version, cancel, plan }: { version: string | undefined; cancel: boolean; plan: boolean },
): Promise<void> {
  const to = cancel ? cluster.etcd.version : version
  if (!to || (cancel && version))
    throw new UsageError('Say --etcd-version V, the older version to go to, or --cancel to take a downgrade back.')
  const move = await openMove('downgrade', cluster, to, plan, cancel)
  const rules = cancel && !cluster.etcd.upgradingTo ? cancelRules : downgradeRules(move.seen, to)
  const there = cancel
    ? `No downgrade of ${cluster.name} is enabled; every member runs etcd ${to}.`
    : `${cluster.name} runs etcd ${to} already.`
  await makeMove(move, rules, plan, there)
}

/** A change of version that may be made. */
interface Move {
  verb: 'upgrade' | 'downgrade'
  cluster: Cluster
  /** The version that is recorded, and the one to go to: the same one where a move is taken back. */
  from: string
  to: string
  seen: Observation
  scope: Scope
  /** What must be done before, and what is to be known, a sentence each; the former is empty but for a plan. */
  first: string[]
  beware: string[]
}

/**
 * Looks whether the move may be made, and with which programs. Nothing is changed or fetched.
 * @throws UsageError where no way leads there @throws OperationError, but for a plan, where something comes first
 */
async function openMove(
  verb: Move['verb'],
  cluster: Cluster,
  to: string,
  plan: boolean,
  cancel = false,
): Promise<Move> {
  refuseOtherMove(verb, cluster, to)
  const from = cluster.etcd.version ?? ''
  const path = verb === 'upgrade' ? upgradePath : downgradePath
  const { impossible, first, beware } = path(from, to, cluster.etcd.environment)
  if (impossible)
    throw new UsageError(`${impossible} Nothing was changed.`, {
      hint: `See what it runs: ${command(cluster, 'status')}`,
    })
  if (!plan) refuseUnready(cluster, to, first)
  const lacking = await whyNoPrograms(atVersion(cluster, to))
  if (lacking && !plan) throw withoutPrograms(lacking, to)
  // A person's own folder has the version to move to; every etcdctl reads every member.
  cluster.etcd.looksOnly = true
  const scope = { membersOnly: true, version: to }
  const { seen, hosts } = await requireMovable(cancel ? 'downgrade --cancel' : verb, cluster, to, scope)
  const { refusals, uncovered } = await lookForOldRequests(cluster, hosts, to)
  if (!plan) refuseUnready(cluster, to, refusals)
  // What a plan says to do first makes the programs be there.
  const assumed = { ...seen, uncovered, programs: lacking ? to : seen.programs }
  const all = [...first, ...(lacking ? [nameFolder(to)] : []), ...refusals]
  return { verb, cluster, from, to, seen: assumed, scope, first: all, beware }
}

/** @throws UsageError for what is no version @throws OperationError while a move to another version is half done */
function refuseOtherMove(verb: string, cluster: Cluster, to: string): void {
  if (!/^\d+\.\d+\.\d+$/.test(to))
    throw new UsageError(`--etcd-version must be a version like 3.5.32, not ${JSON.stringify(to)}.`)
  const { version: from = '', upgradingTo: begun } = cluster.etcd
  const otherWay = begun !== undefined && compareVersions(begun, from) < 0 !== (verb === 'downgrade')
  if (begun && (otherWay || (begun !== to && to !== from))) etcdRole.refuseHalfUpgraded(cluster)
}

/** @throws OperationError where something must be done first */
function refuseUnready({ name }: Cluster, to: string, first: string[]): void {
  if (first.length > 0)
    throw new OperationError(`${name} is not ready for etcd ${to}, and nothing was changed.`, {
      output: first.join('\n'),
      hint: 'Do that first, then run the same command again.',
    })
}

/**
 * That the move may begin, or go on: a run that was killed, or a version that does not start, may have left members
 * down.
 * @returns what was seen, and the hosts whose data count
 */
async function requireMovable(
  verb: string,
  cluster: Cluster,
  to: string,
  scope: Scope,
): Promise<{ seen: Observation; hosts: Host[] }> {
  const { upgradingTo: begun } = cluster.etcd
  // Whom a run that was killed has just restarted may be about to come up.
  const waiting = begun ? { patienceMs: 3000, up: cluster.hosts.map((host) => host.name) } : {}
  const seen = await lookFirst(cluster, { ...scope, ...waiting })
  const { found, down } = obstacleToMove(seen, verb)
  refuse(cluster, found)
  if (endsOnly(verb, begun)) return { seen, hosts: [] }
  const reason = whyNotMove(seen, verb === 'upgrade' ? verb : 'downgrade', to)
  const unchanged = `${cluster.name} cannot be moved to etcd ${to}, and nothing was changed: `
  if (reason) throw refusal(cluster, reason, unchanged)
  const hosts = cluster.hosts.filter((host) => !seen.members || !down.includes(host.name))
  const there = await requireReachable(cluster, hosts)
  if (seen.members) requireData(cluster, there, unchanged)
  refuseFull(cluster, there)
  return { seen, hosts }
}

/** Carries the move out, or says what it would do. `there`: what is told where no other version came of it. */
async function makeMove(
  { verb, cluster, from, to, seen, scope, first, beware }: Move,
  rules: Rules,
  plan: boolean,
  there: string,
): Promise<void> {
  const before = [...first.map((line) => `FIRST: ${line}`), ...beware.map((line) => `beware: ${line}`)]
  if (plan) return sayPlan(cluster, verb, [...before, ...planLines(cluster, rules, seen)])
  run().warnings.push(...beware)
  if (from !== to && !seen.members)
    run().warnings.push('No backup was taken, since no quorum answered; the one that was taken before stays.')
  const { backups } = await carryOut(cluster, rules, seen, scope)
  const made = backups.find((name) => !seen.backups.includes(name))
  const backup = made && join(cluster.paths.backups, made)
  const kept = backup ? `; the backup taken before is in ${backup}` : ''
  const inFile = `Where your configuration names etcd.version, say ${to} there, too.`
  const told = from === to ? there : `${cluster.name} runs etcd ${to} (before: ${from})${kept}. ${inFile}`
  sayDone(cluster, verb, told, { from, to, [`${verb}d`]: from !== to, backup })
}
