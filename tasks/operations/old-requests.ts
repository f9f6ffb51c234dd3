// What an older etcd left in the members' logs that the next one cannot read: looked for before it is started, and
// cured.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { inOrder, type Task } from '../core/pipeline.ts'
import { compareVersions } from '../core/programs.ts'
import { run } from '../core/run.ts'
import { grantLease, revokeLease } from '../etcd/etcdctl.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type LogData, lookAtLogs } from './host-data.ts'
import type { Before, Move } from './roll.ts'

/**
 * What was found. `refusals`: only a person can decide. `uncovered`: hosts whose member lacks a snapshot of its own.
 */
export interface OldRequests {
  refusals: string[]
  uncovered: LogData[]
}

/** Looks on the hosts where the move leads to 3.6 or to 3.7 from below. Changes nothing. */
export async function lookForOldRequests(move: Move, { commits, down }: Before): Promise<OldRequests> {
  const { now, cluster, from, to } = move
  const next = (['3.6', '3.7'] as const).find((one) => compareVersions(from, one) < 0 && compareVersions(to, one) >= 0)
  if (!next) return { refusals: [], uncovered: [] }
  const hosts = now.hosts.filter(({ name }) => !commits || !down.includes(name))
  const found = (await lookAtLogs(now, hosts)).filter(({ before }) => before[next] !== '')
  if (next === '3.7') return { refusals: [], uncovered: found }
  const refusals = found.map(({ host, before }) =>
    (
      `${host.name}: ${before[next]}, with which etcd 3.6 does not start. A restored backup has ` +
      'nothing of the v2 store: '
    ).concat(`keep what you need of it, then ${command(cluster, 'backup')}, and restore what that made.`),
  )
  return { refusals, uncovered: [] }
}

/** So low that a restarted member takes a snapshot at once, so high that it does not for every write of a load. */
const snapshotCount = 10
const rounds = 3

/**
 * Before 3.7: a member reads its newest snapshot and the log after it. 3.5 wrote requests there that 3.6 still reads
 * and 3.7
 * does not (3.7.1 and 3.7.3 die of it; etcd's upgrade guide does not know it). So each such member takes a snapshot on
 * 3.6 first. The roll to the
 * new version sets ETCD_SNAPSHOT_COUNT back.
 */
export function coverTasks({ now, from }: Move, uncovered: LogData[]): Task[] {
  if (uncovered.length === 0) return []
  const hosts = uncovered.map(({ host }) => host)
  const names = hosts.map(({ name }) => name)
  const programs = uncovered.find((one) => one.programs)?.programs
  const variables = {
    etcd_environment: { ...now.etcd.environment, ETCD_SNAPSHOT_COUNT: String(snapshotCount) },
    etcd_image_tag: `v${from}`,
    // With the etcd that they run: what the configuration names may be the next one already.
    ...(programs ? { etcd_bin_directory: programs } : { etcd_binaries_source: '' }),
  }
  return [
    inOrder(`Have ${names.join(', ')} take a snapshot on etcd ${from}, without which 3.7 does not start`, () =>
      etcdRole.upgradeTasks(now, { limit: names, variables }),
    ),
    {
      title: 'Wait until each of them has it',
      task: async (_, task) => {
        for (let round = 1; ; round++) {
          await propose(now, (done) => void (task.output = `${done} proposals that change no key`))
          const missing = (await lookAtLogs(now, hosts)).filter(({ before }) => before['3.7'] !== '')
          if (missing.length === 0) return void run().changes.push(`took a raft snapshot on ${names.join(', ')}`)
          if (round === rounds)
            throw new OperationError(`${missing.map(({ host }) => host.name).join(', ')} took no snapshot.`, {
              hint: `Run the same command again. See how the members are: ${command(now, 'verify')}`,
            })
        }
      },
    },
  ]
}

/** Enough entries in the log for a snapshot. A lease that no key is bound to leaves nothing, not even a revision. */
async function propose(cluster: Cluster, say: (done: number) => void): Promise<void> {
  for (let count = 0; count <= snapshotCount; count++) {
    await revokeLease(cluster, await grantLease(cluster, 60, { timeoutMs: 5000 }), { timeoutMs: 5000 })
    say(2 * (count + 1))
  }
}
