// The alerts: each fires when it should and not a little below, by Prometheus' own word; and each names a verb of ours.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../../tasks/core/environment.ts'
import { clusterFlags, parseCommandLine } from '../../../tasks/core/flags.ts'
import type { Verb } from '../../../tasks/core/script.ts'
import { type Alert, type AlertName, alertRules, alerts } from '../../../tasks/monitoring/alerts.ts'
import { families } from '../../../tasks/monitoring/own-metrics.ts'
import { page, text } from '../../support/alerts.ts'
import { metricsIn, promtool, withoutPromtool } from '../../support/promtool.ts'

const names = Object.keys(alerts) as AlertName[]
const withPromtool = withoutPromtool ? test.skip : test

/** Series as promtool writes them: what stands before the blank is the value at the start. One value a minute. */
type Series = Record<string, string>

const hosts = ['a', 'b', 'c']
const of = (metric: string, host: string, more = ''): string =>
  `${metric}{job="ha-etcd-c",cluster="c",host="${host}",instance="${host}:2379"${more}}`
const onAll = (metric: string, values: string, more = ''): Series =>
  Object.fromEntries(hosts.map((host) => [of(metric, host, more), values]))
const mine = (metric: keyof typeof families, values: string, more = ''): Series => ({
  [`${metric}{job="node",instance="ops:9100",cluster="c"${more}}`]: values,
})
const handled = (code: string): string => `,grpc_code="${code}",grpc_method="Put",grpc_service="etcdserverpb.KV"`
/** A histogram of ten observations a minute, all of which took as long. */
const took = (histogram: string, host: string, below: string, above: string, more = ''): Series => ({
  [of(`${histogram}_bucket`, host, `,le="${below}"${more}`)]: '0x150',
  [of(`${histogram}_bucket`, host, `,le="${above}"${more}`)]: '0+10x150',
  [of(`${histogram}_bucket`, host, `,le="+Inf"${more}`)]: '0+10x150',
})
const [wal, commit] = ['etcd_disk_wal_fsync_duration_seconds', 'etcd_disk_backend_commit_duration_seconds']
const trip = 'etcd_network_peer_round_trip_time_seconds'
const file = ',file="master01/server.crt"'
const version = (number: string): string => `,server_version="${number}"`
const hour = 60
/** Days before the clock's beginning, in seconds. */
const daysAgo = (days: number): string => `-${days * 86_400}x150`

/** A cluster that is well. Its clock begins at 1970: what is old is of before. */
const well: Series = {
  ...onAll('up', '1x150'),
  ...onAll('etcd_server_has_leader', '1x150'),
  ...onAll('etcd_server_is_learner', '0x150'),
  ...onAll('etcd_server_leader_changes_seen_total', '1x150'),
  ...onAll('etcd_server_version', '1x150', version('3.6.14')),
  ...onAll('etcd_mvcc_db_total_size_in_bytes', '100x150'),
  ...onAll('etcd_server_quota_backend_bytes', '1000x150'),
  ...onAll('grpc_server_handled_total', '0x150', handled('ResourceExhausted')),
  ...onAll('grpc_server_handled_total', '0x150', handled('DataLoss')),
  ...mine('ha_etcd_metrics_timestamp_seconds', '0+60x150'),
  ...mine('ha_etcd_certificate_not_after_seconds', `${86_400 * 300}x150`, file),
  ...mine('ha_etcd_certificate_renew_before_seconds', `${86_400 * 30}x150`),
  ...mine('ha_etcd_backup_timestamp_seconds', '0+60x150'),
  ...mine('ha_etcd_verify_timestamp_seconds', '0+60x150'),
  ...mine('ha_etcd_verify_healthy', '1x150'),
  ...mine('ha_etcd_half_done', '0x150', ',what="scale"'),
  ...mine('ha_etcd_learners', '0x150'),
  ...mine('ha_etcd_alarms', '0x150', ',alarm="NOSPACE"'),
  ...mine('ha_etcd_clock_offset_seconds', '0.5x150', ',host="a"'),
}

