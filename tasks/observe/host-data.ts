// What each host has of its member's data, looked at on the host itself: no etcd needs to answer for it.
import { withCopies } from '../copies.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { listed } from '../core/terminal.ts'
import { authorityKeys } from '../etcd/certificates.ts'
import { refusal } from '../etcd/findings.ts'
import { saidByHosts } from '../etcd/playbook.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as vms from '../vms/index.ts'

/** As the role's module etcd_data reports it. Raft indexes; 0 where there is no data. */
export interface HostData {
  host: Host
  running: boolean
  hasData: boolean
  /** The last one that the member knew to be committed. */
  commit: number
  /** The last one in its log. */
  last: number
  /** The ID of the member whose data it is, and those of members whose removal its log tells of. */
  member: string
  removed: string[]
  /** The token that a restored member's data was restored under. */
  restored: string
  /** In bytes: what its disk has left for etcd's data, its database, and all that its member has. */
  free: number
  database: number
  size: number
}

/** What a member's whole log says, as the role's module etcd_log finds it. */
export interface LogData {
  host: Host
  /** What stands in the way of etcd 3.6 and of 3.7; '' where nothing does. */
  before: { '3.6': string; '3.7': string }
  /** For a local host, the folder of the etcd that it runs; '' for any other. */
  programs: string
}

/** The hosts that can be looked at without bringing any up. */
export async function hostsThatAreUp(cluster: Cluster): Promise<Host[]> {
  const states = await vms.states(cluster)
  return cluster.hosts.filter(({ name }) => states.some((state) => state.name === name && state.up))
}

/** @throws OperationError for a host that cannot be reached, or has certificates of another authority */
export async function lookAtData(cluster: Cluster, hosts: Host[] = cluster.hosts): Promise<HostData[]> {
  return (await inspect(cluster, hosts, {})).map(({ host, answer }) => {
    if (answer.foreign)
      throw refusal(cluster, { code: 'host-of-other-cluster', host: host.name }, 'Nothing was changed: ')
    const { has_data: hasData, running, commit, last, member, removed, restored, free, database, size } = answer
    return { host, hasData, running, commit, last, member, removed, restored, free, database, size }
  })
}

/** @throws OperationError where a host has nothing of its member's data */
export function requireData(cluster: Cluster, there: HostData[], told: string): void {
  const hosts = there.filter(({ hasData }) => !hasData).map(({ host }) => host.name)
  const detail = `${listed(hosts)} lost the member's data`
  if (hosts.length > 0) throw refusal(cluster, { code: 'data-lost', hosts, detail }, told)
}

/** Has each host read its member's whole log. @throws OperationError for a host that cannot be reached */
export async function lookAtLogs(cluster: Cluster, hosts: Host[]): Promise<LogData[]> {
  const found = await withCopies(
    cluster,
    (copy) => inspect({ ...copy, hosts }, hosts, { etcd_read_log: true }),
    authorityKeys(cluster),
  )
  return found.map(({ host, answer: { old_requests: old, programs = '' } }) => ({
    host,
    before: { '3.6': old?.before_3_6 ?? '', '3.7': old?.before_3_7 ?? '' },
    programs,
  }))
}

/** Clients that have refused a member's certificates since these were installed: they trust another authority alone. */
export interface Refusing {
  host: Host
  address: string
  times: number
}

/** Of clients that still hold a connection from before nothing is seen. @throws OperationError as `lookAtLogs` */
export async function lookForRefusing(cluster: Cluster): Promise<Refusing[]> {
  const found = await inspect(cluster, cluster.hosts, { etcd_find_refusing: true })
  return found.flatMap(({ host, answer: { refusing = {} } }) =>
    Object.entries(refusing).map(([address, times]) => ({ host, address, times })),
  )
}

interface Inspected extends Omit<HostData, 'host' | 'hasData'> {
  has_data: boolean
  foreign: boolean
  old_requests?: { before_3_6: string; before_3_7: string }
  programs?: string
  refusing?: Record<string, number>
}

async function inspect(
  cluster: Cluster,
  hosts: Host[],
  variables: Record<string, unknown>,
): Promise<{ host: Host; answer: Inspected }[]> {
  if (hosts.length === 0) return []
  await etcdRole.prepare(cluster)
  const found = await saidByHosts<Inspected>(cluster, {
    playbook: 'inspect',
    limit: hosts.map(({ name }) => name),
    variables: { etcd_doctor: false, ...variables },
  })
  return hosts.map((host) => {
    const answer = found.get(host.name)
    if (answer) return { host, answer }
    throw new OperationError(`${host.name} did not say what it has of data.`, {
      hint: 'Run the same command again with --verbose.',
    })
  })
}

/**
 * Asks those hosts themselves, and touches nothing: a host that answers as a member may still not let us in, and that
 * must show before the first change.
 * @throws OperationError for a host that cannot be worked on, or has certificates of another authority
 */
export async function requireReachable(cluster: Cluster, hosts: Host[]): Promise<HostData[]> {
  return withCopies(cluster, (copy) => lookAtData({ ...copy, hosts }, hosts), authorityKeys(cluster))
}
