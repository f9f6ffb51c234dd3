// What the data that a cluster was formed from bring along: a downgrade that is enabled, and alarms.
import { upkeepActs } from '../acts/upkeep.ts'
import type { Cluster } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { alarmList, endpointStatus, valuesOf } from '../etcd/etcdctl.ts'
import { cancelDowngrade, defragment, disarmAlarms } from '../etcd/maintenance.ts'

/** The version that members say an enabled downgrade leads to; '' where none is. Before 3.6 etcd does not say. */
async function enabledDowngrade(cluster: Cluster): Promise<string> {
  return valuesOf(await endpointStatus(cluster)).find(({ downgradingTo }) => downgradingTo)?.downgradingTo ?? ''
}

/** The kinds of alarm that are raised. Where nobody commits, nobody can say: what comes may bring some. */
const alarmsBrought = (cluster: Cluster): Promise<string[] | undefined> =>
  alarmList(cluster).then(
    (alarms) => [...new Set(alarms.map(({ alarm }) => alarm))].sort(),
    () => undefined,
  )

/**
 * Both lie in the data, in a snapshot, too. Who goes on from them ends them: else no new member joins, and with damaged
 * data on a member that is left behind nobody would commit.
 */
export const endInherited = (cluster: Cluster): Task => ({
  title: 'End a downgrade and alarms that the data bring along',
  skip: async () =>
    (await enabledDowngrade(cluster)) === '' && (await alarmsBrought(cluster))?.length === 0 && 'they bring none',
  task: async (_, task) => {
    if (await enabledDowngrade(cluster)) await cancelDowngrade(cluster)
    const alarms = (await alarmsBrought(cluster)) ?? []
    task.title += alarms.map((alarm) => `: ${alarm}`).join('')
    for (const warning of alarms.flatMap((alarm) => meaning[alarm] ?? [])) run().warn(warning)
    await disarmAlarms(cluster) // with CORRUPT nothing is compacted
    if (alarms.includes('NOSPACE')) await makeRoom(cluster)
  },
})

/**
 * Who gives all members one version ends with that a downgrade to another one: as long as it is enabled, verify fails.
 */
export const endDowngrade = (cluster: Cluster): Task => ({
  title: 'End the downgrade that is enabled',
  skip: async () => (await enabledDowngrade(cluster)) === '' && 'none is',
  task: () => cancelDowngrade(cluster),
})

/** As `defrag --disarm` does, but all that answer: no client is there yet. */
async function makeRoom(cluster: Cluster): Promise<void> {
  await upkeepActs.compact(cluster)
  for (const { clientURL } of cluster.hosts) {
    const [status] = await endpointStatus(cluster, { endpoints: [clientURL] })
    if (status?.ok) await defragment(cluster, clientURL)
  }
  await disarmAlarms(cluster) // what was written meanwhile may have raised it again
  await upkeepActs['prove a write'](cluster)
}

/** What an alarm that was lowered says of the data. */
const meaning: Record<string, string> = {
  NOSPACE: 'The data brought along alarm NOSPACE: they were compacted and defragmented, and it was lowered.',
  CORRUPT: 'The data brought along alarm CORRUPT, which was lowered: members differed when it was saved.',
}
