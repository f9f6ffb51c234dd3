// Monitoring: what Prometheus, Grafana and node_exporter are given. All of it is pure.
export { alertRules } from './alerts.ts'
export { dashboard } from './dashboard.ts'
export { type Known, samplesOf, textOf } from './own-metrics.ts'
export { scrapeConfig, scrapedAt, targets } from './scrape.ts'
