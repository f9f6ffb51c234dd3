import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { stringify } from 'yaml'
import type { Cluster } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import { writeFileAtomic } from '../core/files.ts'
import { print, run } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { gatherMetrics } from '../metrics.ts'
import { alertRules, dashboard, samplesOf, textOf } from '../monitoring/index.ts'

/** What may be printed instead of metrics; as text, or with --json as data. */
const documents: Record<string, () => { data: unknown; yaml?: true }> = {
  rules: () => ({ data: alertRules(), yaml: true }),
  dashboard: () => ({ data: dashboard() }),
}

export const verb: Verb = {
  name: 'metrics',
  summary: 'Print our own metrics for Prometheus; or alert rules, or a Grafana dashboard.',
  needsCluster: true,
  byRecord: true,
  flags: {
    output: { value: 'FILE', summary: 'write there, whole or not at all (default: standard output)' },
    rules: { summary: "instead: Prometheus' alert rules, for rule_files" },
    dashboard: { summary: 'instead: the Grafana dashboard, in JSON' },
  },
  help: `Without --rules or --dashboard: metrics of our own (certificates, backups, the
last verify, what is half done), as node_exporter's textfile collector reads
them. Members that are down are no failure: what only they know is left out.

How Prometheus reaches the members: npx zx scripts/connect.ts prometheus
docs/monitoring.md shows the whole way, with a timer.

Example: npx zx scripts/metrics.ts --output /var/lib/node-exporter/etcd.prom`,
  act: async (cluster, given) => {
    const asked = Object.keys(documents).filter((name) => given[name])
    if (asked.length > 1) throw new UsageError(`--${asked.join(' and --')} exclude each other.`)
    const path = given.output ? resolve(String(given.output)) : undefined
    if (path && !existsSync(dirname(path)))
      throw new UsageError(`There is no folder ${dirname(path)}.`, {
        hint: 'Make it, so that whoever reads the file may enter it.',
      })
    const text = await textFor(cluster, asked[0])
    if (!path) return print(text)
    writeFileAtomic(path, text, 0o644)
    run().closing = `Written to ${path}.`
  },
}

async function textFor(cluster: Cluster, name: string | undefined): Promise<string> {
  const document = name && documents[name]?.()
  if (document) {
    const asYaml = document.yaml && !run().json
    return asYaml ? stringify(document.data, { lineWidth: 0 }) : `${JSON.stringify(document.data, null, 2)}\n`
  }
  const known = await gatherMetrics(cluster)
  return run().json ? `${JSON.stringify({ cluster: cluster.name, metrics: samplesOf(known) })}\n` : textOf(known)
}
