// What is done to a running member or to the cluster's upkeep, through etcdctl: one call each.

import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { call, etcdctl } from './etcdctl.ts'
import { lastWords, parse, says } from './etcdctl-output.ts'
import { openGateway } from './gateway.ts'
import { isOff } from './through-etcdctl.ts'

/** 1 GB is read and written again in seconds on a good disk, in minutes on a bad one. */
const slowMs = 600_000

/** Has the leader at `leaderURL` hand over to a member. @throws OperationError when that member does not take it */
export const moveLeader = (cluster: Cluster, leaderURL: string, memberId: string): Promise<void> =>
  act(cluster, ['move-leader', memberId], leaderURL, 5000)

/** Gives a member's free space back to its disk. The member answers nothing meanwhile. @throws OperationError */
export const defragment = (cluster: Cluster, endpoint: string): Promise<void> =>
  act(cluster, ['defrag'], endpoint, slowMs)

/** Saves a member's database, with its checksum, as a file that must not be there yet. @throws OperationError */
export const saveSnapshot = (cluster: Cluster, endpoint: string, file: string): Promise<void> =>
  act(cluster, ['snapshot', 'save', file], endpoint, slowMs)

/**
 * Forgets every older version of every key below a revision, and waits until that is done on the disk.
 * That somebody else has done it already is success. @throws OperationError
 */
export async function compact(cluster: Cluster, revision: number): Promise<void> {
  await unless(says.compacted, act(cluster, ['compact', '--physical', String(revision)], undefined, slowMs))
}

/**
 * Has the cluster work at an older minor version (as 3.5), so that its members may go there. That it does already is
 * success. @throws OperationError
 */
export const enableDowngrade = (cluster: Cluster, minor: string): Promise<void> =>
  unless(says.downgrading, askForDowngrade(cluster, { action: 'ENABLE', version: minor }))

/**
 * Ends a downgrade, whoever began it; that there is none is success. Members of 3.5 end it and never answer: asked
 * again, they say that there is none. @throws OperationError
 */
export async function cancelDowngrade(cluster: Cluster): Promise<void> {
  const cancel = (): Promise<void> => unless(says.noDowngrade, askForDowngrade(cluster, { action: 'CANCEL' }))
  await cancel().catch((error: unknown) => {
    if (!(error instanceof OperationError) || !says.timedOut(error.more.output ?? '')) throw error
    return cancel()
  })
}

/** Through the JSON gateway: etcdctl has this from 3.6 on only, and a person's own folder may hold 3.5 by now. */
async function askForDowngrade(cluster: Cluster, request: { action: string; version?: string }): Promise<void> {
  const gateway = openGateway(cluster, 1)
  let refusal = 'no member answers'
  let answered = false // what a member says counts for more than that another one is silent
  const words = ['downgrade', request.action.toLowerCase(), ...(request.version ? [request.version] : [])]
  try {
    for (const endpoint of gateway.endpoints) {
      try {
        return void (await gateway.ask(endpoint, 'maintenance/downgrade', request))
      } catch (error) {
        if (isOff(error as Error)) return await act(cluster, words, undefined, 10_000).catch(withoutGateway)
        const { message, status } = error as Error & { status?: number }
        if (!answered) refusal = message
        answered ||= status !== undefined
      }
    }
  } finally {
    gateway.close()
  }
  throw new OperationError('The members did not take the request for a downgrade.', {
    output: parse<{ message?: string }>(refusal)?.message ?? refusal,
  })
}

/** Only etcdctl is left to ask with, and before 3.6 it has no word for this. */
function withoutGateway(error: unknown): never {
  if (!(error instanceof OperationError) || !says.unknownCommand(error.more.output ?? '')) throw error
  throw new OperationError('The JSON gateway is off (ETCD_ENABLE_GRPC_GATEWAY), and this etcdctl knows no downgrade.', {
    hint: 'Take ETCD_ENABLE_GRPC_GATEWAY out of etcd.environment and run up; then run this again.',
  })
}

async function unless(fine: (words: string) => boolean, done: Promise<void>): Promise<void> {
  await done.catch((error: unknown) => {
    if (!(error instanceof OperationError && fine(error.more.output ?? ''))) throw error
  })
}

/** Lowers every alarm; one whose cause is still there comes back. @throws OperationError */
export async function disarmAlarms(cluster: Cluster): Promise<void> {
  await call(cluster, ['alarm', 'disarm'], { timeoutMs: 5000 })
}

/** These commands print words, whatever format is asked for. */
async function act(cluster: Cluster, args: string[], endpoint: string | undefined, timeoutMs: number): Promise<void> {
  const result = await etcdctl(cluster, args, { timeoutMs, ...(endpoint && { endpoints: [endpoint] }) })
  if (result.exitCode !== 0)
    throw new OperationError(`etcdctl ${args.slice(0, 2).join(' ')} failed${endpoint ? ` on ${endpoint}` : ''}.`, {
      output: lastWords(result),
    })
}
