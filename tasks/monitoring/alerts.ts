// THE table of alerts: what an operator is woken for, and the verb of ours that helps. The YAML for Prometheus,
// docs/alerts.md and the tests come from it. Pure.
import { inText, ours, type Remedy, remedy } from '../core/remedy.ts'
import { ourJobs } from './scrape.ts'

/** Critical: clients suffer, or soon will. Warning: in the next days a person must look. */
export interface Alert {
  severity: 'critical' | 'warning'
  expr: string
  for: string
  /** What is wrong, in few words. */
  summary: string
  /** What it means; $cluster and $host stand for those labels. */
  description: string
  remedy: Remedy
  /** Where the threshold is from. */
  source: string
}

const verify = remedy`See what is wrong: ${ours('verify')}`
const mixin = "as etcd's own mixin (contrib/mixin in etcd-io/etcd)"
const own = 'our own'

/** A learner has no vote. A member that is silent is taken for a voter. */
const voters = `(up{${ourJobs}} unless on (cluster, host) etcd_server_is_learner{${ourJobs}} == 1)`
const [upVoters, allVoters] = [`sum by (cluster) (${voters})`, `count by (cluster) (${voters})`]

/** The 99th percentile over five minutes. */
const slowest = (histogram: string): string => `histogram_quantile(0.99, rate(${histogram}_bucket{${ourJobs}}[5m]))`

const filled = `etcd_mvcc_db_total_size_in_bytes{${ourJobs}} / etcd_server_quota_backend_bytes{${ourJobs}}`
const ofKeys = `${ourJobs},grpc_service="etcdserverpb.KV"`
const refused = (code: string): string =>
  `sum by (cluster) (rate(grpc_server_handled_total{${ofKeys},grpc_code="${code}"}[5m])) > 0`

const untilEnd = 'ha_etcd_certificate_not_after_seconds - time()'
const due = (part: string): string =>
  `${untilEnd} < on (cluster) group_left ha_etcd_certificate_renew_before_seconds${part}`
const older = (metric: string, seconds: number): string => `time() - ${metric} > ${seconds}`
const [hour, day] = [3600, 86_400]

