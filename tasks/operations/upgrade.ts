// upgrade: a newer etcd on every member, one after the other, with a proven backup before and the record last.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { runPipeline } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { upgradePath } from '../etcd/upgrade-path.ts'
import { restartTurns } from './in-turn.ts'
import { coverTasks, lookForOldRequests, type OldRequests } from './old-requests.ts'
import {
  backupFirst,
  beginTasks,
  type Made,
  type Move,
  plannedMove,
  refuseUnready,
  requireMovable,
  rollTasks,
  withPrograms,
} from './roll.ts'
import { sayDone, sayPlan } from './say.ts'

/**
 * Check the path, guard, back up, get the programs, roll, verify, record. Run again after a kill, it goes on where it
 * was; with
 * the version that is recorded it goes back, as long as not every member runs the new one.
 */
export async function upgrade(cluster: Cluster, { version, plan }: { version: string; plan: boolean }): Promise<void> {
  const planned = await plannedMove('upgrade', cluster, version)
  const { from, to } = planned
  const begun = cluster.etcd.upgradingTo
  const path = upgradePath(from, to, cluster.etcd.environment)
  if (path.impossible)
    throw new OperationError(path.impossible, { hint: `See what it runs: ${command(cluster, 'status')}` })
  if (!plan) refuseUnready(planned, path.first)
  const move = await withPrograms(planned)
  if (move.missing && !plan) throw move.missing
  const before = await requireMovable(move)
  const old = await lookForOldRequests(move, before)
  if (plan) {
    const first = [...path.first, ...(move.missing ? [move.missing.more.hint ?? ''] : []), ...old.refusals]
    return sayPlan(cluster, 'upgrade', await steps(move, first, path.beware, old))
  }
  refuseUnready(move, old.refusals)
  if (from === to && !begun)
    return sayDone(cluster, 'upgrade', `${cluster.name} runs etcd ${to} already.`, { from, to, upgraded: false })
  const made: Made = {}
  run().warnings.push(...path.beware)
  await runPipeline([
    ...backupFirst(move, before, made),
    ...beginTasks(move),
    ...coverTasks(move, old.uncovered),
    ...rollTasks(move),
  ])
  const where = made.folder ? `; the backup taken before is in ${made.folder}` : ''
  const inFile = ` Where your configuration names etcd.version, say ${to} there, too.`
  const told =
    from === to
      ? `${cluster.name} runs etcd ${to} again; the way to ${begun} was taken back.`
      : `${cluster.name} runs etcd ${to} (before: ${from})${where}.${inFile}`
  sayDone(cluster, 'upgrade', told, { from, to, upgraded: from !== to, backup: made.folder })
}

async function steps(
  { now, from, to, there }: Move,
  first: string[],
  beware: string[],
  { uncovered }: OldRequests,
): Promise<string[]> {
  const names = uncovered.map(({ host }) => host.name).join(', ')
  return [
    ...first.map((line) => `FIRST: ${line}`),
    ...beware.map((line) => `beware: ${line}`),
    there || now.etcd.binaries
      ? `use etcd ${to} in ${there ?? 'that folder'}`
      : `get etcd ${to}: the official release, else built with Go, else the distribution's package`,
    'take a backup, proven by restoring it',
    ...(names
      ? [`restart ${names}, one at a time, so that each takes a snapshot, without which 3.7 does not start`]
      : []),
    ...(await restartTurns(now)).map(
      (host) => `restart ${host} with etcd ${to} (now ${from}), and wait until it has caught up`,
    ),
    'verify',
    `record that ${now.name} runs etcd ${to}`,
  ]
}
