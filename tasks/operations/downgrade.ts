// downgrade: one minor version down by etcd's own API, member by member; or within a minor version. Cancellable.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { runPipeline, type Task } from '../core/pipeline.ts'
import { minorOf } from '../core/programs.ts'
import { sleep } from '../core/run.ts'
import { enableDowngrade } from '../etcd/maintenance.ts'
import { runningVersions } from '../etcd/versions.ts'
import { endTask } from './end-downgrade.ts'
import {
  type Before,
  backupFirst,
  beginTasks,
  type Made,
  type Move,
  openMove,
  plannedBackup,
  plannedTurns,
  rollTasks,
} from './roll.ts'
import { sayDone, sayPlan } from './say.ts'

/** How long every member may take to rewrite its database for the older version, in ms: etcd looks every 4 s. */
const readyMs = 60_000

/**
 * Check the path, guard, enable the downgrade, wait until every database is written for the older version, back up,
 * roll, verify, record. Run again after a kill, it goes on where it was. `cancel`: back to the version that is
 * recorded.
 */
export async function downgrade(
  cluster: Cluster,
  { version, cancel, plan }: { version: string | undefined; cancel: boolean; plan: boolean },
): Promise<void> {
  const wanted = cancel ? cluster.etcd.version : version
  if (!wanted || (cancel && version))
    throw new UsageError('Say --etcd-version V, the older version to go to, or --cancel to take a downgrade back.')
  const { move, before, first } = await openMove('downgrade', cluster, wanted, plan)
  const { from, to } = move
  if (plan) return sayPlan(cluster, 'downgrade', await steps(move, before, first, cancel))
  const begun = cluster.etcd.upgradingTo !== undefined
  const made: Made = {}
  if (cancel && !begun) await runPipeline([endTask(cluster)])
  else if (from !== to || begun)
    await runPipeline([
      ...beginTasks(move),
      ...(cancel ? [endTask(move.now)] : enableTasks(move)),
      // Only now: the older etcd, which may be the only one here, does not start on a newer one's database.
      ...backupFirst(move, before, made),
      ...rollTasks(move, [endTask(move.target)]),
    ])
  const where = made.folder ? `; the backup taken before is in ${made.folder}` : ''
  const inFile = ` Where your configuration names etcd.version, say ${to} there, too.`
  const told = cancel
    ? `No downgrade of ${cluster.name} is enabled; every member runs etcd ${to}.`
    : from === to
      ? `${cluster.name} runs etcd ${to} already.`
      : `${cluster.name} runs etcd ${to} (before: ${from})${where}.${inFile}`
  sayDone(cluster, 'downgrade', told, { from, to, downgraded: from !== to, backup: made.folder })
}

/** Nothing within a minor version: there an older etcd reads what a newer one wrote. */
function enableTasks({ now, from, to }: Move): Task[] {
  const minor = minorOf(to)
  if (minorOf(from) === minor) return []
  const above = async (): Promise<string[]> =>
    (await runningVersions(now)).flatMap((one) =>
      minorOf(one.server) !== minor && (minorOf(one.storage) !== minor || minorOf(one.cluster) !== minor)
        ? [one.host]
        : [],
    )
  return [
    {
      title: `Enable the downgrade to etcd ${minor}`,
      skip: async () => (await above()).length === 0 && 'every member is ready for it',
      task: () => enableDowngrade(now, minor),
    },
    {
      title: `Wait until every database is written for etcd ${minor}`,
      task: async (_, task) => {
        for (const deadline = Date.now() + readyMs; ; await sleep(500)) {
          const waiting = await above()
          if (waiting.length === 0) return
          task.output = `waiting: ${waiting.join(', ')}`
          if (Date.now() > deadline)
            throw new OperationError(
              `${waiting.join(', ')} did not get ready for etcd ${minor}; no member was changed.`,
              {
                hint: `Run the same command again, or take it back: ${command(now, 'downgrade --cancel')}`,
              },
            )
        }
      },
    },
  ]
}

async function steps(move: Move, before: Before, first: string[], cancel: boolean): Promise<string[]> {
  const { now, from, to, there } = move
  const minor = minorOf(to)
  const roll = await plannedTurns(move, before)
  const record = `record that ${now.name} runs etcd ${to}`
  if (cancel) return ['end the downgrade in the cluster', ...(now.etcd.upgradingTo ? [...roll, 'verify', record] : [])]
  if (from === to && !now.etcd.upgradingTo) return []
  return [
    ...first.map((line) => `FIRST: ${line}`),
    there ? `use etcd ${to} in ${there}` : `get etcd ${to}`,
    ...(minorOf(from) === minor
      ? []
      : [`enable the downgrade to etcd ${minor}, and wait until every database is written for it`]),
    ...plannedBackup(move, before),
    ...roll,
    'end the downgrade in the cluster',
    'verify',
    record,
  ]
}
