// How the cluster is right now, on one screen: members, alarms, certificates.
import type { Cluster } from './core/cluster.ts'
import { type AtWork, atWork } from './core/lock.ts'
import { clock } from './core/run.ts'
import { bytes, chalk, duration, plain, table, wrapped } from './core/terminal.ts'
import { adviceOf } from './etcd/advice.ts'
import { askMembers, type HostAnswers } from './etcd/ask.ts'
import { certificateReport } from './etcd/certificates.ts'
import { fullBytes } from './etcd/disk.ts'
import type { Member } from './etcd/etcdctl.ts'
import { warningsOf } from './etcd/faults.ts'
import { type Finding, inWords, refusal, sentenceOf } from './etcd/findings.ts'
import { quotaAdvice } from './etcd/growth.ts'
import { heartbeatAdvice } from './etcd/heartbeat.ts'
import { judge, statusesOf } from './etcd/judge.ts'
import { memberOf } from './etcd/membership.ts'
import { reachMembers } from './etcd/reach.ts'
import { scheduleFindings } from './schedule/index.ts'
import { keeperWarning } from './vms/index.ts'

/**
 * One member. What is not known, because it does not answer, is null; `raftLag` counts entries behind the furthest
 * member.
 */
export interface MemberStatus {
  id: string | null
  name: string
  address: string | null
  state: 'leader' | 'follower' | 'no leader' | 'learner' | 'down' | 'unknown'
  version: string | null
  dbSizeBytes: number | null
  raftIndex: number | null
  raftLag: number | null
  /** What its disk has left for etcd's data; hosts are asked over ssh with --disks only. */
  freeBytes: number | null
  /** Why it is down, or what is odd about it. */
  note: string | null
}

/** The data of `status --json`. */
export interface ClusterStatus {
  cluster: string
  provider: string
  members: MemberStatus[]
  /** Whether enough members work together for writes to be taken. */
  quorum: boolean
  /** Null: nobody could tell. */
  alarms: { member: string; alarm: string }[] | null
  certificates: { path: string; daysLeft: number }[]
  /**
   * What a person should know, a line each: the authority's end is near, or it is being changed; a replacement is half
   * done; a keeper is gone; what is scheduled failed, or is not done; the quota is near.
   */
  warning: string | null
  /** The verb that is at work on the cluster, and the step that it is at. */
  atWork: AtWork | null
}

/**
 * Asks every member once, within 4 s even when some are down or frozen.
 * @throws OperationError when there are no certificates to ask with
 */
export async function clusterStatus(cluster: Cluster, disks = false): Promise<ClusterStatus> {
  await reachMembers(cluster)
  const answers = await askMembers(cluster, { disks })
  if (answers.missing) throw refusal(cluster, answers.missing)
  const { hosts, alarms } = answers
  const judged = judge(answers)
  const members = answers.members?.ok ? answers.members.value : []
  const running = statusesOf(hosts).map(({ status }) => status)
  const furthest = Math.max(0, ...running.map(({ raftIndex }) => raftIndex))
  const known = cluster.hosts.map((host) => memberOf(host, members))
  const nameOf = (id: string): string => members.find((member) => member.id === id)?.name || id
  const work = await atWork(cluster.paths.state)
  const found: Finding[] = [
    ...judged.version.filter(({ code }) => code === 'downgrade-enabled'),
    ...(await heartbeatAdvice(cluster, answers)),
    ...scheduleFindings(cluster),
    ...quotaAdvice(cluster, answers),
  ]
  // While a verb is at work, keepers come and go, and advice waits.
  const advice = work
    ? []
    : [await keeperWarning(cluster), ...adviceOf(cluster), ...found.map((finding) => inWords(cluster, finding))]
  const warnings = [
    ...advice,
    ...judged.disks.map((finding) => inWords(cluster, finding)),
    ...[...new Set(running.map(({ version }) => version))].flatMap(warningsOf),
  ]
  return {
    cluster: cluster.name,
    provider: cluster.provider,
    members: [
      ...hosts.map((one) => hostStatus(one, memberOf(one.host, members), furthest)),
      ...members.filter((member) => !known.includes(member)).map(strangerStatus),
    ],
    quorum:
      running.length > 0 && Object.values(judged).every((found) => found.every(({ code }) => code !== 'no-quorum')),
    alarms: alarms?.ok ? alarms.value.map(({ memberId, alarm }) => ({ member: nameOf(memberId), alarm })) : null,
    certificates: certificateReport(cluster).map(({ path, daysLeft }) => ({ path, daysLeft })),
    warning: warnings.filter(Boolean).join('\n') || null,
    atWork: work ?? null,
  }
}

const unknown = { version: null, dbSizeBytes: null, raftIndex: null, raftLag: null, freeBytes: null }

