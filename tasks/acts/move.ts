// How each act of a move to another etcd is carried out.
import { basename } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import type { Task } from '../core/pipeline.ts'
import { compareVersions } from '../core/programs.ts'
import { recordCluster } from '../core/record.ts'
import { clock, run, sleep } from '../core/run.ts'
import { noteVersion } from '../etcd/binaries.ts'
import { grantLease, revokeLease } from '../etcd/etcdctl.ts'
import { says } from '../etcd/etcdctl-output.ts'
import { fetchEtcd } from '../etcd/fetch.ts'
import { cancelDowngrade, enableDowngrade } from '../etcd/maintenance.ts'
import { atVersion, runningVersions } from '../etcd/versions.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { lookAtLogs } from '../observe/host-data.ts'
import * as verify from '../verify/index.ts'
import { type Carriers, withHint } from './carriers.ts'
import { makeBackup } from './make-backup.ts'

/** How long every member may take to rewrite its database for the older version, in ms: etcd looks every 4 s. */
const readyMs = 60_000
/** How long the cluster may take to work at its members' own version again, in ms. */
const raisedMs = 12_000
/** So low that a restarted member takes a snapshot at once, so high that it does not for every write of a load. */
const snapshotCount = 10
const rounds = 3

export const moveActs = {
  'back up': async (cluster, _, shown) => {
    const { folder } = await makeBackup(cluster, (step) => void (shown.output = step))
    run().changes.push(`kept backup ${basename(folder)}`)
  },
  'get programs': async (cluster, { version }, shown) => {
    const { told } = await fetchEtcd(atVersion(cluster, version), (line) => void (shown.output = line))
    shown.title = `Get etcd ${version}: ${told}`
  },
  'record target': async (cluster, { version }) => {
    cluster.etcd.upgradingTo = version
    recordCluster(cluster)
  },
  'take snapshots': (cluster, { hosts, programs }) => coverTasks(cluster, hosts, programs),
  'enable downgrade': async (cluster, { minor }) => {
    await enable(cluster, minor)
    return [
      {
        title: `Wait until every database is written for etcd ${minor}`,
        task: (_, task) => untilWritten(cluster, minor, (words) => void (task.output = words)),
      },
    ]
  },
  install: (cluster, { version }) => installTasks(cluster, version),
  'end downgrade': (cluster) => cancelDowngrade(cluster),
  verify: (cluster, { version }) => verify.tasks(atVersion(cluster, version), verify.patiently),
  'record version': (cluster, { version }) => noteVersion(cluster, version),
} satisfies Partial<Carriers>

/**
 * Right after a downgrade was ended, members work at the older version for some seconds: etcd takes one to the same
 * version for a mistake, as it does where one is enabled already.
 */
async function enable(cluster: Cluster, minor: string): Promise<void> {
  for (const deadline = clock() + raisedMs; ; await sleep(500)) {
    try {
      return await enableDowngrade(cluster, minor)
    } catch (error) {
      if (!(error instanceof OperationError) || !says.notBelow(error.more.output ?? '')) throw error
      if (clock() < deadline) continue
      // It is enabled: else they would work at their own version by now.
      const running = await runningVersions(cluster)
      if (running.length > 0 && running.every((one) => one.cluster.startsWith(`${minor}.`))) return
      throw error
    }
  }
}

async function untilWritten(cluster: Cluster, minor: string, say: (words: string) => void): Promise<void> {
  const isOther = (version: string): boolean => !version.startsWith(`${minor}.`)
  for (const deadline = clock() + readyMs; ; await sleep(500)) {
    const running = await runningVersions(cluster)
    const waiting = running
      .filter((one) => isOther(one.server) && (isOther(one.storage) || isOther(one.cluster)))
      .map(({ host }) => host)
    if (running.length > 0 && waiting.length === 0) return
    say(`waiting: ${waiting.join(', ')}`)
    if (clock() > deadline)
      throw new OperationError(`${waiting.join(', ')} did not get ready for etcd ${minor}; no member was changed.`, {
        hint: `Run the same command again, or take it back: ${command(cluster, 'downgrade --cancel')}`,
      })
  }
}

/** A member that does not come up on the new version is what the way back is for. */
function installTasks(cluster: Cluster, to: string): Task[] {
  const { version: from = '' } = cluster.etcd
  const tasks = etcdRole.upgradeTasks(atVersion(cluster, to))
  if (from === to) return tasks
  const back = command(cluster, compareVersions(to, from) > 0 ? `upgrade --etcd-version ${from}` : 'downgrade --cancel')
  return withHint(cluster, tasks, (helps) => `${helps} The same command goes on; this takes it back: ${back}`)
}

/**
 * Before 3.7: a member reads its newest snapshot and the log after it. 3.5 wrote requests there that 3.6 still reads
 * and 3.7 does not (3.7.1 and 3.7.3 die of it; etcd's upgrade guide does not know it). So each such member takes a
 * snapshot on 3.6 first. The role sets ETCD_SNAPSHOT_COUNT back with the new version.
 */
function coverTasks(cluster: Cluster, names: string[], programs: string): Task[] {
  const hosts = cluster.hosts.filter(({ name }) => names.includes(name))
  const variables = {
    etcd_environment: { ...cluster.etcd.environment, ETCD_SNAPSHOT_COUNT: String(snapshotCount) },
    etcd_image_tag: `v${cluster.etcd.version}`,
    // With the etcd that they run: what the configuration names may be the next one already.
    ...(programs ? { etcd_bin_directory: programs } : { etcd_binaries_source: '' }),
  }
  return [
    ...etcdRole.upgradeTasks(cluster, { limit: names, variables }),
    {
      title: 'Wait until each of them has it',
      task: async (_, task) => {
        for (let round = 1; ; round++) {
          await propose(cluster, (done) => void (task.output = `${done} proposals that change no key`))
          const missing = (await lookAtLogs(cluster, hosts)).filter(({ before }) => before['3.7'] !== '')
          if (missing.length === 0) return void run().changes.push(`took a raft snapshot on ${names.join(', ')}`)
          if (round === rounds)
            throw new OperationError(`${missing.map(({ host }) => host.name).join(', ')} took no snapshot.`, {
              hint: `Run the same command again. See how the members are: ${command(cluster, 'verify')}`,
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
