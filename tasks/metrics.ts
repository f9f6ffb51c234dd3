// Our own metrics of a cluster: gathered here, below .cluster/ and certs/, and from whichever members answer.
import { relative } from 'node:path'
import { keptBackups } from './acts/backup-store.ts'
import { lastAway } from './acts/target.ts'
import type { Cluster } from './core/cluster.ts'
import { OperationError } from './core/errors.ts'
import { atWork } from './core/lock.ts'
import { lastVerified } from './core/record.ts'
import { clock } from './core/run.ts'
import { halfDoneOf } from './etcd/advice.ts'
import { type Answers, askMembers, type HostAnswers } from './etcd/ask.ts'
import { certificateReport } from './etcd/certificates.ts'
import { reachMembers } from './etcd/reach.ts'
import type { Known } from './monitoring/index.ts'
import { scheduledOf } from './schedule/index.ts'

const alarmKinds = ['NOSPACE', 'CORRUPT']

/** Whatever is known; a cluster that is down is no failure. */
export async function gatherMetrics(cluster: Cluster): Promise<Known> {
  const answers = await answersOf(cluster)
  const now = clock()
  const away = lastAway(cluster)
  const [work, verified] = [await atWork(cluster.paths.state), lastVerified(cluster.paths)]
  const here = certificateReport(cluster).map(({ path, notAfter }) => ({
    file: relative(cluster.paths.certs, path),
    notAfter: Date.parse(notAfter),
  }))
  return {
    cluster: cluster.name,
    now,
    certificates: [...here, ...(answers?.hosts ?? []).flatMap(served)],
    renewBeforeDays: cluster.pki.renewBeforeDays,
    backups: keptBackups(cluster, now),
    away: away && Date.parse(away.time),
    verified: verified && { time: Date.parse(verified.time), healthy: verified.healthy },
    halfDone: halfDoneOf(cluster),
    scheduled: scheduledOf(cluster),
    atWork: work && { verb: work.verb, since: Date.parse(work.since) },
    hosts: cluster.hosts.map(({ name }) => {
      const one = answers?.hosts.find(({ host }) => host.name === name)
      return { host: name, answers: one?.status?.ok === true, commits: one?.health?.ok === true, aheadMs: ahead(one) }
    }),
    learners: answers?.members?.ok ? answers.members.value.filter(({ isLearner }) => isLearner).length : undefined,
    alarms: answers?.alarms?.ok ? countOf(answers.alarms.value.map(({ alarm }) => alarm)) : undefined,
  }
}

/** Undefined where nobody can be asked: no tunnel can be opened, say. */
async function answersOf(cluster: Cluster): Promise<Answers | undefined> {
  try {
    await reachMembers(cluster)
    return await askMembers(cluster)
  } catch (error) {
    if (error instanceof OperationError) return undefined
    throw error
  }
}

/** What a host serves may end before what was renewed here and not installed there. */
const served = ({ host, probe }: HostAnswers): Known['certificates'] =>
  probe.served ? [{ file: `${host.name}/server.crt`, notAfter: Date.parse(probe.served.validTo) }] : []

/** By the date of its HTTPS answer, which has whole seconds: half of one is added. */
function ahead(one: HostAnswers | undefined): number | undefined {
  const date = one?.probe.kind === 'answered' ? Date.parse(one.probe.date ?? '') : Number.NaN
  return Number.isNaN(date) ? undefined : date + 500 - clock()
}

const countOf = (raised: string[]): Record<string, number> =>
  Object.fromEntries(
    [...new Set([...alarmKinds, ...raised])].map((kind) => [kind, raised.filter((alarm) => alarm === kind).length]),
  )
