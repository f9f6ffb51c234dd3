// Phase vms: the cluster's hosts, up and known to Ansible.
import type { Check } from '../core/check.ts'
import { type Cluster, type ProviderName, recordCluster } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import { local } from './local.ts'
import type { HostProvider, HostState } from './provider.ts'

const providers: Record<ProviderName, HostProvider> = { local }

/** What the cluster's provider needs of this machine. */
export const checks = (cluster: Cluster): Check[] => providers[cluster.provider].checks(cluster)

/** Brings the hosts up and records how Ansible reaches them. */
export function tasks(cluster: Cluster): Task[] {
  const provider = providers[cluster.provider]
  return [
    ...provider.up(cluster),
    {
      title: 'Record how the hosts are reached',
      task: () => {
        for (const host of cluster.hosts) host.connection = provider.connection(cluster, host)
        recordCluster(cluster)
      },
    },
  ]
}

/** Stops the hosts and removes them with their data. */
export const downTasks = (cluster: Cluster): Task[] => providers[cluster.provider].down(cluster)

/** How the hosts are now. */
export const hostStates = (cluster: Cluster): Promise<HostState[]> => providers[cluster.provider].states(cluster)
