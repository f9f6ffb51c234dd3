// Our own metrics: the text that node_exporter reads, and names by Prometheus' rules.
import { spawnSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Known, samplesOf, textOf } from '../../../tasks/monitoring/index.ts'
import { ownMetrics } from '../../../tasks/monitoring/own-metrics.ts'
import { known } from '../../support/known.ts'
import { withoutPromtool } from '../../support/promtool.ts'

const lines = (about: Known): string[] =>
  textOf(about)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

test('each metric has a sample where everything is known', () => {
  const names = samplesOf(known).map(({ name }) => name)
  assert.equal(
    ownMetrics.filter(([name]) => !names.includes(name)),
    [],
  )
})

test('moments are seconds since 1970, and each sample names its cluster', () => {
  assert.ok(lines(known).includes('ha_etcd_backup_timestamp_seconds{cluster="blue"} 1799999000.5'))
  assert.ok(lines(known).includes('ha_etcd_clock_offset_seconds{cluster="blue",host="master01"} -1.5'))
  assert.ok(lines(known).every((line) => line.includes('{cluster="blue"')))
})

test('of two authorities the one that ends first counts: a metric has each set of labels once', () => {
  const series = lines(known).map((line) => line.split(' ')[0])
  assert.is(new Set(series).size, series.length)
  assert.ok(lines(known).includes('ha_etcd_certificate_not_after_seconds{cluster="blue",file="ca.crt"} 1850000000'))
})

test('a backup that was never made is of 1970; while members are down what only they know is left out', () => {
  const down: Known = {
    ...known,
    backups: { count: 0, newest: undefined },
    verified: undefined,
    atWork: undefined,
    hosts: known.hosts.map((host) => ({ ...host, answers: false, commits: false, aheadMs: undefined })),
    learners: undefined,
    alarms: undefined,
  }
  const text = lines(down)
  assert.ok(text.includes('ha_etcd_backup_timestamp_seconds{cluster="blue"} 0'))
  assert.ok(text.includes('ha_etcd_verify_timestamp_seconds{cluster="blue"} 0'))
  assert.ok(text.includes('ha_etcd_member_answers{cluster="blue",host="master01"} 0'))
  assert.not.match(text.join('\n'), /learners|alarms|clock|healthy|verb_start/)
})

test('quotes, backslashes and line breaks in a label are escaped', () => {
  const odd = { ...known, certificates: [{ file: 'a"b\\c\nd', notAfter: 0 }] }
  assert.match(textOf(odd), 'file="a\\"b\\\\c\\nd"} 0')
})

const withPromtool = withoutPromtool ? test.skip : test

withPromtool('promtool finds no fault with the text and its names', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: textOf(known),
    encoding: 'utf8',
  })
  assert.is(`${status} ${stdout}${stderr}`, '0 ')
})

test.run()
