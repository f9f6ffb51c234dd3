// A move to another etcd that is half done ends where all members are started together, as in a recovery.
import type { Cluster, Host } from '../core/cluster.ts'
import { compareVersions, minorOf } from '../core/programs.ts'
import { requirePrograms } from '../etcd/required-programs.ts'
import { lookAtLogs } from '../observe/host-data.ts'

/**
 * The version to go on with: the newer of the two, which reads what either wrote. But where the upgrade stopped before
 * each member was made ready for it (old-requests.ts), the older one.
 */
async function versionAfter(cluster: Cluster, to: string, from: Host[]): Promise<string> {
  const [older = '', newer = ''] = [cluster.etcd.version ?? '', to].toSorted(compareVersions)
  const minor = minorOf(newer)
  if (from.length === 0 || (minor !== '3.6' && minor !== '3.7')) return newer
  const found = await lookAtLogs(cluster, from)
  return found.some(({ before }) => before[minor]) ? older : newer
}

/**
 * Only where no quorum commits: else the move can be finished or taken back. The record has it with its next note.
 * @param from the hosts whose data are gone on with; none for a snapshot
 * @returns what it means, in a sentence; '' where no move was begun
 * @throws UsageError where the programs of that version are not there
 */
export async function endMove(cluster: Cluster, ...from: Host[]): Promise<string> {
  const { upgradingTo } = cluster.etcd
  if (!upgradingTo) return ''
  const version = await versionAfter(cluster, upgradingTo, from)
  cluster.etcd.version = version
  cluster.etcd.upgradingTo = undefined
  await requirePrograms(cluster, version)
  return `The way to etcd ${upgradingTo}, which was begun, ends: every member runs etcd ${version} from then on.`
}
