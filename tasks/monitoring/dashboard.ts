// The Grafana dashboard of our clusters: one table of panels, and the JSON that comes of it. Pure: the same every time.
import { ourJobs } from './scrape.ts'

type Unit = 'short' | 'bytes' | 's' | 'percentunit' | 'ops' | 'Bps' | 'dateTimeFromNow'

interface Panel {
  title: string
  /** What a good value is. */
  description: string
  /** stat: the last value alone. */
  type: 'stat' | 'timeseries'
  unit: Unit
  /** A query each, with what its line is called. */
  queries: [expr: string, legend: string][]
  /** From this value on it is red. */
  redFrom?: number
  /** Below this value it is red. */
  redBelow?: number
}

interface Row {
  title: string
  panels: Panel[]
}

const members = `${ourJobs},cluster="$cluster"`
const ofMembers = (metric: string): string => `${metric}{${members}}`
const rate = (metric: string): string => `rate(${ofMembers(metric)}[$__rate_interval])`
const ofCluster = (metric: string, more = ''): string => `${metric}{cluster="$cluster"${more}}`
/** Seconds since 1970, as Grafana's units of time want them: in milliseconds. */
const since1970 = (expr: string): string => `1000 * ${expr}`

const stat = (panel: Omit<Panel, 'type'>): Panel => ({ ...panel, type: 'stat' })
const graph = (panel: Omit<Panel, 'type'>): Panel => ({ ...panel, type: 'timeseries' })

/** The 50th and the 99th percentile of a histogram, by host. */
const percentiles = (histogram: string): [string, string][] =>
  [0.5, 0.99].map((part) => [
    `histogram_quantile(${part}, ${rate(`${histogram}_bucket`)})`,
    `{{host}} ${part === 0.5 ? 'median' : '99 %'}`,
  ])

const rows: Row[] = [
  {
    title: 'Now',
    panels: [
      stat({
        title: 'Members that answer',
        description: 'All of them should. Half or less is no quorum.',
        unit: 'short',
        queries: [[`sum(${ofMembers('up')})`, 'up']],
      }),
      stat({
        title: 'Members without a leader',
        description: 'None should be.',
        unit: 'short',
        queries: [[`sum(${ofMembers('etcd_server_has_leader')} == bool 0)`, 'no leader']],
        redFrom: 1,
      }),
      stat({
        title: 'Learners',
        description: 'Only while a member is added.',
        unit: 'short',
        queries: [[`sum(${ofMembers('etcd_server_is_learner')})`, 'learners']],
        redFrom: 1,
      }),
      stat({
        title: 'Alarms',
        description: 'From the verb metrics. NOSPACE and CORRUPT stop writes.',
        unit: 'short',
        queries: [[`sum(${ofCluster('ha_etcd_alarms')})`, 'alarms']],
        redFrom: 1,
      }),
      stat({
        title: 'Fullest database',
        description: 'Of its quota. At 100 % nothing is written any more.',
        unit: 'percentunit',
        queries: [
          [
            `max(${ofMembers('etcd_mvcc_db_total_size_in_bytes')} / ${ofMembers('etcd_server_quota_backend_bytes')})`,
            'of quota',
          ],
        ],
        redFrom: 0.8,
      }),
      stat({
        title: 'First certificate to end',
        description: 'From the verb metrics.',
        unit: 'dateTimeFromNow',
        queries: [[since1970(`min(${ofCluster('ha_etcd_certificate_not_after_seconds')})`), 'ends']],
      }),
      stat({
        title: 'Newest proven backup',
        description: 'From the verb metrics.',
        unit: 'dateTimeFromNow',
        queries: [[since1970(`max(${ofCluster('ha_etcd_backup_timestamp_seconds')})`), 'backup']],
      }),
      stat({
        title: 'Last verify: healthy',
        description: 'From the verb metrics. 1: it was; 0: it was not.',
        unit: 'short',
        queries: [[`min(${ofCluster('ha_etcd_verify_healthy')})`, 'healthy']],
        redBelow: 1,
      }),
    ],
  },
  {
    title: 'Members',
    panels: [
      graph({
        title: 'Leader',
        description: '1: this host leads.',
        unit: 'short',
        queries: [[ofMembers('etcd_server_is_leader'), '{{host}}']],
      }),
      graph({
        title: 'Elections in 15 minutes',
        description: 'Four and more are too many.',
        unit: 'short',
        queries: [[`increase(${ofMembers('etcd_server_leader_changes_seen_total')}[15m])`, '{{host}}']],
        redFrom: 4,
      }),
      graph({
        title: 'Versions',
        description: 'One, but for an upgrade or a downgrade.',
        unit: 'short',
        queries: [[`count by (server_version) (${ofMembers('etcd_server_version')})`, '{{server_version}}']],
      }),
      graph({
        title: 'Clocks',
        description: "From the verb metrics: by how much a host's clock is ahead.",
        unit: 's',
        queries: [[ofCluster('ha_etcd_clock_offset_seconds'), '{{host}}']],
      }),
    ],
  },
  {
    title: 'Writes',
    panels: [
      graph({
        title: 'Proposals committed',
        description: 'Writes that the cluster has taken.',
        unit: 'ops',
        queries: [[rate('etcd_server_proposals_committed_total'), '{{host}}']],
      }),
      graph({
        title: 'Proposals pending, failed',
        description: 'Pending ones should not grow. Failed ones come with elections.',
        unit: 'short',
        queries: [
          [ofMembers('etcd_server_proposals_pending'), '{{host}} pending'],
          [rate('etcd_server_proposals_failed_total'), '{{host}} failed a second'],
        ],
      }),
      graph({
        title: 'Entries not applied yet',
        description: 'What a member has committed and not applied. It should stay near 0.',
        unit: 'short',
        queries: [
          [
            ['committed', 'applied'].map((what) => ofMembers(`etcd_server_proposals_${what}_total`)).join(' - '),
            '{{host}}',
          ],
        ],
      }),
      graph({
        title: 'Requests by result',
        description: 'gRPC calls in a second. ResourceExhausted: alarm NOSPACE. DataLoss: alarm CORRUPT.',
        unit: 'ops',
        queries: [[`sum by (grpc_code) (${rate('grpc_server_handled_total')}) > 0`, '{{grpc_code}}']],
      }),
    ],
  },
  {
    title: 'Disks',
    panels: [
      graph({
        title: 'Log: time to write through',
        description: "etcd's FAQ wants less than 10 ms in 99 of 100.",
        unit: 's',
        queries: percentiles('etcd_disk_wal_fsync_duration_seconds'),
        redFrom: 0.5,
      }),
      graph({
        title: 'Database: time to commit',
        description: "etcd's FAQ wants less than 25 ms in 99 of 100.",
        unit: 's',
        queries: percentiles('etcd_disk_backend_commit_duration_seconds'),
        redFrom: 0.25,
      }),
      graph({
        title: 'Database: size',
        description: 'Much more than is in use: defrag gives it back.',
        unit: 'bytes',
        queries: [
          [ofMembers('etcd_mvcc_db_total_size_in_bytes'), '{{host}}'],
          [ofMembers('etcd_mvcc_db_total_size_in_use_in_bytes'), '{{host}} in use'],
          [`min(${ofMembers('etcd_server_quota_backend_bytes')})`, 'quota'],
        ],
      }),
      graph({
        title: 'Slow reads and applies',
        description: 'In a second. They come with slow disks and busy processors.',
        unit: 'ops',
        queries: [
          [rate('etcd_server_slow_apply_total'), '{{host}} applies'],
          [rate('etcd_server_slow_read_indexes_total'), '{{host}} reads'],
        ],
      }),
    ],
  },
  {
    title: 'Network and processes',
    panels: [
      graph({
        title: 'Round trip between members',
        description: 'The 99th percentile. Elections suffer from 150 ms on, unless etcd is set for it.',
        unit: 's',
        queries: [
          [
            `histogram_quantile(0.99, ${rate('etcd_network_peer_round_trip_time_seconds_bucket')})`,
            '{{host}} to {{To}}',
          ],
        ],
        redFrom: 0.15,
      }),
      graph({
        title: 'Traffic with clients',
        description: 'Bytes in a second.',
        unit: 'Bps',
        queries: [
          [rate('etcd_network_client_grpc_received_bytes_total'), '{{host}} in'],
          [rate('etcd_network_client_grpc_sent_bytes_total'), '{{host}} out'],
        ],
      }),
      graph({
        title: 'Memory',
        description: 'What each etcd has of it.',
        unit: 'bytes',
        queries: [[ofMembers('process_resident_memory_bytes'), '{{host}}']],
      }),
      graph({
        title: 'Processor',
        description: 'How many processors each etcd uses.',
        unit: 'short',
        queries: [[rate('process_cpu_seconds_total'), '{{host}}']],
      }),
    ],
  },
]

