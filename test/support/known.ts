// What is known of a cluster for which each of our own metrics has a sample.
import type { Known } from '../../tasks/monitoring/own-metrics.ts'

export const known: Known = {
  cluster: 'blue',
  now: 1_800_000_000_000,
  certificates: [
    { file: 'ca.crt', notAfter: 1_900_000_000_000 },
    { file: 'ca.crt', notAfter: 1_850_000_000_000 },
    { file: 'master01/server.crt', notAfter: 1_810_000_000_000 },
  ],
  renewBeforeDays: 30,
  backups: { count: 2, newest: 1_799_999_000_500 },
  away: 1_799_998_000_500,
  verified: { time: 1_799_999_500_000, healthy: true },
  halfDone: { scale: true, restore: false },
  scheduled: { ticked: 1_799_999_900_000, verbs: [{ verb: 'backup', began: 1_799_999_000_000, failed: true }] },
  atWork: { verb: 'scale', since: 1_799_999_990_000 },
  hosts: [
    { host: 'master01', answers: true, commits: true, aheadMs: -1500 },
    { host: 'master02', answers: false, commits: false, aheadMs: undefined },
  ],
  learners: 1,
  alarms: { NOSPACE: 0, CORRUPT: 1 },
}