function hostStatus(
  { host, probe, door, status, free }: HostAnswers,
  member: Member | undefined,
  furthest: number,
): MemberStatus {
  const common = { name: host.name, address: host.address }
  const freeBytes = free ?? null
  if (!status?.ok) {
    const note = probe.kind === 'answered' ? door && sentenceOf(door) : probe.reason
    return {
      ...common,
      id: member?.id ?? null,
      state: 'down',
      ...unknown,
      freeBytes,
      note: note ?? status?.reason ?? null,
    }
  }
  const { memberId: id, leaderId, isLearner, version, dbSizeBytes, raftIndex, raftAppliedIndex } = status.value
  const state = isLearner ? 'learner' : leaderId === '' ? 'no leader' : leaderId === id ? 'leader' : 'follower'
  const raftLag = furthest - raftAppliedIndex
  return { ...common, id, state, version, dbSizeBytes, raftIndex, raftLag, freeBytes, note: null }
}

const strangerStatus = ({ id, name, peerURLs, isLearner }: Member): MemberStatus => ({
  id,
  name: name || id,
  address: null,
  state: isLearner ? 'learner' : 'unknown',
  ...unknown,
  note: `member ${id} at ${peerURLs.join(', ')} belongs to none of our hosts`,
})

/**
 * The status as text of at most 80 columns, but for warnings: a command in them must stay one line, to be pasted.
 * `nearDays`: below it a certificate's end is shown as near.
 */
export function renderStatus(status: ClusterStatus, nearDays: number): string {
  const { members, alarms, certificates, warning } = status
  const up = members.filter(({ state }) => state === 'leader' || state === 'follower').length
  const lost = status.quorum ? '' : `; ${chalk.red('no quorum: nothing is written')}`
  const heading =
    `${chalk.bold(status.cluster)}: ${up} of ${members.length} members up, on ` + `${status.provider} hosts${lost}`
  const showsFree = members.some(({ freeBytes }) => freeBytes !== null)
  const rows = members.map(({ name, address, state, version, dbSizeBytes, raftIndex, raftLag, freeBytes }) => [
    name,
    address ?? '-',
    (states[state] ?? chalk.red)(state),
    version ?? '-',
    dbSizeBytes === null ? '-' : bytes(dbSizeBytes),
    ...(showsFree ? [freeCell(freeBytes)] : []),
    raftIndex === null ? '-' : raftLag ? `${raftIndex} ${chalk.yellow(`(${raftLag} behind)`)}` : String(raftIndex),
  ])
  const titles = ['MEMBER', 'ADDRESS', 'STATE', 'ETCD', 'DATABASE', ...(showsFree ? ['FREE'] : []), 'RAFT INDEX']
  const header = titles.map((title) => chalk.dim(title))
  const notes = members.flatMap(({ name, note }) => (note ? [wrapped(`${name}: ${note}`, 2)] : []))
  return [
    heading,
    '',
    table([header, ...rows]),
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
    table([
      [chalk.dim('Alarms'), alarmLine(alarms)],
      [chalk.dim('Certificates'), certificateLine(certificates, nearDays)],
      ...workLines(status.atWork),
    ]),
    ...(warning ? ['', chalk.yellow(plain(warning))] : []),
  ].join('\n')
}

const freeCell = (free: number | null): string =>
  free === null ? '-' : free < fullBytes ? chalk.red(bytes(free)) : bytes(free)

/**
 * The verb, and below it its steps, each deeper one indented: cut, not wrapped, so that a screen that is drawn again
 * stays still.
 */
function workLines(work: AtWork | null): string[][] {
  if (!work) return []
  const { verb, pid, since, suspended, steps } = work
  const time = duration(Math.max(0, clock() - Date.parse(since)))
  const lines = steps
    .map((step, depth) => `${'  '.repeat(depth)}${step}`)
    .map((line) => (line.length > 66 ? `${line.slice(0, 65)}…` : line))
  return [
    [
      chalk.dim('At work'),
      chalk.yellow(`${verb}, pid ${pid}, for ${time}${suspended ? `, suspended (resume: kill -CONT ${pid})` : ''}`),
    ],
    ...lines.map((line) => ['', line]),
  ]
}

const states: Record<string, (text: string) => string> = {
  leader: chalk.green,
  follower: chalk.green,
  learner: chalk.yellow,
  'no leader': chalk.red,
  down: chalk.red,
}

function alarmLine(alarms: ClusterStatus['alarms']): string {
  if (alarms === null) return chalk.yellow('unknown: no quorum answers')
  return alarms.length === 0 ? 'none' : chalk.red(alarms.map(({ member, alarm }) => `${alarm} on ${member}`).join(', '))
}

function certificateLine(certificates: ClusterStatus['certificates'], nearDays: number): string {
  const [first] = certificates.toSorted((a, b) => a.daysLeft - b.daysLeft)
  if (!first) return chalk.red('there are none here')
  const colour = first.daysLeft < 0 ? chalk.red : first.daysLeft < nearDays ? chalk.yellow : chalk.green
  const file = first.path.split('/').slice(-2).join('/')
  return first.daysLeft < 0
    ? colour(`${file} has expired`)
    : `the first to expire is ${file}, in ${colour(`${first.daysLeft} ${first.daysLeft === 1 ? 'day' : 'days'}`)}`
}
