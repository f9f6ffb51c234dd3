// downgrade: one minor version down by etcd's own API, member by member; or within a minor version. Cancellable.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { runPipeline, type Task } from '../core/pipeline.ts'
import { minorOf } from '../core/programs.ts'
import { sleep } from '../core/run.ts'
import { cancelDowngrade, enableDowngrade } from '../etcd/maintenance.ts'
import { downgradePath } from '../etcd/upgrade-path.ts'
import { runningVersions } from '../etcd/versions.ts'
import { restartTurns } from './in-turn.ts'
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

/** How long every member may take to rewrite its database for the older version, in ms: etcd looks every 4 s. */
const readyMs = 60_000

/**
 * Check the path, guard, back up, enable the downgrade, wait until every database is written for the older version,
 * roll,
 * verify, record. Run again after a kill, it goes on where it was. `cancel`: back to the version that is recorded
 * instead.
 */
export async function downgrade(
  cluster: Cluster,
  { version, cancel, plan }: { version: string | undefined; cancel: boolean; plan: boolean },
): Promise<void> {
  const wanted = cancel ? cluster.etcd.version : version
  if (!wanted || (cancel && version))
    throw new UsageError('Say --etcd-version V, the older version to go to, or --cancel to take a downgrade back.')
  const planned = await plannedMove('downgrade', cluster, wanted)
  const { from, to } = planned
  const path = downgradePath(from, to, cluster.etcd.environment)
  if (path.impossible)
    throw new OperationError(path.impossible, { hint: `See what it runs: ${command(cluster, 'status')}` })
  if (!plan) refuseUnready(planned, path.first)
  const move = await withPrograms(planned)
  if (move.missing && !plan) throw move.missing
  const before = await requireMovable(move)
  if (plan) return sayPlan(cluster, 'downgrade', await steps(move, path.first, cancel))
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
  const inFile = ` Where your configuration names etcd.version, say ${to} there, too.`
  const told = cancel
    ? `No downgrade of ${cluster.name} is enabled; every member runs etcd ${to}.`
    : from === to
      ? `${cluster.name} runs etcd ${to} already.`
      : `${cluster.name} runs etcd ${to} (before: ${from}); the backup taken before is in ${made.folder}.${inFile}`
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

/** etcd ends it by itself once every member runs the older version; a few seconds late. */
const endTask = (cluster: Cluster): Task => ({
  title: 'End the downgrade in the cluster',
  task: () => cancelDowngrade(cluster),
})

async function steps({ now, from, to, there }: Move, first: string[], cancel: boolean): Promise<string[]> {
  const minor = minorOf(to)
  const roll = (await restartTurns(now)).map(
    (host) => `restart ${host} with etcd ${to}, and wait until it has caught up`,
  )
  if (cancel) return ['end the downgrade in the cluster', ...(now.etcd.upgradingTo ? [...roll, 'verify'] : [])]
  return [
    ...first.map((line) => `FIRST: ${line}`),
    there ? `use etcd ${to} in ${there}` : `get etcd ${to}`,
    ...(minorOf(from) === minor
      ? []
      : [`enable the downgrade to etcd ${minor}, and wait until every database is written for it`]),
    'take a backup, proven by restoring it',
    ...roll,
    'verify',
    `record that ${now.name} runs etcd ${to}`,
  ]
}
