// Which ETCD_* settings which minor version of etcd knows. Pure: it asks nobody.
import { compareVersions } from '../core/programs.ts'

/**
 * Settings (NAME=value) that a version, the first that lacks them, no longer knows; etcd would start and ignore them.
 * From etcd's upgrade guides (etcd.io/docs, Upgrading) and changelogs, and its flags compared branch by branch
 * (release-3.4 to release-3.7 of etcd-io/etcd). 3.5 does not start with the logger capnslog, nor 3.6 with
 * V2_DEPRECATION=not-yet.
 */
const removed: { since: string; pattern: RegExp }[] = [
  { since: '3.5', pattern: /^ETCD_(DEBUG|LOG_OUTPUT|LOG_PACKAGE_LEVELS)=|^ETCD_LOGGER=capnslog$/ },
  { since: '3.5', pattern: /^ETCD_(EXPERIMENTAL_BACKEND_BBOLT_FREELIST_TYPE|NEXT_CLUSTER_VERSION_COMPATIBLE)=/ },
  {
    since: '3.6',
    pattern: /^ETCD_(ENABLE_V2|EXPERIMENTAL_ENABLE_V2V3|PROXY(_[A-Z_]+)?)=|^ETCD_V2_DEPRECATION=not-yet$/,
  },
  { since: '3.7', pattern: /^ETCD_(EXPERIMENTAL_[A-Z_]+|DISCOVERY|DISCOVERY_PROXY)=/ },
]

/** What ETCD_EXPERIMENTAL_… became in 3.6 (its server/embed/config.go and features); 3.7 lacks the old names. */
const gates: Record<string, string> = {
  STOP_GRPC_SERVICE_ON_DEFRAG: 'StopGRPCServiceOnDefrag',
  INITIAL_CORRUPT_CHECK: 'InitialCorruptCheck',
  COMPACT_HASH_CHECK_ENABLED: 'CompactHashCheck',
  TXN_MODE_WRITE_WITH_SHARED_BUFFER: 'TxnModeWriteWithSharedBuffer',
  ENABLE_LEASE_CHECKPOINT: 'LeaseCheckpoint',
  ENABLE_LEASE_CHECKPOINT_PERSIST: 'LeaseCheckpointPersist',
}
/** What 3.6 brought; 3.5 has those that are renamed under ETCD_EXPERIMENTAL_…. */
const renamed = new RegExp(
  `^(${[
    ...['BOOTSTRAP_DEFRAG_THRESHOLD_MEGABYTES', 'COMPACT_HASH_CHECK_TIME', 'COMPACTION_(BATCH_LIMIT|SLEEP_INTERVAL)'],
    ...['CORRUPT_CHECK_TIME', '(ENABLE_)?DISTRIBUTED_TRACING(_[A-Z_]+)?', 'DOWNGRADE_CHECK_TIME', 'MAX_LEARNERS'],
    ...['MEMORY_MLOCK', 'PEER_SKIP_CLIENT_SAN_VERIFICATION', 'SNAPSHOT_CATCHUP_ENTRIES'],
    ...['WARNING_(APPLY|UNARY_REQUEST)_DURATION', 'WATCH_PROGRESS_NOTIFY_INTERVAL'],
  ].join('|')})$`,
)
const broughtBy36 = /^(FEATURE_GATES|LOG_FORMAT|DISCOVERY_(?!PROXY$|FALLBACK$|SRV$|SRV_NAME$)[A-Z_]+)$/

const settingsOf = (environment: Record<string, string>): [name: string, setting: string][] =>
  Object.entries(environment).map(([name, value]) => [name, `${name}=${value}`])

/** A person's settings that a version no longer has, each with the version that lacks it first, and its new name. */
export function removedSettings(
  environment: Record<string, string>,
  version: string,
): { name: string; since: string; now: string }[] {
  return settingsOf(environment).flatMap(([name, setting]) => {
    const rule = removed.find(({ since, pattern }) => compareVersions(version, since) >= 0 && pattern.test(setting))
    return rule ? [{ name, since: rule.since, now: newNameOf(name, environment[name] ?? '') }] : []
  })
}

/** What to set instead; '' where there is nothing. */
function newNameOf(name: string, value: string): string {
  const short = name.replace(/^ETCD_EXPERIMENTAL_/, '')
  if (short === name) return ''
  const gate = gates[short]
  return gate ? `ETCD_FEATURE_GATES: ${gate}=${value}` : renamed.test(short) ? `ETCD_${short}` : ''
}

/** Those that a version does not have yet, each with the name that it had before, where there is one. */
export function settingsToCome(environment: Record<string, string>, version: string): { name: string; was: string }[] {
  if (compareVersions(version, '3.6') >= 0) return [] // 3.7 brings none
  return Object.keys(environment).flatMap((name) => {
    const short = name.replace(/^ETCD_/, '')
    if (renamed.test(short)) return [{ name, was: `ETCD_EXPERIMENTAL_${short}` }]
    return broughtBy36.test(short) ? [{ name, was: '' }] : []
  })
}
