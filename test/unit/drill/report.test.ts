// The drill's page: the verdict first, nothing that is fetched, nothing that escapes.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type DrillReport, html } from '../../../tasks/drill/report.ts'
import type { Result } from '../../../tasks/drill/results.ts'

const report: DrillReport = {
  cluster: 'blue<script>',
  version: '3.6.14',
  members: 3,
  started: Date.UTC(2026, 0, 1),
  ended: Date.UTC(2026, 0, 1) + 60_000,
  results: [
    {
      name: 'the leader dies',
      did: 'killed master01 & more',
      healedBy: 'up',
      struck: Date.UTC(2026, 0, 1) + 1000,
      healed: Date.UTC(2026, 0, 1) + 4000,
      outage: false,
      acknowledged: 9,
      lost: 0,
      failed: 0,
      stallMs: 1234,
      tookMs: 3000,
    },
  ],
  broken: [],
  leftOut: [['a clock is off', 'drills do not set clocks']],
  load: {
    acknowledged: 9,
    failed: 0,
    failures: [],
    missing: 0,
    reads: 3,
    failedReads: 0,
    backwards: 0,
    longestStallMs: 1234,
    writesPerSecond: 2,
  },
  latency: [
    { at: Date.UTC(2026, 0, 1), median: 3, worst: 20 },
    { at: Date.UTC(2026, 0, 1) + 500, median: undefined, worst: undefined },
    { at: Date.UTC(2026, 0, 1) + 1000, median: 4, worst: 900 },
  ],
}
const body = (page: string): string => page.slice(page.indexOf('<body>') + 7)

test('the verdict is the first line', () => {
  assert.match(body(html(report)), /^<h1 class="held">blue.* held: 9 writes were acknowledged, and none was lost\.</)
  const lost = html({ ...report, broken: ['2 acknowledged writes lost'] })
  assert.match(body(lost), /^<h1 class="broken">blue.* did not hold: 2 acknowledged writes lost\.</)
})

test('nothing is fetched, and no word of a cluster becomes markup', () => {
  const page = html(report)
  assert.not.match(page, /https?:|src=|href=|@import|url\(/)
  assert.not.match(page, '<script')
  assert.match(page, 'killed master01 &amp; more')
})

test('a row for each fault, what was left out, and a gap where nothing was acknowledged', () => {
  const page = html(report)
  assert.match(page, /the leader dies.*1\.2 s/)
  assert.match(page, 'a clock is off: drills do not set clocks')
  const paths = [...page.matchAll(/<path d="([^"]*)"/g)].map(([, path = '']) => path.split('M').length - 1)
  assert.equal(paths, [2, 2, 2, 2]) // for wide and for narrow screens
})

test('what did not hold is marked in its row, and a write that no quorum could take is not', () => {
  const [result] = report.results
  const rowOf = (more: object): string => html({ ...report, results: [{ ...result, ...more } as Result] })
  assert.match(rowOf({ lost: 2 }), '<td data-label="lost" class="broken">2</td>')
  assert.match(rowOf({ failed: 2 }), '<td data-label="failed" class="broken">2</td>')
  assert.match(rowOf({ failed: 2, outage: true }), '<td data-label="failed">2 (no quorum)</td>')
})

test.run()
