// Many clusters at one look each: what status asks, judged as verify judges, a row for each.
import { keptBackups } from '../acts/backup-store.ts'
import { type Cluster, resolveCluster } from '../core/cluster.ts'
import { loadSettings } from '../core/config.ts'
import { describeSystemError, Interrupted, isSystemError, OperationError } from '../core/errors.ts'
import { type AtWork, atWork } from '../core/lock.ts'
import { clusterPaths, recordedConfigFile } from '../core/record.ts'
import { clock, inRun, Run, run } from '../core/run.ts'
import { capital } from '../core/terminal.ts'
import { adviceOf } from '../etcd/advice.ts'
import { askMembers } from '../etcd/ask.ts'
import { authorityCertificate, certificateReport, dueCertificates } from '../etcd/certificates.ts'
import { inRanking, inWords, remedyOf, sentenceOf } from '../etcd/findings.ts'
import { judge, statusesOf } from '../etcd/judge.ts'
import { agreedLeader } from '../etcd/membership.ts'
import { reachMembers } from '../etcd/reach.ts'
import { scheduleFindings } from '../schedule/index.ts'

/** One cluster; what is not known is null, or an empty list. */
export interface ClusterRow {
  cluster: string
  provider: string | null
  members: number | null
  /** How many answer and vote. */
  up: number | null
  leader: string | null
  versions: string[]
  /** Whole days until the first certificate ends. */
  daysLeft: number | null
  /** When the newest backup was made. */
  backup: string | null
  /** The first that is wrong, by the ranking of the findings. Without a code: it could not be looked at. */
  wrong: { code: string | null; host: string | null; sentence: string; remedy: string | null } | null
  /** What a person should know, though nothing is wrong. */
  advice: string[]
  atWork: AtWork | null
  /** From how many days on a certificate's end is near. */
  renewBeforeDays: number
}

const nothing = {
  ...{ provider: null, members: null, up: null, leader: null, versions: [], daysLeft: null, backup: null },
  ...{ wrong: null, advice: [], renewBeforeDays: 0 },
}

/** Whoever is silent costs time, and little else. */
const looksAtOnce = 6

/** The rows of all, in their order. `runs`: those in which they were asked before, and are asked again. */
export async function rowsOf(names: string[], runs: Map<string, Run>): Promise<ClusterRow[]> {
  const rows: ClusterRow[] = []
  const left = [...names.entries()]
  const oneAfterTheOther = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [at, name] = next
      const as = runs.get(name) ?? runOf()
      runs.set(name, as)
      rows[at] = await rowOf(name, as)
    }
  }
  await Promise.all(Array.from({ length: looksAtOnce }, oneAfterTheOther))
  return rows
}

/** A cluster's row, whatever state it is in. `as`: the run in which its members are asked. */
function rowOf(name: string, as: Run): Promise<ClusterRow> {
  return inRun(as, async () => {
    const work = (await atWork(clusterPaths(name).state)) ?? null
    try {
      const settings = loadSettings({ cluster: name }, recordedConfigFile)
      return await lookAt(await resolveCluster(settings, { resize: true, configures: false, looks: true }), work)
    } catch (error) {
      as.throwIfStopped()
      return { ...nothing, cluster: name, wrong: whyNot(error), atWork: work }
    }
  })
}

/** A run for one cluster of many: it goes by its own record and file, and not by what is meant for one. */
export function runOf(around: ConstructorParameters<typeof Run>[0] = {}): Run {
  const meant = ['HA_ETCD_CLUSTER', 'HA_ETCD_PROVIDER', 'HA_ETCD_MASTERS', 'MASTER_COUNT', 'HA_ETCD_CONFIG']
  const env = Object.fromEntries(Object.entries(run().env).filter(([variable]) => !meant.includes(variable)))
  const one = new Run({ clock: run().clock, ...around, env })
  const { signal } = run()
  const stop = (): void => one.stop(signal.reason instanceof Interrupted ? signal.reason.signal : 'SIGTERM')
  signal.addEventListener('abort', stop, { once: true })
  one.signal.addEventListener('abort', () => signal.removeEventListener('abort', stop), { once: true })
  if (signal.aborted) stop()
  return one
}

function whyNot(error: unknown): ClusterRow['wrong'] {
  const failure = isSystemError(error) ? describeSystemError(error) : (error as Error)
  const { code = null, hint = null } = failure instanceof OperationError ? failure.more : {}
  return { code, host: null, sentence: failure.message, remedy: hint }
}

async function lookAt(cluster: Cluster, work: AtWork | null): Promise<ClusterRow> {
  await reachMembers(cluster)
  const answers = await askMembers(cluster)
  const { hosts, members, missing } = answers
  const authority = missing ? undefined : authorityCertificate(cluster)
  const due = authority ? dueCertificates(cluster, authority) : []
  const [first] = inRanking([...Object.values(judge(answers)).flat(), ...due])
  const known = statusesOf(hosts)
  const statuses = known.map(({ status }) => status)
  const leader = agreedLeader(statuses)
  const { newest } = keptBackups(cluster, clock())
  const ends = certificateReport(cluster).map(({ daysLeft }) => daysLeft)
  return {
    cluster: cluster.name,
    provider: cluster.provider,
    members: cluster.hosts.length,
    up: statuses.filter(({ isLearner, leaderId }) => !isLearner && leaderId !== '').length,
    leader:
      known.find(({ status }) => status.memberId === leader)?.name ??
      (members?.ok ? members.value.find(({ id }) => id === leader)?.name : undefined) ??
      null,
    versions: [...new Set(statuses.map(({ version }) => version))],
    daysLeft: ends.length > 0 ? Math.min(...ends) : null,
    backup: newest === undefined ? null : new Date(newest).toISOString(),
    wrong: first
      ? {
          code: first.code,
          host: first.host ?? null,
          sentence: `${capital(sentenceOf(first))}.`,
          remedy: remedyOf(cluster, first),
        }
      : null,
    advice: work
      ? []
      : [...adviceOf(cluster), ...scheduleFindings(cluster).map((finding) => inWords(cluster, finding))],
    atWork: work,
    renewBeforeDays: cluster.pki.renewBeforeDays,
  }
}