/** All queries of the dashboard. */
export const queries: string[] = rows.flatMap(({ panels }) =>
  panels.flatMap((panel) => panel.queries.map(([expr]) => expr)),
)

const source = { type: 'prometheus', uid: '$datasource' }
const [columns, statHeight, graphHeight] = [24, 4, 8]

/** As Grafana imports it, or is provisioned with it. */
export function dashboard(): object {
  const panels: object[] = []
  let y = 0
  for (const row of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      gridPos: { x: 0, y, w: columns, h: 1 },
      panels: [],
    })
    const [isStat, width] = [row.panels[0]?.type === 'stat', row.panels[0]?.type === 'stat' ? 3 : 12]
    const height = isStat ? statHeight : graphHeight
    for (const [index, panel] of row.panels.entries()) {
      const at = { x: (index * width) % columns, y: y + 1 + Math.floor((index * width) / columns) * height }
      panels.push({ id: panels.length + 1, gridPos: { ...at, w: width, h: height }, ...drawn(panel) })
    }
    y += 1 + Math.ceil((row.panels.length * width) / columns) * height
  }
  return {
    uid: 'ha-etcd',
    title: 'ha-etcd',
    tags: ['etcd'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    templating: { list: variables },
    annotations: { list: [] },
    panels,
  }
}

function drawn({ title, description, type, unit, queries: asked, redFrom, redBelow }: Panel): object {
  const isBad = redFrom !== undefined || redBelow !== undefined
  const [low, high] = redBelow === undefined ? ['green', 'red'] : ['red', 'green']
  const steps = [{ color: low, value: null }, ...(isBad ? [{ color: high, value: redFrom ?? redBelow }] : [])]
  return {
    title,
    description,
    type,
    datasource: source,
    targets: asked.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: source,
      expr,
      legendFormat,
    })),
    fieldConfig: {
      defaults: { unit, min: type === 'stat' ? undefined : 0, thresholds: { mode: 'absolute', steps } },
      overrides: [],
    },
    options:
      type === 'stat'
        ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'value' }
        : { tooltip: { mode: 'multi' } },
  }
}

const variables = [
  { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
  {
    name: 'cluster',
    label: 'Cluster',
    type: 'query',
    datasource: source,
    query: { query: `label_values(up{${ourJobs}}, cluster)`, refId: 'cluster' },
    refresh: 2,
    sort: 1,
  },
]