/** By name, the gravest first. */
export const alerts = {
  HaEtcdQuorumLost: {
    severity: 'critical',
    expr: `${upVoters} <= ${allVoters} / 2`,
    for: '1m',
    summary: 'Half of the members or more are down: nothing is written.',
    description: 'Of $cluster only {{ $value }} members answer. That is no quorum.',
    remedy: remedy`Start members that are only stopped: ${ours('up')}. If hosts are lost for good: \
${ours('recover', '--plan')}`,
    source: 'raft: a quorum is more than half of the voters',
  },
  HaEtcdNoLeader: {
    severity: 'critical',
    expr: `etcd_server_has_leader{${ourJobs}} == 0`,
    for: '1m',
    summary: 'A member has no leader: it takes no writes.',
    description: '$host of $cluster has had no leader for a minute. It is cut off, or the quorum is lost.',
    remedy: verify,
    source: mixin,
  },
  HaEtcdWritesRefused: {
    severity: 'critical',
    expr: refused('ResourceExhausted'),
    for: '0s',
    summary: 'Members refuse writes for want of room (alarm NOSPACE).',
    description: 'Members of $cluster have answered clients in the last five minutes that the database is full.',
    remedy: remedy`Make room and lower the alarm: ${ours('defrag', '--disarm')}`,
    source: 'any refusal: etcd answers ResourceExhausted while alarm NOSPACE is raised (v3rpc/rpctypes/error.go)',
  },
  HaEtcdDataDamaged: {
    severity: 'critical',
    expr: refused('DataLoss'),
    for: '0s',
    summary: 'Members refuse requests since data are damaged (alarm CORRUPT).',
    description: 'Members of $cluster have answered clients in the last five minutes that the cluster is corrupt.',
    remedy: remedy`See whose data are damaged, and what helps: ${ours('verify')}`,
    source: 'any refusal: etcd answers DataLoss while alarm CORRUPT is raised (v3rpc/rpctypes/error.go)',
  },
  HaEtcdAlarm: {
    severity: 'critical',
    expr: 'ha_etcd_alarms > 0',
    for: '0s',
    summary: 'A member has raised an alarm.',
    description: '{{ $value }} members of $cluster have raised the alarm {{ $labels.alarm }}.',
    remedy: remedy`See which, and what helps: ${ours('verify')}. For NOSPACE: ${ours('defrag', '--disarm')}`,
    source: 'any alarm',
  },
  HaEtcdDatabaseFull: {
    severity: 'critical',
    expr: `${filled} > 0.95`,
    for: '10m',
    summary: 'A database has nearly reached its quota: soon nothing is written.',
    description: 'The database of $host of $cluster has {{ $value | humanizePercentage }} of its quota.',
    remedy: remedy`Give free space back: ${ours('defrag')}. If that is not enough, delete keys, or raise \
ETCD_QUOTA_BACKEND_BYTES in the configuration: ${ours('up')}`,
    source: mixin,
  },
  HaEtcdCertificateEnding: {
    severity: 'critical',
    expr: due(' / 4'),
    for: '10m',
    summary: 'A certificate is about to end, or has ended.',
    description: '{{ $labels.file }} of $cluster ends in {{ $value | humanizeDuration }}.',
    remedy: remedy`Renew it: ${ours('rotate-certs')}. If it is ca.crt: ${ours('rotate-ca')}`,
    source: 'a quarter of pki.renewBeforeDays (7.5 of 30 days)',
  },
  HaEtcdQuorumAtRisk: {
    severity: 'warning',
    expr: `${upVoters} - 1 <= ${allVoters} / 2 and ${upVoters} > ${allVoters} / 2 and ${allVoters} > 1`,
    for: '3m',
    summary: 'One more member down, and the quorum is lost.',
    description: '$cluster works with the fewest members that it can.',
    remedy: remedy`Start what is stopped: ${ours('up')}. If a host is lost: ${ours('replace', 'HOST')}`,
    source: `${mixin}: 3 minutes`,
  },
  HaEtcdMemberDown: {
    severity: 'warning',
    expr: `up{${ourJobs}} == 0`,
    for: '5m',
    summary: 'A member does not answer.',
    description: 'Prometheus gets nothing from $host of $cluster: it is down, or its metrics are not reached.',
    remedy: remedy`Start it: ${ours('up')}. If the host is lost: ${ours('replace', 'HOST')}`,
    source: own,
  },
  HaEtcdLeaderChanges: {
    severity: 'warning',
    expr: `max by (cluster) (increase(etcd_server_leader_changes_seen_total{${ourJobs}}[15m])) > 3`,
    for: '5m',
    summary: 'Leaders change often.',
    description:
      '$cluster has had {{ $value | humanize }} elections in 15 minutes: disks, processors or the way are too slow.',
    remedy: remedy`See whether disks and times suit: ${ours('doctor')}, then ${ours('status')}`,
    source: `${mixin}: 4 in 15 minutes`,
  },
  HaEtcdSlowLog: {
    severity: 'warning',
    expr: `${slowest('etcd_disk_wal_fsync_duration_seconds')} > 0.5`,
    for: '10m',
    summary: 'A disk is slow to write the log through.',
    description:
      'On $host of $cluster one in a hundred fsyncs of the log takes {{ $value | humanizeDuration }} or more.',
    remedy: remedy`Measure the disk: ${ours('doctor')}`,
    source: `${mixin}; etcd's FAQ wants less than 10 ms`,
  },
  HaEtcdSlowCommits: {
    severity: 'warning',
    expr: `${slowest('etcd_disk_backend_commit_duration_seconds')} > 0.25`,
    for: '10m',
    summary: 'A disk is slow to commit the database.',
    description: 'On $host of $cluster one in a hundred commits takes {{ $value | humanizeDuration }} or more.',
    remedy: remedy`Measure the disk: ${ours('doctor')}`,
    source: `${mixin}; etcd's FAQ wants less than 25 ms`,
  },
  HaEtcdSlowPeers: {
    severity: 'warning',
    expr: `${slowest('etcd_network_peer_round_trip_time_seconds')} > 0.15`,
    for: '10m',
    summary: 'The way between two members is slow.',
    description: 'From $host of $cluster to member {{ $labels.To }} and back it takes {{ $value | humanizeDuration }}.',
    remedy: remedy`See whether etcd's times suit the way: ${ours('status')}`,
    source: mixin,
  },
  HaEtcdDatabaseNearQuota: {
    severity: 'warning',
    expr: `${filled} > 0.8`,
    for: '10m',
    summary: 'A database comes near its quota.',
    description: 'The database of $host of $cluster has {{ $value | humanizePercentage }} of its quota.',
    remedy: remedy`Give free space back: ${ours('defrag')}`,
    source: own,
  },
  HaEtcdLearnerLeftOver: {
    severity: 'warning',
    expr: `max by (cluster) (etcd_server_is_learner{${ourJobs}}) > 0 or max by (cluster) (ha_etcd_learners) > 0`,
    for: '1h',
    summary: 'A member has been a learner for an hour: it has no vote.',
    description: 'A learner of $cluster was never promoted. What added it has not ended.',
    remedy: remedy`See which it is, and what helps: ${ours('verify')}`,
    source: own,
  },
  HaEtcdVersionsApart: {
    severity: 'warning',
    expr: `count by (cluster) (count by (cluster, server_version) (etcd_server_version{${ourJobs}})) > 1`,
    for: '2h',
    summary: 'Members run different versions of etcd.',
    description:
      '$cluster has run {{ $value }} versions of etcd for two hours: an upgrade or a downgrade has not ended.',
    remedy: remedy`See what finishes it: ${ours('status')}`,
    source: own,
  },
  HaEtcdClockOff: {
    severity: 'warning',
    expr: 'abs(ha_etcd_clock_offset_seconds) > 2',
    for: '10m',
    summary: "A host's clock is off.",
    description: "$host's clock and that of the machine where the verbs run differ by {{ $value | humanizeDuration }}.",
    remedy: remedy`Set the clock right (timedatectl, chrony), then look: ${ours('doctor')}`,
    source: 'etcd itself warns above 1 s (rafthttp/probing_status.go); HTTP tells the time to a second',
  },
  HaEtcdCertificateDue: {
    severity: 'warning',
    expr: due(''),
    for: '1h',
    summary: 'A certificate is due to be renewed.',
    description: '{{ $labels.file }} of $cluster ends in {{ $value | humanizeDuration }}.',
    remedy: remedy`Renew it without a restart: ${ours('rotate-certs')}. If it is ca.crt: ${ours('rotate-ca')}`,
    source: 'pki.renewBeforeDays',
  },
  HaEtcdBackupTooOld: {
    severity: 'warning',
    expr: older('ha_etcd_backup_timestamp_seconds', 2 * day),
    for: '10m',
    summary: 'There is no proven backup of the last two days.',
    description: 'The newest proven backup of $cluster is older than two days, or there is none.',
    remedy: remedy`Make one: ${ours('backup')}`,
    source: 'our own: a daily backup that failed once',
  },
  HaEtcdBackupAwayTooOld: {
    severity: 'warning',
    expr: older('ha_etcd_backup_away_timestamp_seconds', 2 * day),
    for: '10m',
    summary: 'No backup was brought away in the last two days.',
    description: 'Backups of $cluster are brought to a target; the newest there is older than two days.',
    remedy: remedy`Bring one there: ${ours('backup', '--to', 'TARGET', '--recipient', 'KEY')}`,
    source: 'our own: a daily backup that failed once',
  },
  HaEtcdVerifyFailed: {
    severity: 'warning',
    expr: 'ha_etcd_verify_healthy == 0',
    for: '10m',
    summary: 'The last verify found faults.',
    description: 'When $cluster was last verified, it was not healthy.',
    remedy: remedy`See whether it still is so: ${ours('verify')}`,
    source: 'any fault',
  },
  HaEtcdVerifyTooOld: {
    severity: 'warning',
    expr: older('ha_etcd_verify_timestamp_seconds', 8 * day),
    for: '10m',
    summary: 'Nobody has verified the cluster for eight days.',
    description: '$cluster was last verified more than eight days ago, or never.',
    remedy: remedy`Verify it: ${ours('verify')}`,
    source: 'our own: a weekly verify that is a day late',
  },
  HaEtcdHalfDone: {
    severity: 'warning',
    expr: 'ha_etcd_half_done == 1',
    for: '1h',
    summary: 'An operation was begun and is not done.',
    description: '{{ $labels.what }} of $cluster has been half done for an hour.',
    remedy: remedy`See what finishes it: ${ours('status')}`,
    source: own,
  },
  HaEtcdScheduledFailed: {
    severity: 'warning',
    expr: 'ha_etcd_scheduled_failed == 1',
    for: '30m',
    summary: 'What is scheduled has failed, and not gone well since.',
    description: 'The scheduled {{ $labels.verb }} of $cluster has failed for half an hour.',
    remedy: remedy`See why: ${ours('schedule', '--list')}`,
    source: 'our own: it failed, was tried again after a quarter of an hour, and failed again',
  },
  HaEtcdScheduleIdle: {
    severity: 'warning',
    expr: older('ha_etcd_schedule_timestamp_seconds', hour),
    for: '10m',
    summary: 'What is scheduled is not done any more.',
    description: 'For an hour no timer has looked what is due on $cluster.',
    remedy: remedy`On the machine where it was scheduled, set the timer up again: ${ours('schedule', '--repair')}`,
    source: 'our own: a timer looks every five minutes',
  },
  HaEtcdMetricsOld: {
    severity: 'warning',
    expr: older('ha_etcd_metrics_timestamp_seconds', hour),
    for: '10m',
    summary: 'Our own metrics are not written any more.',
    description: 'What is known of certificates, backups and verify of $cluster is older than an hour.',
    remedy: remedy`See why, on the machine where the timer runs: ${ours('metrics')}`,
    source: own,
  },
} satisfies Record<string, Alert>

export type AlertName = keyof typeof alerts

interface Rules {
  groups: { name: string; rules: Rule[] }[]
}
interface Rule {
  alert: string
  expr: string
  for: string
  labels: { severity: string }
  annotations: { summary: string; description: string; runbook: string }
}

/** As Prometheus' rule_files have it. */
export const alertRules = (): Rules => ({
  groups: [{ name: 'ha-etcd', rules: Object.entries<Alert>(alerts).map(([name, alert]) => ruleOf(name, alert)) }],
})

const ruleOf = (name: string, { severity, expr, for: pending, summary, description, remedy: helps }: Alert): Rule => ({
  alert: name,
  expr,
  for: pending,
  labels: { severity },
  annotations: {
    summary,
    description: description.replaceAll('$cluster', '{{ $labels.cluster }}').replace(/\$host\b/g, '{{ $labels.host }}'),
    runbook: inText({ name: '{{ $labels.cluster }}' }, helps),
  },
})
