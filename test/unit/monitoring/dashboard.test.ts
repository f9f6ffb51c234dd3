// The dashboard: queries that Prometheus understands, panels that do not overlap, the same file every time.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { dashboard, queries } from '../../../tasks/monitoring/dashboard.ts'
import { families } from '../../../tasks/monitoring/own-metrics.ts'
import { metricsIn, promtool, withoutPromtool } from '../../support/promtool.ts'

interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string }[]
}
const { panels } = dashboard() as { panels: Panel[] }
const withPromtool = withoutPromtool ? test.skip : test

withPromtool('promtool understands each query', () => {
  const rules = queries.map((query, index) => ({
    record: `q${index}`,
    expr: query.replaceAll('$__rate_interval', '5m'),
  }))
  const { exitCode, output } = promtool(['check', 'rules', 'q.yml'], { 'q.yml': { groups: [{ name: 'q', rules }] } })
  assert.is(exitCode, 0, output)
})

test('each query is of one cluster', () => {
  for (const query of queries) assert.match(query, 'cluster="$cluster"')
})

test('a metric of our own that a query names is one that we write', () => {
  const named = queries.flatMap(metricsIn).filter((metric) => metric.startsWith('ha_etcd_'))
  assert.ok(named.length > 4)
  assert.equal(
    named.filter((metric) => !(metric in families)),
    [],
  )
})

test('no two panels have one id, or overlap, and none stands out of the 24 columns', () => {
  assert.is(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
    assert.ok(x + w <= 24)
    return Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`)
  })
  assert.is(new Set(cells).size, cells.length)
})

test('it is the same every time, and all of it is JSON', () => {
  assert.is(JSON.stringify(dashboard()), JSON.stringify(dashboard()))
  assert.ok(panels.filter(({ type }) => type !== 'row').every(({ targets }) => (targets ?? []).length > 0))
})

test.run()
