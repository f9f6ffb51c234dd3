// upgrade: a newer etcd on every member, one after the other, with a proven backup before and the record last.
import type { Cluster } from '../core/cluster.ts'
import { runPipeline } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { coverTasks, lookForOldRequests, type OldRequests } from './old-requests.ts'
import {
  type Before,
  backupFirst,
  beginTasks,
  type Made,
  type Move,
  type Opened,
  openMove,
  plannedBackup,
  plannedTurns,
  refuseUnready,
  rollTasks,
} from './roll.ts'
import { sayDone, sayPlan } from './say.ts'

/**
 * Check the path, guard, back up, get the programs, roll, verify, record. Run again after a kill, it goes on where it
 * was; with the version that is recorded it goes back, as long as not every member runs the new one.
 */
export async function upgrade(cluster: Cluster, { version, plan }: { version: string; plan: boolean }): Promise<void> {
  const { move, before, first, beware } = await openMove('upgrade', cluster, version, plan)
  const { from, to } = move
  const begun = cluster.etcd.upgradingTo
  const old = await lookForOldRequests(move, before)
  const isThere = from === to && !begun
  if (plan) {
    const all = { first: [...first, ...old.refusals], beware }
    return sayPlan(cluster, 'upgrade', isThere ? [] : await steps(move, before, all, old))
  }
  refuseUnready(move, old.refusals)
  if (isThere)
    return sayDone(cluster, 'upgrade', `${cluster.name} runs etcd ${to} already.`, { from, to, upgraded: false })
  const made: Made = {}
  run().warnings.push(...beware)
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
  move: Move,
  before: Before,
  { first, beware }: Pick<Opened, 'first' | 'beware'>,
  { uncovered }: OldRequests,
): Promise<string[]> {
  const { now, to, there } = move
  const names = uncovered.map(({ host }) => host.name).join(', ')
  return [
    ...first.map((line) => `FIRST: ${line}`),
    ...beware.map((line) => `beware: ${line}`),
    ...plannedBackup(move, before),
    there || now.etcd.binaries
      ? `use etcd ${to} in ${there ?? 'that folder'}`
      : `get etcd ${to}: the official release, else built with Go, else the distribution's package`,
    ...(names
      ? [`restart ${names}, one at a time, so that each takes a snapshot, without which 3.7 does not start`]
      : []),
    ...(await plannedTurns(move, before)),
    'verify',
    `record that ${now.name} runs etcd ${to}`,
  ]
}
