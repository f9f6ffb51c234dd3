// Whether members expose all that the alerts and the dashboard ask for.
import type { Cluster } from '../../tasks/core/cluster.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { type Alert, alerts } from '../../tasks/monitoring/alerts.ts'
import { queries } from '../../tasks/monitoring/dashboard.ts'
import { metricsIn } from './promtool.ts'

/** What rules and panels name of etcd's own metrics, and which query does. */
export const asked: [metric: string, query: string][] = [
  ...Object.values<Alert>(alerts).map(({ expr }) => expr),
  ...queries,
].flatMap((query) =>
  metricsIn(query)
    .filter((metric) => metric !== 'up' && !metric.startsWith('ha_etcd_'))
    .map((metric): [string, string] => [metric, query]),
)

/** etcd looks every 30 s how long its peers take (statusMonitoringInterval in rafthttp/probing_status.go). */
export const later = 'etcd_network_peer_round_trip_time_seconds_bucket'

/** Those that a member lacks which answers at this URL. `cluster`: whose client certificate is shown. */
export async function lackingAt(cluster: Cluster, url: string): Promise<string[]> {
  const gateway = openGateway(cluster, 1)
  const text = await gateway.metrics(url, 5000).finally(() => gateway.close())
  const there = new Set(text.split('\n').map((line) => line.split(/[{ ]/)[0]))
  return [...new Set(asked.map(([metric]) => metric))].filter((metric) => !there.has(metric))
}
