// What a provider of hosts can do. One file beside this one for each provider.
import type { Check } from '../core/check.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import type { Result } from '../core/shell.ts'

export interface HostState {
  name: string
  address: string
  up: boolean
  detail: string
}

export const addressesOf = ({ hosts }: Cluster): string =>
  `${hosts[0]?.address}${hosts.length > 1 ? ` to ${hosts.at(-1)?.address}` : ''}`

/** Brings hosts up and takes them down, and says how they are and how Ansible reaches them. */
export interface HostProvider {
  checks(cluster: Cluster): Check[]
  /** Steps that bring every host up; running them again changes nothing. */
  up(cluster: Cluster): Task[]
  /** Steps that stop the hosts and remove them with their data; nothing to do is no failure. */
  down(cluster: Cluster): Task[]
  /** Stops one host, which is no longer a member, and removes it with its data; nothing to do is no failure. */
  remove(cluster: Cluster, host: Host): Promise<void>
  states(cluster: Cluster): Promise<HostState[]>
  connection(cluster: Cluster, host: Host): NonNullable<Host['connection']>
  /** Hosts whose member nobody would start again; providers whose hosts have a service manager leave it out. */
  unkept?(cluster: Cluster): Promise<Host[]>
  /** Has them looked after again, without touching a member that runs; says what it did. */
  mend?(cluster: Cluster): Promise<string[]>
  /** The process id of a host's member, where it runs: equal before and after means that it was not restarted. */
  memberPid(cluster: Cluster, host: Host): Promise<number | undefined>
  /** Runs a shell script on a host with the rights that its etcd has. `input`: what it reads. */
  shell(cluster: Cluster, host: Host, script: string, input?: string): Promise<Result>
  /** Kills a host's member as a crash would, and keeps it down until it is started again. */
  crashMember(cluster: Cluster, host: Host): Promise<void>
}
