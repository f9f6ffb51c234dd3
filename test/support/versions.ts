// Etcd of a named version for tests: built once from its Go modules into the project's .tools (3.4: Debian 12's package).
import { defaults } from '../../tasks/core/config.ts'
import { architectureHere } from '../../tasks/core/machines.ts'
import { fetchEtcd } from '../../tasks/etcd/fetch.ts'
import { gotBefore, machineOf } from '../../tasks/etcd/ways.ts'
import { testCluster } from './cluster.ts'

/** The version that tests run where they ask for none. */
export const usual = defaults.etcd.version

/**
 * A folder with etcd, etcdctl and etcdutl of that version; a version of two numbers: the newest patch of it that is here.
 * Undefined, with a word to standard output, where it cannot be had.
 */
export async function etcdOf(version: string): Promise<{ folder: string; version: string } | undefined> {
  const here = gotBefore(['release', 'go', 'distribution'], machineOf('local', architectureHere()))
  const before = here.find((one) => one.version === version || one.version.startsWith(`${version}.`))
  if (before) return { folder: before.folder, version: before.version }
  const cluster = testCluster({ etcd: { version, source: version.startsWith('3.4.') ? 'distribution' : 'go' } })
  const got = await fetchEtcd(cluster).catch((error: Error) =>
    console.log(`No etcd ${version} for tests: ${error.message}`),
  )
  return got ? { folder: got.folder, version: got.version } : undefined
}
