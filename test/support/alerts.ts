// The tables of alerts and of our own metrics as a page, docs/alerts.md: `npm run docs` writes it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defaultCluster } from '../../tasks/core/command.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { inText } from '../../tasks/core/remedy.ts'
import { type Alert, alerts } from '../../tasks/monitoring/alerts.ts'
import { ownMetrics, samplesOf } from '../../tasks/monitoring/own-metrics.ts'
import { known } from './known.ts'

export const page = join(projectFolder, 'docs/alerts.md')

const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

const alertLine = ([name, { severity, for: pending, summary, remedy, source }]: [string, Alert]): string =>
  line([
    `\`${name}\``,
    severity,
    pending === '0s' ? 'at once' : pending,
    summary,
    inText({ name: defaultCluster }, remedy),
    source,
  ])

/** By what is known of a cluster that has everything: the labels besides `cluster`. */
function metricLine([name, { help }]: (typeof ownMetrics)[number]): string {
  const labels = samplesOf(known).find((sample) => sample.name === name)?.labels ?? {}
  const more = Object.keys(labels).filter((label) => label !== 'cluster')
  return line([`\`${name}\``, more.map((label) => `\`${label}\``).join(', ') || '–', help])
}

export const text = `# Alerts, and our own metrics

Made from \`tasks/monitoring/alerts.ts\` and \`tasks/monitoring/own-metrics.ts\` by \`npm run docs\`.
[monitoring.md](monitoring.md) says how Prometheus gets them. Critical: clients suffer, or soon will. Warning: in the
next days a person must look. In the annotation \`runbook\` each command names the alert's cluster.

| alert | severity | after | what is seen | what helps | where the threshold is from |
|---|---|---|---|---|---|
${Object.entries<Alert>(alerts).map(alertLine).join('\n')}

## Metrics of our own

The verb \`metrics\` writes them. All are gauges, and all have the label \`cluster\`.

| metric | further labels | meaning |
|---|---|---|
${ownMetrics.map(metricLine).join('\n')}
`

if (process.argv[1] === import.meta.filename) writeFileSync(page, text)
