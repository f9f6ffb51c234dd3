// backup: a snapshot from a healthy follower, checked, proven by restoring it, only then kept, and brought away.
import { rmSync } from 'node:fs'
import { basename } from 'node:path'
import { type Backup, doubts, type Keep, surplus, whoseAndWhen } from '../acts/backup-store.ts'
import { makeBackup, source } from '../acts/make-backup.ts'
import { agreeTo, checkPlan, checkTasks } from '../core/check.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { failureOf, OperationError } from '../core/errors.ts'
import { concurrently } from '../core/pipeline.ts'
import { findProgram } from '../core/programs.ts'
import { rcloneCheck } from '../core/rclone.ts'
import { clock, run, today } from '../core/run.ts'
import { areOrIs, bytes, counted, listed } from '../core/terminal.ts'
import { endpointStatus } from '../etcd/etcdctl.ts'
import type { Observation } from '../plans/types.ts'
import * as verify from '../verify/index.ts'
import { lookFirst, refuseUnhealthy } from './guard.ts'
import { bringAway, lookThere, type OffSite, removeSurplusAt, surplusAt } from './off-site.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, look, type Step } from './steps.ts'

type Made = Awaited<ReturnType<typeof makeBackup>>
/** A backup in the making, and how many others were removed for it. */
type Making = Partial<Made> & { removed: number }

export interface BackupOptions {
  /** Undefined: none is removed. */
  keep: Keep | undefined
  /** Undefined: it stays on this machine. */
  offSite: OffSite | undefined
  plan: boolean
}

/**
 * Guard, save, check, prove, keep, bring away, remove the surplus, verify. What a killed run left counts for nothing;
 * the next one removes it.
 */
export async function backup(cluster: Cluster, { keep, offSite, plan }: BackupOptions): Promise<void> {
  const made: Making = { removed: 0 }
  let down: string[] = []
  let from: Host | undefined
  const steps: Step[] = [
    ...(offSite ? lookThereFirst(cluster, offSite) : []),
    look('Check that the cluster commits', async () => {
      down = await guard(cluster)
      if (plan) from = await source(cluster)
    }),
    {
      title: 'Save a snapshot, check it, and prove it by restoring it',
      task: async (_, task) => {
        Object.assign(made, await makeBackup(cluster, (step) => void (task.output = step)))
        run().changes.push(`kept backup ${nameOf(made)}`)
      },
      would: () => [
        `save a snapshot from ${from?.name}`,
        'check it against its own checksum',
        'restore it into an etcd on 127.0.0.1 that is thrown away, and compare its data with the live one',
        `keep it below ${cluster.paths.backups}`,
      ],
    },
    ...(keep ? [surplusHere(cluster, made, keep, () => imagined(cluster, from))] : []),
    ...(offSite ? [bringStep(cluster, made, offSite)] : []),
    ...(keep && offSite ? [surplusThere(cluster, made, keep, offSite, () => imagined(cluster, from))] : []),
    verifyStep(cluster, () => down),
  ]
  if (plan) return void (await carryOutSteps(cluster, 'backup', steps, plan))
  if (offSite) await agreeTo([rcloneCheck])
  await carryOutSteps(cluster, 'backup', steps, plan)
  const { folder = '', metadata, removed } = made
  const away = offSite ? `, and at ${offSite.target}` : ''
  sayDone(
    cluster,
    'backup',
    `Kept in ${folder}${away}: revision ${metadata?.revision}, ${metadata?.keys} keys, ` +
      `${bytes(metadata?.sizeBytes ?? 0)}; restored once, its data is the live one's.` +
      `${removed > 0 ? ` ${counted(removed, 'older backup')} removed.` : ''}`,
    { folder, metadata, ...(offSite && { target: offSite.target }) },
  )
}

const nameOf = ({ folder = '' }: Partial<Made>): string => basename(folder)

/** That the target can be had, before anything takes time. */
function lookThereFirst(cluster: Cluster, { target }: OffSite): Step[] {
  return [
    { ...concurrently('Check that rclone is here', checkTasks([rcloneCheck])), would: () => checkPlan([rcloneCheck]) },
    look(`Look at ${target}`, async () => {
      if (run().writes || findProgram('rclone', 'rclone')) await lookThere(cluster, target)
    }),
  ]
}

const bringStep = (cluster: Cluster, made: Partial<Made>, offSite: OffSite): Step => ({
  title: `Seal it, and bring it to ${offSite.target}`,
  task: async (_, task) => {
    const { folder = '', metadata } = made as Made
    const what = { folder, metadata, name: nameOf(made) }
    const failure = await failureOf(() => bringAway(cluster, what, offSite, (step) => void (task.output = step)))
    const kept = `The backup is kept in ${folder}, but not away from here.`
    if (failure) throw new OperationError(`${kept} ${failure.message}`, failure.more)
    run().changes.push(`brought backup ${nameOf(made)} to ${offSite.target}`)
  },
  would: [
    `seal it, and what pack would take of ${cluster.name}, for ${listed(offSite.recipients)}`,
    `bring both to ${offSite.target}/${cluster.name}, and last the note that makes a backup of them`,
  ],
})

/** Before it is brought away: a target that is down for long must not fill this disk. */
const surplusHere = (cluster: Cluster, made: Making, keep: Keep, soon: () => Promise<Backup>): Step => ({
  title: 'Remove the backups here that are too many',
  task: () => {
    const { folder, metadata } = made as Made & Making
    for (const one of surplus(cluster, { folder, metadata }, keep)) {
      rmSync(one, { recursive: true, force: true })
      run().changes.push(`removed backup ${basename(one)}`)
      made.removed++
    }
  },
  would: async () => surplus(cluster, await soon(), keep).map((folder) => `remove ${basename(folder)}`),
})

function surplusThere(
  cluster: Cluster,
  made: Making,
  keep: Keep,
  { target }: OffSite,
  soon: () => Promise<Backup>,
): Step {
  const names = ({ folder, metadata }: Backup): Promise<string[]> =>
    surplusAt(target, cluster, { folder: basename(folder), metadata }, keep)
  return {
    title: `Remove those at ${target} that are too many`,
    task: async () => {
      const surplus = await names(made as Made)
      await removeSurplusAt(target, cluster, surplus)
      made.removed += surplus.length
    },
    would: async () => (await names(await soon())).map((name) => `remove ${name} at ${target}`),
  }
}

const verifyStep = (cluster: Cluster, down: () => string[]): Step => ({
  title: 'Verify',
  skip: () => down().length > 0 && `not with ${down().join(', ')} down`,
  task: async (_, task) => {
    const { healthy, checks } = await verify.verify(cluster, verify.patiently)
    const failing = checks.filter(({ ok }) => !ok).map(({ detail }) => detail.split('\n')[0])
    if (healthy) return
    task.title = 'Verify: the cluster has faults, the backup has none'
    run().warnings.push(`${failing.join(' ')} The backup is kept all the same. See ${command(cluster, 'verify')}`)
  },
})

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
