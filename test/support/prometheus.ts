// A real Prometheus that watches a home's cluster as docs/monitoring.md has it, with waits of seconds instead of hours.
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { findProgram } from '../../tasks/core/programs.ts'
import { freePort } from '../../tasks/etcd/reach.ts'
import { temporaryFolder } from './folder.ts'
import type { Home } from './verbs.ts'
import { until } from './wait.ts'

/** Why tests that need Prometheus are skipped; '' where it is there. */
export const withoutPrometheus = findProgram('prometheus') ? '' : 'prometheus is not installed'

interface Alert {
  state: 'firing' | 'pending'
  labels: Record<string, string>
  annotations: Record<string, string>
}

export interface Watching {
  /** The alerts that fire now. */
  firing: () => Promise<Alert[]>
  /** What a query gives: the value of each series. */
  query: (expr: string) => Promise<number[]>
  /** Has Prometheus find these of our own metrics, as node_exporter would serve them. */
  serve: (text: string) => void
  stop: () => Promise<void>
}

const windows: Record<string, string> = { '[5m]': '[15s]', '[15m]': '[40s]' }

/** Hours and minutes become seconds: what an alert waits for, and what its rates look at. */
function hastened(rules: string): string {
  const shorter = Object.entries(windows).reduce((text, [long, short]) => text.replaceAll(long, short), rules)
  return shorter.replace(/^( +for:) \d+[mh]$/gm, '$1 2s')
}

/** With the files that `connect prometheus` gives. Everything is on 127.0.0.1, and ends with `stop`. */
export async function watch(home: Home): Promise<Watching> {
  const folder = temporaryFolder()
  const given = join(folder, 'given')
  await home.verb('connect', 'prometheus', '--output', given)
  const [scrape, rules] = ['scrape', 'rules'].map((what) =>
    readFileSync(join(given, `prometheus-${what}.yaml`), 'utf8'),
  )
  writeFileSync(join(folder, 'rules.yml'), hastened(rules ?? ''))
  const { scrape_configs: ours } = parse(scrape ?? '')

  let text = ''
  const exporter = createServer((_, response) => response.end(text)).listen(0, '127.0.0.1')
  await new Promise((listening) => exporter.once('listening', listening))
  const { port } = exporter.address() as AddressInfo
  const node = { job_name: 'node', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }
  const global = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' }
  const config = { global, rule_files: ['rules.yml'], scrape_configs: [...ours, node] }
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config))

  const at = `127.0.0.1:${await freePort()}`
  const words = [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`]
  const log = join(folder, 'log')
  const child = spawn('sh', ['-c', `exec prometheus "$@" >${log} 2>&1`, 'sh', ...words, `--web.listen-address=${at}`])
  const gone = new Promise((done) => child.once('exit', done))
  const get = async <T>(path: string): Promise<T> =>
    ((await (await fetch(`http://${at}/api/v1/${path}`)).json()) as { data: T }).data
  const isReady = (): Promise<boolean> =>
    fetch(`http://${at}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(`Prometheus is ready (${log})`, async () => {
    if (child.exitCode !== null) throw new Error(readFileSync(log, 'utf8'))
    return isReady()
  })
  return {
    firing: async () => (await get<{ alerts: Alert[] }>('alerts')).alerts.filter(({ state }) => state === 'firing'),
    query: async (expr) => {
      const { result } = await get<{ result: { value: [number, string] }[] }>(`query?query=${encodeURIComponent(expr)}`)
      return result.map(({ value }) => Number(value[1]))
    },
    serve: (metrics) => void (text = metrics),
    stop: async () => {
      exporter.closeAllConnections()
      exporter.close()
      child.kill('SIGKILL')
      await gone
    },
  }
}