/** What differs from a cluster that is well, and what then fires; `near`: whose threshold is nearly reached. */
interface Scenario {
  series: Series
  /** In minutes. */
  at?: number
  fires?: AlertName[]
  near?: AlertName
}

const down = (...names: string[]): Series => Object.fromEntries(names.map((host) => [of('up', host), '0x150']))
const ends = (days: number): Series => mine('ha_etcd_certificate_not_after_seconds', `${86_400 * days}x150`, file)

const scenarios: Record<string, Scenario> = {
  'all is well': { series: {}, at: 2 * hour + 10 },
  'one of three down': {
    series: down('a'),
    fires: ['HaEtcdMemberDown', 'HaEtcdQuorumAtRisk'],
    near: 'HaEtcdQuorumLost',
  },
  'one of three down, for less than five minutes': {
    series: { [of('up', 'a')]: '1x20 0x100' },
    at: 25,
    fires: ['HaEtcdQuorumAtRisk'],
    near: 'HaEtcdMemberDown',
  },
  'two of three down': { series: down('a', 'b'), fires: ['HaEtcdMemberDown', 'HaEtcdQuorumLost'] },
  'one of four down': {
    series: { ...down('a'), [of('up', 'd')]: '1x150' },
    fires: ['HaEtcdMemberDown', 'HaEtcdQuorumAtRisk'],
  },
  'two of four down': {
    series: { ...down('a', 'b'), [of('up', 'd')]: '1x150' },
    fires: ['HaEtcdMemberDown', 'HaEtcdQuorumLost'],
  },
  'one of five down': {
    series: { ...down('a'), [of('up', 'd')]: '1x150', [of('up', 'e')]: '1x150' },
    fires: ['HaEtcdMemberDown'],
    near: 'HaEtcdQuorumAtRisk',
  },
  'one of three down, and a learner beside them': {
    series: { ...down('a'), [of('up', 'd')]: '1x150', [of('etcd_server_is_learner', 'd')]: '1x150' },
    fires: ['HaEtcdMemberDown', 'HaEtcdQuorumAtRisk'],
    near: 'HaEtcdLearnerLeftOver',
  },
  'a member alone': { series: { ...down('b', 'c'), [of('up', 'b')]: '_x1', [of('up', 'c')]: '_x1' } },
  'a member without a leader': {
    series: { [of('etcd_server_has_leader', 'b')]: '0x150' },
    fires: ['HaEtcdNoLeader'],
  },
  'a short election': {
    series: { [of('etcd_server_has_leader', 'b')]: '1x29 0 1x100' },
    at: 30,
    near: 'HaEtcdNoLeader',
  },
  'writes refused': {
    series: { [of('grpc_server_handled_total', 'a', handled('ResourceExhausted'))]: '0x20 0+1x100' },
    fires: ['HaEtcdWritesRefused'],
    near: 'HaEtcdDataDamaged',
  },
  'writes refused long ago': {
    series: { [of('grpc_server_handled_total', 'a', handled('ResourceExhausted'))]: '0x5 7x100' },
    near: 'HaEtcdWritesRefused',
  },
  'damaged data': {
    series: { [of('grpc_server_handled_total', 'a', handled('DataLoss'))]: '0x20 0+1x100' },
    fires: ['HaEtcdDataDamaged'],
  },
  'an alarm': { series: mine('ha_etcd_alarms', '1x150', ',alarm="NOSPACE"'), fires: ['HaEtcdAlarm'] },
  'an alarm that was lowered': {
    series: mine('ha_etcd_alarms', '1x20 0x100', ',alarm="NOSPACE"'),
    near: 'HaEtcdAlarm',
  },
  '81 % of the quota': {
    series: { [of('etcd_mvcc_db_total_size_in_bytes', 'a')]: '810x150' },
    fires: ['HaEtcdDatabaseNearQuota'],
    near: 'HaEtcdDatabaseFull',
  },
  '96 % of the quota': {
    series: { [of('etcd_mvcc_db_total_size_in_bytes', 'a')]: '960x150' },
    fires: ['HaEtcdDatabaseFull', 'HaEtcdDatabaseNearQuota'],
  },
  '79 % of the quota': {
    series: { [of('etcd_mvcc_db_total_size_in_bytes', 'a')]: '790x150' },
    near: 'HaEtcdDatabaseNearQuota',
  },
  'four elections in a quarter of an hour': {
    series: onAll('etcd_server_leader_changes_seen_total', '1x20 2 3 4 5 5x100'),
    fires: ['HaEtcdLeaderChanges'],
  },
  'two elections in a quarter of an hour': {
    series: onAll('etcd_server_leader_changes_seen_total', '1x20 2 3 3x100'),
    near: 'HaEtcdLeaderChanges',
  },
  'a slow log': { series: took(wal, 'a', '0.512', '1.024'), fires: ['HaEtcdSlowLog'] },
  'a log that is not that slow': { series: took(wal, 'a', '0.128', '0.256'), near: 'HaEtcdSlowLog' },
  'slow commits': { series: took(commit, 'a', '0.256', '0.512'), fires: ['HaEtcdSlowCommits'] },
  'commits that are not that slow': { series: took(commit, 'a', '0.064', '0.128'), near: 'HaEtcdSlowCommits' },
  'a slow way': { series: took(trip, 'a', '0.2048', '0.4096', ',To="1"'), fires: ['HaEtcdSlowPeers'] },
  'a way that is not that slow': { series: took(trip, 'a', '0.0512', '0.1024', ',To="1"'), near: 'HaEtcdSlowPeers' },
  'a learner, by its own word': {
    series: { [of('up', 'd')]: '1x150', [of('etcd_server_is_learner', 'd')]: '1x150' },
    at: hour + 10,
    fires: ['HaEtcdLearnerLeftOver'],
  },
  'a learner that never started': {
    series: mine('ha_etcd_learners', '1x150'),
    at: hour + 10,
    fires: ['HaEtcdLearnerLeftOver'],
  },
  'two versions for more than two hours': {
    series: { [of('etcd_server_version', 'd', version('3.5.33'))]: '1x150' },
    at: 2 * hour + 10,
    fires: ['HaEtcdVersionsApart'],
  },
  'two versions for an hour': {
    series: { [of('etcd_server_version', 'd', version('3.5.33'))]: '1x150' },
    at: hour,
    near: 'HaEtcdVersionsApart',
  },
  'a clock behind': { series: mine('ha_etcd_clock_offset_seconds', '-3x150', ',host="a"'), fires: ['HaEtcdClockOff'] },
  'a clock a little behind': {
    series: mine('ha_etcd_clock_offset_seconds', '-1.5x150', ',host="a"'),
    near: 'HaEtcdClockOff',
  },
  'a certificate with 20 days': {
    series: ends(20),
    at: hour + 10,
    fires: ['HaEtcdCertificateDue'],
    near: 'HaEtcdCertificateEnding',
  },
  'a certificate with 31 days': { series: ends(31), at: hour + 10, near: 'HaEtcdCertificateDue' },
  'a certificate with 7 days': {
    series: ends(7),
    at: hour + 10,
    fires: ['HaEtcdCertificateDue', 'HaEtcdCertificateEnding'],
  },
  'a certificate that has ended': {
    series: ends(0),
    at: hour + 10,
    fires: ['HaEtcdCertificateDue', 'HaEtcdCertificateEnding'],
  },
  'no backup for three days': {
    series: mine('ha_etcd_backup_timestamp_seconds', daysAgo(3)),
    fires: ['HaEtcdBackupTooOld'],
  },
  'none brought away for three days': {
    series: mine('ha_etcd_backup_away_timestamp_seconds', daysAgo(3)),
    fires: ['HaEtcdBackupAwayTooOld'],
  },
  'none brought away for a day': {
    series: mine('ha_etcd_backup_away_timestamp_seconds', daysAgo(1)),
    near: 'HaEtcdBackupAwayTooOld',
  },
  'no backup for a day': {
    series: mine('ha_etcd_backup_timestamp_seconds', daysAgo(1)),
    near: 'HaEtcdBackupTooOld',
  },
  'a verify that failed': { series: mine('ha_etcd_verify_healthy', '0x150'), fires: ['HaEtcdVerifyFailed'] },
  'a verify that failed, and then did not': {
    series: mine('ha_etcd_verify_healthy', '0x25 1x100'),
    near: 'HaEtcdVerifyFailed',
  },
  'no verify for nine days': {
    series: mine('ha_etcd_verify_timestamp_seconds', daysAgo(9)),
    fires: ['HaEtcdVerifyTooOld'],
  },
  'no verify for seven days': {
    series: mine('ha_etcd_verify_timestamp_seconds', daysAgo(7)),
    near: 'HaEtcdVerifyTooOld',
  },
  'half done for more than an hour': {
    series: mine('ha_etcd_half_done', '1x150', ',what="scale"'),
    at: hour + 10,
    fires: ['HaEtcdHalfDone'],
  },
  'half done for a moment': { series: mine('ha_etcd_half_done', '1x150', ',what="scale"'), near: 'HaEtcdHalfDone' },
  'a scheduled backup that fails for more than half an hour': {
    series: mine('ha_etcd_scheduled_failed', '1x150', ',verb="backup"'),
    at: 40,
    fires: ['HaEtcdScheduledFailed'],
  },
  'a scheduled backup that failed, and then did not': {
    series: mine('ha_etcd_scheduled_failed', '0x10 1x15 0x100', ',verb="backup"'),
    at: 50,
    near: 'HaEtcdScheduledFailed',
  },
  'nobody has looked for two hours what is due': {
    series: mine('ha_etcd_schedule_timestamp_seconds', `-${2 * 3600}x150`),
    fires: ['HaEtcdScheduleIdle'],
  },
  'somebody looked half an hour ago what is due': {
    series: mine('ha_etcd_schedule_timestamp_seconds', '0x150'),
    near: 'HaEtcdScheduleIdle',
  },
  'metrics of two hours ago': {
    series: mine('ha_etcd_metrics_timestamp_seconds', `-${2 * 3600}x150`),
    fires: ['HaEtcdMetricsOld'],
  },
  'metrics of half an hour ago': {
    series: mine('ha_etcd_metrics_timestamp_seconds', '0x150'),
    near: 'HaEtcdMetricsOld',
  },
}

