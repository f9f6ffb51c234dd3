// A downgrade that is enabled in the data that a cluster was formed from.
import type { Cluster } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import { endpointStatus, valuesOf } from '../etcd/etcdctl.ts'
import { cancelDowngrade } from '../etcd/maintenance.ts'

/** The version that members say an enabled downgrade leads to; '' where none is. Before 3.6 etcd does not say. */
async function enabledDowngrade(cluster: Cluster): Promise<string> {
  return valuesOf(await endpointStatus(cluster)).find(({ downgradingTo }) => downgradingTo)?.downgradingTo ?? ''
}

/**
 * An enabled downgrade lies in the data, in a snapshot, too. Who goes on from them ends it: else no new member joins.
 */
export const endInherited = (cluster: Cluster): Task => ({
  title: 'End a downgrade that the data bring along',
  skip: async () => (await enabledDowngrade(cluster)) === '' && 'they bring none',
  task: () => cancelDowngrade(cluster),
})
