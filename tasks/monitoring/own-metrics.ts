// THE table of our own metrics: what etcd cannot say of a cluster, in Prometheus' text format. Pure.

/** What this machine knows of a cluster, and what its members answered. Moments in ms since 1970. */
export interface Known {
  cluster: string
  now: number
  /** `file`: its path below certs/<cluster>/. */
  certificates: { file: string; notAfter: number }[]
  renewBeforeDays: number
  backups: { count: number; newest: number | undefined }
  /** When the newest backup that was brought away was made; undefined: none ever was. */
  away: number | undefined
  verified: { time: number; healthy: boolean } | undefined
  /** Whether each of these is half done. */
  halfDone: Record<string, boolean>
  /** Undefined: nothing is scheduled. Of what has never been, the moment is undefined. */
  scheduled:
    | { ticked: number | undefined; verbs: { verb: string; began: number | undefined; failed: boolean }[] }
    | undefined
  atWork: { verb: string; since: number } | undefined
  /** `aheadMs`: by how much the host's clock is ahead of this machine's; undefined where that is not known. */
  hosts: { host: string; answers: boolean; commits: boolean; aheadMs: number | undefined }[]
  /** Undefined: no member could say. */
  learners: number | undefined
  /** How many members have raised each alarm; undefined: no member could say. */
  alarms: Record<string, number> | undefined
}

type Sample = [labels: Record<string, string>, value: number]

interface Family {
  help: string
  samples: (known: Known) => Sample[]
}

const one = (value: number | undefined): Sample[] => (value === undefined ? [] : [[{}, value]])
const seconds = (ms: number): number => Math.round(ms) / 1000
const moment = (ms: number | undefined): Sample[] => one(ms === undefined ? 0 : seconds(ms))
const daySeconds = 86_400

/** By name, each a gauge. A moment is in seconds since 1970; one that never came is 0. */
export const families = {
  ha_etcd_metrics_timestamp_seconds: {
    help: 'When these metrics were written.',
    samples: ({ now }) => moment(now),
  },
  ha_etcd_certificate_not_after_seconds: {
    help: 'When a certificate ends; of two authorities, or where its host serves another one, the one that ends first.',
    samples: ({ certificates }) => earliest(certificates).map(([file, notAfter]) => [{ file }, seconds(notAfter)]),
  },
  ha_etcd_certificate_renew_before_seconds: {
    help: 'How long before its end a certificate is due to be renewed (pki.renewBeforeDays).',
    samples: ({ renewBeforeDays }) => one(renewBeforeDays * daySeconds),
  },
  ha_etcd_backups: {
    help: 'How many proven backups are kept.',
    samples: ({ backups }) => one(backups.count),
  },
  ha_etcd_backup_timestamp_seconds: {
    help: 'When the newest proven backup was made.',
    samples: ({ backups }) => moment(backups.newest),
  },
  ha_etcd_backup_away_timestamp_seconds: {
    help: 'When the newest backup that was brought away from here was made; missing where none ever was.',
    samples: ({ away }) => one(away === undefined ? undefined : seconds(away)),
  },
  ha_etcd_verify_timestamp_seconds: {
    help: 'When the cluster was last verified.',
    samples: ({ verified }) => moment(verified?.time),
  },
  ha_etcd_verify_healthy: {
    help: 'Whether the last verify found the cluster healthy.',
    samples: ({ verified }) => one(verified && Number(verified.healthy)),
  },
  ha_etcd_half_done: {
    help: 'Whether an operation was begun and is not done.',
    samples: ({ halfDone }) => Object.entries(halfDone).map(([what, is]) => [{ what }, Number(is)]),
  },
  ha_etcd_schedule_timestamp_seconds: {
    help: 'When it was last looked what is due; absent where nothing is scheduled.',
    samples: ({ scheduled }) => (scheduled ? moment(scheduled.ticked) : []),
  },
  ha_etcd_scheduled_start_timestamp_seconds: {
    help: 'When a scheduled verb last began.',
    samples: ({ scheduled }) => (scheduled?.verbs ?? []).map(({ verb, began = 0 }) => [{ verb }, seconds(began)]),
  },
  ha_etcd_scheduled_failed: {
    help: 'Whether the last run of a scheduled verb failed.',
    samples: ({ scheduled }) => (scheduled?.verbs ?? []).map(({ verb, failed }) => [{ verb }, Number(failed)]),
  },
  ha_etcd_verb_start_timestamp_seconds: {
    help: 'When the verb began that is at work on the cluster; absent where none is.',
    samples: ({ atWork }) => (atWork ? [[{ verb: atWork.verb }, seconds(atWork.since)]] : []),
  },
  ha_etcd_member_answers: {
    help: 'Whether a member answers this machine, and lets it in.',
    samples: ({ hosts }) => hosts.map(({ host, answers }) => [{ host }, Number(answers)]),
  },
  ha_etcd_member_commits: {
    help: 'Whether a member commits proposals.',
    samples: ({ hosts }) => hosts.map(({ host, commits }) => [{ host }, Number(commits)]),
  },
  ha_etcd_learners: {
    help: 'How many members are learners; absent where no member can say.',
    samples: ({ learners }) => one(learners),
  },
  ha_etcd_alarms: {
    help: 'How many members have raised an alarm; absent where no member can say.',
    samples: ({ alarms }) => Object.entries(alarms ?? {}).map(([alarm, count]) => [{ alarm }, count]),
  },
  ha_etcd_clock_offset_seconds: {
    help: "By how much a host's clock is ahead of this machine's; to a second, as HTTP tells the time.",
    samples: ({ hosts }) =>
      hosts.flatMap(({ host, aheadMs }): Sample[] => (aheadMs === undefined ? [] : [[{ host }, seconds(aheadMs)]])),
  },
} satisfies Record<string, Family>

export const ownMetrics: [name: string, family: Family][] = Object.entries(families)

function earliest(certificates: Known['certificates']): [file: string, notAfter: number][] {
  const ends = new Map<string, number>()
  for (const { file, notAfter } of certificates) ends.set(file, Math.min(ends.get(file) ?? notAfter, notAfter))
  return [...ends]
}

/** The samples as data, for --json. */
export const samplesOf = (known: Known): { name: string; labels: Record<string, string>; value: number }[] =>
  ownMetrics.flatMap(([name, { samples }]) =>
    samples(known).map(([labels, value]) => ({ name, labels: { cluster: known.cluster, ...labels }, value })),
  )

/** Prometheus' text format, version 0.0.4, as node_exporter's textfile collector reads it. */
export function textOf(known: Known): string {
  const samples = samplesOf(known)
  const lines = ownMetrics.flatMap(([name, { help }]) => {
    const mine = samples.filter((sample) => sample.name === name)
    if (mine.length === 0) return []
    return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...mine.map(lineOf)]
  })
  return `${lines.join('\n')}\n`
}

function lineOf({ name, labels, value }: ReturnType<typeof samplesOf>[number]): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}=${quoted(text)}`)
  return `${name}{${pairs.join(',')}} ${value}`
}

/** A label's value: \, " and line breaks are escaped. */
const quoted = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
