// upgrade: a newer etcd on every member, one after the other, with a proven backup before and the record last.
import type { Cluster } from '../core/cluster.ts'
import { upgradeRules } from '../plans/move.ts'
import { makeMove, openMove } from './roll.ts'

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
