// upgrade: a newer etcd on every member, one after the other, with a proven backup before and the record last.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { runPipeline } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { findEtcd } from '../etcd/binaries.ts'
import { endpointStatus } from '../etcd/etcdctl.ts'
import { canFetch, fetchEtcd } from '../etcd/fetch.ts'
import { refusalOfMix, type UpgradePath, upgradePath } from '../etcd/upgrade-path.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as verify from '../verify/index.ts'
import { backupTasks, silentHosts } from './backup.ts'
import type { BackupMetadata } from './backup-store.ts'
import { requireHealthy } from './guard.ts'
import { requireReachable } from './host-data.ts'
import { turns } from './in-turn.ts'
import { sayDone, sayPlan } from './say.ts'

/** Check the path, guard, back up, get the programs, roll, verify, record. Run again after a kill, it goes on where it was. */
export async function upgrade(
  cluster: Cluster,
  { version: to, plan }: { version: string; plan: boolean },
): Promise<void> {
  const from = cluster.etcd.version ?? ''
  const target: Cluster = { ...cluster, etcd: { ...cluster.etcd, version: to, upgradingTo: undefined } } // its programs have this version and no other
  const path = check(cluster, from, to)
  if (!plan && path.first.length > 0)
    throw new OperationError(`${cluster.name} is not ready for etcd ${to}, and nothing was changed.`, {
      output: path.first.join('\n'),
      hint: 'Do that first; then run this again.',
    })
  const { there, missing } = await programs(target)
  if (missing && !plan) throw missing
  // A folder of the person's own holds one version: from now on the new one.
  const now = cluster.etcd.binaries && !missing ? target : cluster
  await guard(now, from, to, cluster.etcd.upgradingTo)
  if (plan)
    return sayPlan(
      cluster,
      'upgrade',
      await steps(
        now,
        { ...path, first: [...path.first, ...(missing ? [missing.more.hint ?? ''] : [])] },
        from,
        to,
        there,
      ),
    )
  if (from === to && !cluster.etcd.upgradingTo)
    return sayDone(cluster, 'upgrade', `${cluster.name} runs etcd ${to} already.`, { from, to, upgraded: false })
  const made: { folder?: string; metadata?: BackupMetadata } = {}
  run.warnings.push(...path.beware)
  await runPipeline([
    {
      title: `Get etcd ${to}`,
      skip: () => there !== undefined && `it is in ${there}`,
      task: async (_, task) => {
        const { told } = await fetchEtcd(target, (line) => void (task.output = line))
        task.title = `Get etcd ${to}: ${told}`
      },
    },
    ...backupTasks(now, made),
    { title: 'Note that the upgrade has begun', task: () => note(cluster, from, to) },
    ...etcdRole.upgradeTasks(target),
    ...verify.tasks(target, verify.patiently),
    {
      title: `Record that ${cluster.name} runs etcd ${to}`,
      task: async () => {
        await requireAll(target, to)
        note(cluster, to, undefined)
      },
    },
  ])
  const told = `${cluster.name} runs etcd ${to} (before: ${from}); the backup taken before is in ${made.folder}. Where your configuration names etcd.version, say ${to} there, too.`
  sayDone(cluster, 'upgrade', told, { from, to, upgraded: true, backup: made.folder })
}

/** @throws UsageError or OperationError where no way leads there, or another upgrade is half done */
function check(cluster: Cluster, from: string, to: string): UpgradePath {
  if (!/^\d+\.\d+\.\d+$/.test(to))
    throw new UsageError(`--etcd-version must be a version like 3.5.32, not ${JSON.stringify(to)}.`)
  const begun = cluster.etcd.upgradingTo
  if (begun && begun !== to && to !== from)
    throw new OperationError(
      `An upgrade of ${cluster.name} to etcd ${begun} was begun and is not done; nothing was changed.`,
      {
        hint: `Finish it: ${command(cluster, `upgrade --etcd-version ${begun}`)}`,
      },
    )
  const path = upgradePath(from, to, cluster.etcd.environment)
  if (path.impossible)
    throw new OperationError(path.impossible, { hint: `See what it runs: ${command(cluster, 'status')}` })
  return path
}

/** The folder of the new version's programs, if there is one; `missing` where it is not to be had, or the person's own folder has another version: nothing is fetched then. */
async function programs(target: Cluster): Promise<{ there?: string | undefined; missing?: UsageError }> {
  const { binaries, version } = target.etcd
  try {
    const there = (await findEtcd(target))?.folder
    const hint = `Name with etcd.binaries a folder that has etcd ${version}; then run this again.`
    if (there || (version && (await canFetch(version, target.etcd.source)))) return { there }
    return { missing: new UsageError(`etcd ${version} is not the distribution's, as etcd.source asks.`, { hint }) }
  } catch (error) {
    if (!(error instanceof UsageError) || !binaries) throw error
    const message = error.message.replace(/, but this cluster runs .*/, `, not ${version}.`)
    return {
      missing: new UsageError(message, {
        hint: `Name with etcd.binaries a folder that has etcd ${version}; then run this again.`,
      }),
    }
  }
}

/** A run that was killed may have left one member down, and members of both versions: then it goes on. */
async function guard(now: Cluster, from: string, to: string, begun: string | undefined): Promise<void> {
  const down = begun ? await silentHosts(now) : []
  await requireHealthy(now, { allowDown: down })
  const running = (await endpointStatus(now)).flatMap((answer) => (answer.ok ? [answer.value.version] : []))
  const mix = refusalOfMix(running, from, to)
  const half =
    !begun && new Set(running).size > 1
      ? `members run etcd ${[...new Set(running)].join(' and ')}, and no upgrade was begun here`
      : ''
  const backwards =
    from === to && running.some((version) => version !== from)
      ? `members run etcd ${begun} already: there is no way back to ${from}`
      : ''
  const reason = mix || half || backwards
  if (reason)
    throw new OperationError(`${now.name} cannot be upgraded, and nothing was changed: ${reason}.`, {
      hint: `See what each runs: ${command(now, 'status')}`,
    })
  await requireReachable(
    now,
    now.hosts.filter(({ name }) => !down.includes(name)),
  )
}

async function steps(
  now: Cluster,
  { first, beware }: UpgradePath,
  from: string,
  to: string,
  there: string | undefined,
): Promise<string[]> {
  return [
    ...first.map((line) => `FIRST: ${line}`),
    ...beware.map((line) => `beware: ${line}`),
    there || now.etcd.binaries
      ? `use etcd ${to} in ${there ?? 'that folder'}`
      : `get etcd ${to}: the official release, else built with Go, else the distribution's package`,
    'take a backup, proven by restoring it',
    ...(await turns(now)).map(
      (host) => `restart ${host} with etcd ${to} (now ${from}), and wait until it has caught up`,
    ),
    'verify',
    `record that ${now.name} runs etcd ${to}`,
  ]
}

function note(cluster: Cluster, version: string, upgradingTo: string | undefined): void {
  cluster.etcd.version = version
  cluster.etcd.upgradingTo = upgradingTo === version ? undefined : upgradingTo
  recordCluster(cluster)
}

async function requireAll(target: Cluster, to: string): Promise<void> {
  const old = (await endpointStatus(target)).find((answer) => !answer.ok || answer.value.version !== to)
  if (old)
    throw new OperationError(
      `${old.endpoint} runs ${old.ok ? `etcd ${old.value.version}` : 'nothing'}, not etcd ${to}.`,
      { hint: 'Run the same command again.' },
    )
}
