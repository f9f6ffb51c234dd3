// downgrade: one minor version down by etcd's own API, member by member; or within a minor version. Cancellable.
import type { Cluster } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import { cancelRules, downgradeRules } from '../plans/move.ts'
import { makeMove, openMove } from './roll.ts'

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
