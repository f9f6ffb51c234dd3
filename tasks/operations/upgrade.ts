// upgrade: a newer etcd on every member, one after the other, with a proven backup before and the record last.
import type { Cluster } from '../core/cluster.ts'
import { upgradeRules } from '../plans/move.ts'
import { lookForOldRequests } from './old-requests.ts'
import { carryMoveOut, movedTo, moveLines, openMove, refuseUnready } from './roll.ts'
import { sayDone, sayPlan } from './say.ts'

/**
 * Check the path, guard, back up, get the programs, roll, verify, record. Run again after a kill, it goes on where it
 * was; with the version that is recorded it goes back, as long as not every member runs the new one.
 */
export async function upgrade(cluster: Cluster, { version, plan }: { version: string; plan: boolean }): Promise<void> {
  const begun = cluster.etcd.upgradingTo
  const opened = await openMove('upgrade', cluster, version, plan)
  const { from, to } = opened
  const { refusals, uncovered } = await lookForOldRequests(opened)
  const seen = { ...opened.seen, uncovered }
  const move = { ...opened, seen, first: [...opened.first, ...refusals] }
  const rules = upgradeRules(seen, to)
  if (plan) return sayPlan(cluster, 'upgrade', moveLines(move, rules))
  refuseUnready(cluster, to, refusals)
  const backup = await carryMoveOut(move, rules)
  const back = begun
    ? `${cluster.name} runs etcd ${to} again; the way to ${begun} was taken back.`
    : `${cluster.name} runs etcd ${to} already.`
  const told = from === to ? back : movedTo(move, backup)
  sayDone(cluster, 'upgrade', told, { from, to, upgraded: from !== to, backup })
}