/** The series of that scenario, as those of a cluster of that name. */
const seriesOf = (cluster: string, { series }: Scenario): { series: string; values: string }[] =>
  Object.entries({ ...well, ...series }).map(([series, values]) => ({
    series: series.replace('cluster="c"', `cluster="${cluster}"`),
    values,
  }))
const firing = (cluster: string, { series, at = 30, fires = [] }: Scenario): object => ({
  expr: `count by (alertname) (ALERTS{alertstate="firing",cluster="${cluster}"})`,
  eval_time: `${at}m`,
  exp_samples: fires.map((alertname) => ({
    labels: `{alertname="${alertname}"}`,
    value: alertname === 'HaEtcdMemberDown' ? downIn(series) : 1,
  })),
})
const downIn = (series: Series): number =>
  Object.entries(series).filter(([key, value]) => key.startsWith('up{') && value.startsWith('0')).length

withPromtool('promtool finds no fault with the rules', () => {
  const { exitCode, output } = promtool(['check', 'rules', 'rules.yml'], { 'rules.yml': alertRules() })
  assert.is(exitCode, 0, output)
  assert.match(output, `SUCCESS: ${names.length} rules found`)
})

/**
 * All of these scenarios in one Prometheus, each as a cluster of its own. It evaluates the rules of all until the last
 * of them is looked at.
 */
