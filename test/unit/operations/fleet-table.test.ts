// The table of many clusters: 80 columns, a row for whatever state a cluster is in, and below it what is wrong.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plain } from '../../../tasks/core/terminal.ts'
import type { ClusterRow } from '../../../tasks/operations/fleet-look.ts'
import { renderRows } from '../../../tasks/operations/fleet-table.ts'

const well: ClusterRow = {
  ...{ cluster: 'blue', provider: 'ssh', members: 3, up: 3, leader: 'master01', versions: ['3.6.14'] },
  ...{ daysLeft: 364, backup: new Date(Date.now() - 3 * 3_600_000).toISOString(), wrong: null, advice: [] },
  ...{ atWork: null, renewBeforeDays: 30 },
}
const broken: ClusterRow = {
  ...well,
  ...{ cluster: 'green', provider: null, members: null, up: null, leader: null, versions: [], daysLeft: null },
  ...{ backup: null, wrong: { code: null, host: null, sentence: 'The record is no JSON.', remedy: 'Put it back.' } },
}
const lines = (...rows: ClusterRow[]): string[] => plain(renderRows(rows)).split('\n')

test('a cluster that is well is one row; one that cannot be looked at is one, too, and told below', () => {
  const [heading, , titles, first, second, ...notes] = lines(well, broken)
  assert.is(heading, '2 clusters: 1 well, 1 not')
  assert.match(titles ?? '', /^CLUSTER +UP +LEADER +ETCD +CERTS +BACKUP +STATE$/)
  assert.match(first ?? '', /^blue +3\/3 +master01 +3\.6\.14 +364 days +3 hours +well$/)
  assert.match(second ?? '', /^green( +-){5} +cannot look$/)
  assert.equal(notes, ['', 'green: The record is no JSON.', '  Put it back.'])
})

test('a verb at work stands in the row, and its step below', () => {
  const atWork = { verb: 'restart', pid: 7, since: new Date().toISOString(), suspended: false, steps: ['a', 'b'] }
  const shown = lines({ ...well, atWork }).join('\n')
  assert.match(shown, /restart, \d+ ms/)
  assert.match(shown, 'blue: restart is at: b')
})

test('where names are long the leader goes, and no row is wider than 80 columns', () => {
  const long = { ...well, cluster: 'a-cluster-with-a-name-that-is-long', leader: 'etcd-01.dc1.example.com' }
  const shown = lines(long)
  assert.not.match(shown.join('\n'), 'LEADER')
  assert.ok(shown.every((line) => line.length <= 80))
})

test.run()
