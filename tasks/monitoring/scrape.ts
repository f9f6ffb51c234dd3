// What Prometheus is told of a cluster: how its members are scraped, and where they are. Pure.
import type { Cluster, Host } from '../core/cluster.ts'
import { addressIn, withPort } from '../core/ip.ts'

/** What each job of ours begins with: the rules and the dashboard know our members by it. */
const jobPrefix = 'ha-etcd-'

/** The members of all clusters, as a matcher of PromQL. */
export const ourJobs = `job=~"${jobPrefix}.+"`

type Monitored = Pick<Cluster, 'name' | 'plainClients'> & {
  etcd: Pick<Cluster['etcd'], 'metricsPort' | 'metricsPlain'>
}

/** Where the files are on Prometheus' machine. Without TLS no certificate is needed. */
export interface ScrapeFiles {
  ca: string
  cert: string
  key: string
  /** The JSON of `targets`. */
  targets: string
}

interface ScrapeConfig {
  job_name: string
  scheme: 'http' | 'https'
  tls_config?: { ca_file: string; cert_file: string; key_file: string }
  file_sd_configs: { files: string[] }[]
}

/** Whether metrics are had without TLS, and so without a certificate. */
const isPlain = ({ plainClients, etcd: { metricsPort, metricsPlain } }: Monitored): boolean =>
  metricsPort ? metricsPlain === true : plainClients === 'only'

/** Which port is scraped, and how: once that changes, whoever scrapes must know. */
export const scrapedAt = (cluster: Monitored): string =>
  `${isPlain(cluster) ? 'http' : 'https'} at ${cluster.etcd.metricsPort ?? 'the client port'}`

/** An entry of Prometheus' scrape_configs. Each cluster has a job of its own, since it has an authority of its own. */
export function scrapeConfig(cluster: Monitored, { ca, cert, key, targets: list }: ScrapeFiles): ScrapeConfig {
  const plain = isPlain(cluster)
  return {
    job_name: `${jobPrefix}${cluster.name}`,
    scheme: plain ? 'http' : 'https',
    ...(!plain && { tls_config: { ca_file: ca, cert_file: cert, key_file: key } }),
    file_sd_configs: [{ files: [list] }],
  }
}

interface TargetGroup {
  targets: string[]
  labels: { cluster: string; host: string }
}

/** What Prometheus' file_sd_configs reads: a member each, with its cluster and its host as labels. */
export const targets = (cluster: Monitored & { hosts: Host[] }): TargetGroup[] =>
  cluster.hosts.map((host) => ({
    targets: [targetOf(cluster, host)],
    labels: { cluster: cluster.name, host: host.name },
  }))

/** A member that another tool runs has no metrics port of ours. */
function targetOf({ etcd: { metricsPort } }: Monitored, { address, clientURL, foreign }: Host): string {
  if (metricsPort && !foreign) return withPort(address, metricsPort)
  const client = addressIn(clientURL)
  return withPort(client.address, client.port)
}
