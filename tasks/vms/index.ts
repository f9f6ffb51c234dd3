// Phase vms: the cluster's hosts, up and known to Ansible.
import type { Check } from '../core/check.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import { type ProviderName, recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { local } from './local.ts'
import type { HostProvider, HostState } from './provider.ts'
import { ssh } from './ssh.ts'
import { vagrant } from './vagrant.ts'

const providers: Record<ProviderName, HostProvider> = { local, vagrant, ssh }

/** What the cluster's provider needs of this machine. */
export const checks = (cluster: Cluster): Check[] => providers[cluster.provider].checks(cluster)

/** Brings the hosts up and records how Ansible reaches them. */
export function tasks(cluster: Cluster): Task[] {
  const provider = providers[cluster.provider]
  return [
    ...provider.up(cluster),
    {
      title: 'Record how the hosts are reached',
      task: async () => {
        for (const host of cluster.hosts) host.connection = provider.connection(cluster, host)
        recordCluster(cluster)
        run.report.hosts = await provider.states(cluster)
      },
    },
  ]
}

/** How each host is, as far as its provider can see. */
export const states = (cluster: Cluster): Promise<HostState[]> => providers[cluster.provider].states(cluster)

/** What the phase would do, a line each. */
export async function plan(cluster: Cluster): Promise<string[]> {
  return (await states(cluster)).filter(({ up }) => !up).map(({ name, address }) => `bring ${name} up at ${address}`)
}

/** Stops the hosts and removes them with their data. */
export const downTasks = (cluster: Cluster): Task[] => providers[cluster.provider].down(cluster)

/** Stops one host, which is no longer a member, and removes it with its data. */
export const removeHost = (cluster: Cluster, host: Host): Promise<void> =>
  providers[cluster.provider].remove(cluster, host)

/** The process id of each member that runs, by host. */
export const memberPids = (cluster: Cluster): Promise<Record<string, number>> =>
  providers[cluster.provider].memberPids(cluster)

/** Kills a host's member as a crash would, and keeps it down. For tests of what a cluster survives. */
export const crashMember = (cluster: Cluster, host: Host): Promise<void> =>
  providers[cluster.provider].crashMember(cluster, host)
