// That the etcd to go on with is here, before anything is changed.
import type { Cluster } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import { run } from '../core/run.ts'
import { findEtcd, ownPrograms, requireEtcd } from './binaries.ts'
import { canFetch, fetchEtcd } from './fetch.ts'
import { atVersion } from './versions.ts'

export const nameFolder = (version: string): string =>
  `Name with etcd.binaries a folder that has etcd ${version}; then run this again.`
export const withoutPrograms = (lacking: string, version: string): UsageError =>
  new UsageError(lacking, { hint: nameFolder(version) })

/**
 * That the programs of this version are here; they are got where they may be.
 * @throws UsageError where the person's own folder has others
 */
export async function requirePrograms(cluster: Cluster, version: string): Promise<void> {
  const target = atVersion(cluster, version)
  const lacking = await whyNoPrograms(target)
  if (lacking) throw withoutPrograms(lacking, version)
  if (run().writes && !(await findEtcd(target))) await fetchEtcd(target, () => {})
  await requireEtcd(target)
}

const messageOf = (error: unknown): string => {
  if (error instanceof UsageError) return error.message
  throw error
}

/** Why the programs of that version are not to be had; '' where they are. Nothing is fetched. */
export async function whyNoPrograms(target: Cluster): Promise<string> {
  const { binaries, version = '', source } = target.etcd
  if (binaries) {
    const mine = await ownPrograms(target).catch(messageOf)
    if (typeof mine === 'string') return mine
    return mine.version === version ? '' : `etcd.binaries: ${mine.folder} has etcd ${mine.version}, not ${version}.`
  }
  if ((await findEtcd(target)) || (await canFetch(version, source))) return ''
  return `etcd ${version} is not the distribution's, as etcd.source asks.`
}
