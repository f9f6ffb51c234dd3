// backup: a snapshot from a healthy follower, checked, proven by restoring it, and only then kept.
import { rmSync } from 'node:fs'
import { basename } from 'node:path'
import { type Backup, doubts, surplus, whoseAndWhen } from '../acts/backup-store.ts'
import { makeBackup, source } from '../acts/make-backup.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { clock, run, today } from '../core/run.ts'
import { areOrIs, bytes } from '../core/terminal.ts'
import { endpointStatus } from '../etcd/etcdctl.ts'
import type { Observation } from '../plans/types.ts'
import * as verify from '../verify/index.ts'
import { lookFirst, refuseUnhealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, look, type Step } from './steps.ts'

type Made = Awaited<ReturnType<typeof makeBackup>>

/** Guard, save, check, prove, keep, verify. What a killed run left counts for nothing; the next one removes it. */
export async function backup(
  cluster: Cluster,
  { keep, plan }: { keep: number | undefined; plan: boolean },
): Promise<void> {
  const made: Partial<Made> = {}
  let down: string[] = []
  let from: Host | undefined
  const steps: Step[] = [
    look('Check that the cluster commits', async () => {
      down = await guard(cluster)
      if (plan) from = await source(cluster)
    }),
    {
      title: 'Save a snapshot, check it, and prove it by restoring it',
      task: async (_, task) => {
        Object.assign(made, await makeBackup(cluster, (step) => void (task.output = step)))
        run().changes.push(`kept backup ${basename(made.folder ?? '')}`)
      },
      would: () => [
        `save a snapshot from ${from?.name}`,
        'check it against its own checksum',
        'restore it into an etcd on 127.0.0.1 that is thrown away, and compare its data with the live one',
        `keep it below ${cluster.paths.backups}`,
      ],
    },
    ...(keep
      ? [
          {
            title: `Keep the newest ${keep}`,
            task: () => removeSurplus(cluster, made as Made, keep),
            would: async () =>
              surplus(cluster, await imagined(cluster, from), keep).map((folder) => `remove ${basename(folder)}`),
          },
        ]
      : []),
    {
      title: 'Verify',
      skip: () => down.length > 0 && `not with ${down.join(', ')} down`,
      task: async (_, task) => {
        const { healthy, checks } = await verify.verify(cluster, verify.patiently)
        const failing = checks.filter(({ ok }) => !ok).map(({ detail }) => detail.split('\n')[0])
        if (healthy) return
        task.title = 'Verify: the cluster has faults, the backup has none'
        run().warnings.push(`${failing.join(' ')} The backup is kept all the same. See ${command(cluster, 'verify')}`)
      },
    },
  ]
  if (!(await carryOutSteps(cluster, 'backup', steps, plan))) return
  const { folder = '', metadata } = made
  sayDone(
    cluster,
    'backup',
    `Kept in ${folder}: revision ${metadata?.revision}, ${metadata?.keys} keys, ` +
      `${bytes(metadata?.sizeBytes ?? 0)}; restored once, its data is the live one's.`,
    { folder, metadata },
  )
}

/** A backup is wanted most while a host is down: a quorum that commits is enough. @returns the hosts that are down */
async function guard(cluster: Cluster): Promise<string[]> {
  const seen = await lookFirst(cluster)
  const down = silentHosts(seen)
  refuseUnhealthy(cluster, seen, { allowDown: down, allow: ['disk-full', 'no-space', 'takes-no-writes'] })
  run().warnings.push(...doubts(cluster, clock()))
  if (down.length > 0) run().warnings.push(`${areOrIs(down)} down: see ${command(cluster, 'verify')}`)
  return down
}

/** The hosts whose member is down or frozen; none where all are, so that the guard says why. */
export function silentHosts({ findings, recorded }: Observation): string[] {
  const isSilent = (host: string): boolean =>
    findings.some((one) => one.host === host && (one.code === 'member-down' || one.code === 'member-frozen'))
  return recorded.every(isSilent) ? [] : recorded.filter(isSilent)
}

/** The backup that would be made now, as far as it decides which others are too many. */
async function imagined(cluster: Cluster, from: Host | undefined): Promise<Backup> {
  const [status] = await endpointStatus(cluster, { endpoints: from ? [from.clientURL] : [] })
  const revision = status?.ok ? status.value.revision : 0
  return { folder: '', metadata: { ...whoseAndWhen(cluster, today()), revision } }
}

function removeSurplus(cluster: Cluster, made: Made, keep: number): void {
  for (const folder of surplus(cluster, made, keep)) {
    rmSync(folder, { recursive: true, force: true })
    run().changes.push(`removed backup ${basename(folder)}`)
  }
}
