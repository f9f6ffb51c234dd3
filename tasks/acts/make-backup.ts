// Making one backup: saved from a follower, checked, restored, compared with the live data, and kept or set aside.
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, type Host, hostNamed } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { today } from '../core/run.ts'
import { askMembers } from '../etcd/ask.ts'
import { type EndpointStatus, endpointHashKV, endpointStatus, type HashKV, memberList } from '../etcd/etcdctl.ts'
import { refusal } from '../etcd/findings.ts'
import { isWell, statusesOf } from '../etcd/judge.ts'
import { saveSnapshot } from '../etcd/maintenance.ts'
import { readSnapshot, type SnapshotContent } from '../etcd/snapshot.ts'
import { type BackupMetadata, beginBackup, keepBackup, setAside, whoseAndWhen } from './backup-store.ts'
import { restoredData } from './proof.ts'

const hashMs = 60_000
const healthMs = 5000
const attempts = 3

/** A compaction between the snapshot and the comparison makes the two incomparable: then once more. */
export async function makeBackup(
  cluster: Cluster,
  say: (step: string) => void,
): Promise<{ folder: string; metadata: BackupMetadata }> {
  for (let attempt = 1; ; attempt++) {
    const time = today()
    const part = beginBackup(cluster, time)
    try {
      const metadata = await prove(cluster, part, time, say)
      if (metadata) return { folder: keepBackup(part, metadata), metadata }
      if (attempt === attempts)
        throw new OperationError('The data was compacted again and again while the members were compared.', {
          hint: 'Run the same command again in a quieter moment.',
        })
      rmSync(part, { recursive: true, force: true })
    } catch (error) {
      if (!(error instanceof OperationError) || error.exitCode !== 1 || !existsSync(join(part, 'snapshot.db'))) {
        rmSync(part, { recursive: true, force: true })
        throw error
      }
      const aside = setAside(part)
      throw new OperationError(`The snapshot could not be proven, and does not count as a backup: ${error.message}`, {
        ...error.more,
        hint: `It lies in ${aside}. See whether the members agree: ${command(cluster, 'verify')}`,
      })
    }
  }
}

/**
 * @returns undefined where a compaction came between
 * @throws OperationError when the snapshot is not what the cluster holds
 */
async function prove(
  cluster: Cluster,
  part: string,
  time: Date,
  say: (step: string) => void,
): Promise<BackupMetadata | undefined> {
  const host = await source(cluster)
  const file = join(part, 'snapshot.db')
  say(`save a snapshot from ${host.name}`)
  await saveSnapshot(cluster, host.clientURL, file)
  chmodSync(file, 0o600)
  say('check it')
  const content = await readSnapshot(cluster, file)
  say('restore it, and compare')
  const live = await liveHash(cluster, host, content)
  const restored = await restoredData(cluster, file, content.revision, join(part, 'proof'))
  if (live.compactRevision !== restored.compactRevision) return undefined
  if (live.hash !== restored.hash)
    throw new OperationError(
      `the restored data has the hash ${restored.hash} at revision ${content.revision}, but ` +
        `${host.name} has ${live.hash}.`,
    )
  const [members, [status]] = await Promise.all([
    memberList(cluster),
    endpointStatus(cluster, { endpoints: [host.clientURL] }),
  ])
  const { revision, sizeBytes, sha256 } = content
  return {
    ...whoseAndWhen(cluster, time),
    etcdVersion: status?.ok ? status.value.version : (cluster.etcd.version ?? ''),
    takenFrom: host.name,
    revision,
    hashKV: live.hash,
    compactRevision: live.compactRevision,
    sha256,
    keys: restored.keys,
    sizeBytes,
    members,
  }
}

async function liveHash(cluster: Cluster, host: Host, { revision }: SnapshotContent): Promise<HashKV> {
  const [answer] = await endpointHashKV(cluster, revision, { endpoints: [host.clientURL], timeoutMs: hashMs })
  if (answer?.ok) return answer.value
  throw new OperationError(
    `${host.name} gives no hash of its data at revision ${revision}${answer ? `: ${answer.reason}` : ''}.`,
  )
}

/** A follower that commits, the one that lags least; the leader where it is alone. */
export async function source(cluster: Cluster): Promise<Host> {
  const { hosts } = await askMembers(cluster, { limit: () => healthMs })
  const leads = ({ status }: { status: EndpointStatus }): number => Number(status.leaderId === status.memberId)
  const [best] = statusesOf(hosts.filter(isWell)).toSorted(
    (a, b) => leads(a) - leads(b) || b.status.raftAppliedIndex - a.status.raftAppliedIndex,
  )
  if (!best) throw refusal(cluster, { code: 'no-quorum', reason: 'no member is healthy' })
  return hostNamed(cluster, best.name)
}
