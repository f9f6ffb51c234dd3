// Which versions members run, and at which one the cluster works: asked over TLS, so that no etcdctl of ours matters.
import type { Cluster } from '../core/cluster.ts'
import { knock, type Probe } from './probe.ts'
import { reachMembers } from './reach.ts'

/** One member that answers. */
export interface RunningVersion {
  host: string
  server: string
  /** As 3.5.0: the one that all members understand. etcd raises it once every member runs the next. */
  cluster: string
  /** As 3.5.0: what its database is written for; '' before 3.6. */
  storage: string
}

/** The cluster as it is once every member runs that version: its programs have that version and no other. */
export function atVersion(cluster: Cluster, version: string): Cluster {
  const { etcd } = cluster
  const keptBinaries = version === etcd.version ? etcd.keptBinaries : undefined
  return { ...cluster, etcd: { ...etcd, version, keptBinaries, upgradingTo: undefined, looksOnly: undefined } }
}

/** What every member that answers runs; who does not answer is left out. */
export async function runningVersions(cluster: Cluster): Promise<RunningVersion[]> {
  await reachMembers(cluster)
  const answers = await Promise.all(
    cluster.hosts.map(async (host) => versionsIn(host.name, await knock(cluster, host))),
  )
  return answers.flatMap((one) => one ?? [])
}

/** What a member's answer to `GET /version` says. */
export function versionsIn(host: string, probe: Probe): RunningVersion | undefined {
  const said = (key: string): string =>
    (probe.kind === 'answered' && new RegExp(`"${key}":"([^"]*)"`).exec(probe.body)?.[1]) || ''
  const server = said('etcdserver')
  return server ? { host, server, cluster: said('etcdcluster'), storage: said('storage') } : undefined
}