const together = (all: [string, Scenario][]): object => ({
  interval: '1m',
  input_series: all.flatMap(([title, scenario]) => seriesOf(title, scenario)),
  promql_expr_test: [
    ...all.map(([title, scenario]) => firing(title, scenario)),
    { expr: 'ALERTS{cluster=""}', eval_time: '30m', exp_samples: [] },
  ],
})

withPromtool('each alert fires when it should, and none else does', () => {
  const all = Object.entries(scenarios)
  const isLong = ([, { at = 30 }]: [string, Scenario]): boolean => at > 50
  const { exitCode, output } = promtool(['test', 'rules', 'tests.yml'], {
    'rules.yml': alertRules(),
    'tests.yml': {
      rule_files: ['rules.yml'],
      evaluation_interval: '1m',
      tests: [together(all.filter((one) => !isLong(one))), together(all.filter(isLong))],
    },
  })
  assert.is(exitCode, 0, output)
})

withPromtool('what an alert says names the cluster, the host, and the command that helps', () => {
  const { description, summary } = alerts.HaEtcdMemberDown
  assert.match(description, '$host of $cluster')
  const { exitCode, output } = promtool(['test', 'rules', 'tests.yml'], {
    'rules.yml': alertRules(),
    'tests.yml': {
      rule_files: ['rules.yml'],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: seriesOf('c', { series: down('a') }),
          alert_rule_test: [
            {
              eval_time: '30m',
              alertname: 'HaEtcdMemberDown',
              exp_alerts: [
                {
                  exp_labels: { severity: 'warning', job: 'ha-etcd-c', cluster: 'c', host: 'a', instance: 'a:2379' },
                  exp_annotations: {
                    summary,
                    description: 'Prometheus gets nothing from a of c: it is down, or its metrics are not reached.',
                    runbook:
                      'Start it: npx zx scripts/up.ts --cluster c. ' +
                      'If the host is lost: npx zx scripts/replace.ts --cluster c HOST',
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  })
  assert.is(exitCode, 0, output)
})

test('for each alert there is a case in which it fires, and one in which it nearly does', () => {
  const all = Object.values(scenarios)
  assert.equal(
    names.filter((name) => !all.some(({ fires }) => fires?.includes(name))),
    [],
  )
  assert.equal(
    names.filter((name) => !all.some(({ near, fires }) => near === name && !fires?.includes(name))),
    [],
  )
})

const noWords = { usage: '', least: 0, most: 0 }

test('each alert names a verb of ours, which takes those words and flags', async () => {
  for (const [name, { remedy }] of Object.entries<Alert>(alerts)) {
    const verbs = remedy.flatMap((part) => (typeof part !== 'string' && 'verb' in part ? [part] : []))
    assert.ok(verbs.length > 0, name)
    for (const { verb: named, words } of verbs) {
      const { verb } = (await import(`../../../tasks/verbs/${named}.ts`)) as { verb: Verb }
      const known = { ...verb.flags, ...clusterFlags }
      assert.not.throws(() => parseCommandLine(words, known, verb.words ?? noWords), `${name}: ${named}`)
    }
  }
})

test('a metric of our own that a rule names is one that we write', () => {
  const named = Object.values<Alert>(alerts).flatMap(({ expr }) => metricsIn(expr))
  const unknown = named.filter((metric) => metric.startsWith('ha_etcd_') && !(metric in families))
  assert.equal(unknown, [])
})

test('sentences are whole: a summary and a description end with a full stop', () => {
  for (const [name, { summary, description }] of Object.entries<Alert>(alerts))
    for (const sentence of [summary, description]) assert.match(sentence, /^\S.*\.$/, name)
})

test('docs/alerts.md is of today: npm run docs writes it', () => {
  assert.is(readFileSync(page, 'utf8'), text)
  assert.is(page, join(projectFolder, 'docs/alerts.md'))
})

test.run()
