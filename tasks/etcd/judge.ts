// What members' answers show to be wrong. Pure: whoever asked them, verify, a guard or a plan, judges alike.
import type { X509Certificate } from 'node:crypto'
import type { Cluster, Host } from '../core/cluster.ts'
import { withPort } from '../core/ip.ts'
import { clock } from '../core/run.ts'
import type { Answers, HostAnswers } from './ask.ts'
import { whyKeptOut } from './authority-key.ts'
import { authorityCertificate, isoDay, isSignedBy } from './certificates.ts'
import { fullBytes, leftIn } from './disk.ts'
import type { Alarm, Answer, EndpointStatus, Member } from './etcdctl.ts'
import { commits, says } from './etcdctl-output.ts'
import { type Finding, inRanking } from './findings.ts'
import { agreedLeader, majority, memberOf, quorum } from './membership.ts'
import type { Probe } from './probe.ts'

/** What is wrong, by what it concerns: verify has a check for each, a guard takes all. */
export type Judged = Record<'health' | 'members' | 'leader' | 'version' | 'alarms' | 'disks', Finding[]>

interface Known {
  name: string
  status: EndpointStatus
}

export function judge({ missing, hosts, members, alarms, keyless }: Answers): Judged {
  const all = hosts.map(({ host }) => host)
  const known = statusesOf(hosts)
  const listed = members?.ok ? members.value : []
  const raised = alarms?.ok ? ofAlarms(hosts, listed, alarms.value) : []
  return {
    health: missing ? [missing] : ofHealth(hosts, raised).filter((finding) => !isOfNoMember(finding, hosts, members)),
    members: [
      ...(hang(hosts) ? [] : unlisted('members', members, hosts)),
      ...(members?.ok ? ofMembers(all, listed) : []),
      ...ofClusters(known),
    ],
    leader: ofLeaders(known),
    version: [...ofVersions(known), ...ofDowngrade(known)],
    // the key first: who lowers the alarm, and then can replace nobody, lets damaged data be read, and copied
    alarms: [...(hang(hosts) ? [] : unlisted('alarms', alarms, hosts)), ...(keyless ? [keyless] : []), ...raised],
    disks: ofDisks(hosts),
  }
}

/** A host that is no member, or whose member has never started, is down for that reason: the list says what helps. */
function isOfNoMember({ code, host }: Finding, hosts: HostAnswers[], members: Answers['members']): boolean {
  const at = hosts.find((one) => one.host.name === host)?.host
  return code === 'member-down' && members?.ok === true && at !== undefined && !memberOf(at, members.value)?.name
}

export const statusesOf = (hosts: HostAnswers[]): Known[] =>
  hosts.flatMap(({ host, status }) => (status?.ok ? [{ name: host.name, status: status.value }] : []))

/** Whether those that hang and those that answer are a quorum: then to resume the former is what helps. */
function hang(hosts: HostAnswers[]): boolean {
  const hung = hosts.filter(({ door }) => door?.code === 'member-frozen').length
  return hung > 0 && hosts.filter(({ door }) => !door).length + hung >= quorum(hosts.length)
}

/** A voter that commits. */
export const isWell = ({ status, health }: HostAnswers): boolean =>
  status?.ok === true && !status.value.isLearner && health !== undefined && commits(health)

/** Who commits has a quorum: then only an answer was lost. */
function unlisted(what: string, answer: Answer<unknown> | undefined, hosts: HostAnswers[]): Finding[] {
  if (!answer || answer.ok) return []
  const { reason } = answer
  const able = hosts.find(({ health }) => health && commits(health))
  if (able) return [{ code: 'call-fails', host: able.host.name, what: `list of ${what}`, reason }]
  return [{ code: 'no-quorum', reason: `the ${what} cannot be listed: ${reason}` }]
}

/** Why each does not commit. With damaged data somewhere nobody does, and that is named once. */
function ofHealth(hosts: HostAnswers[], raised: Finding[]): Finding[] {
  const corrupt = raised.filter(({ code }) => code === 'corrupt')
  const open = hosts.filter(({ door }) => !door).length
  const somebody = hang(hosts) || hosts.some(({ health }) => health && commits(health))
  const needed = `${quorum(hosts.length)} of ${hosts.length} members must work together`
  const without = (host: string | undefined, reason: string): Finding => ({
    code: 'no-quorum',
    host,
    reason: `${needed}, ${open || 'none'} ${open < 2 ? 'answers' : 'answer'}${reason}`,
  })
  const found = hosts.flatMap(({ host: { name: host }, door, status, health }): Finding[] => {
    if (door?.code === 'other-authority' || door?.code === 'certificate-unusable' || door?.code === 'member-down')
      return [{ ...door, hosts: lostWith(host, hosts) }]
    if (door) return [door]
    const reason = health?.ok === false ? health.reason : 'it was not asked'
    if (health?.ok)
      return status?.ok ? [] : [{ code: 'call-fails', host, what: 'status', reason: status?.reason ?? reason }]
    if (status?.ok && status.value.isLearner) return [{ code: 'learner-left', host, id: status.value.memberId }]
    if (says.full(reason)) return [{ code: 'takes-no-writes', host, reason }]
    if (corrupt.length > 0) return corrupt
    return [somebody ? { code: 'commits-nothing', host, reason } : without(host, `; ${reason}`)]
  })
  const isDown = ({ door }: HostAnswers): boolean => door?.code === 'member-down' || door?.code === 'member-frozen'
  return [...new Set(found), ...(hosts.every(isDown) && !hang(hosts) ? [without(undefined, '')] : [])]
}

/** What is missing here to ask anybody. */
export function ofCertificates(cluster: Cluster): Finding | undefined {
  const at = cluster.paths.certs
  if (!authorityCertificate(cluster)) return { code: 'no-certificates', at }
  const reason = whyKeptOut(cluster)
  return reason === undefined ? undefined : { code: 'no-client-certificate', at, reason }
}

/** What keeps us from asking a member, after a knock at its client port with our certificate. */
export function atTheDoor(host: Host, port: number, probe: Probe, trusted: X509Certificate[]): Finding | undefined {
  const untrusted = probe.served && whyUntrusted(host, port, probe.served, trusted)
  return inRanking([untrusted ?? [], ofProbe(host, port, probe) ?? []].flat())[0]
}

function ofProbe({ name: host, address }: Host, port: number, probe: Probe): Finding | undefined {
  switch (probe.kind) {
    case 'answered':
      return undefined
    case 'closed':
      return { code: 'member-down', host, at: withPort(address, port), reason: probe.reason }
    case 'silent':
      return { code: 'member-frozen', host, reason: probe.reason }
    case 'plain':
      return { code: 'plain-http', host }
    case 'refused':
      if (probe.bare) return { code: 'certificate-unusable', host, reason: probe.reason }
      return { code: probe.alert ? 'tls-refused' : 'hangs-up', host, reason: probe.reason }
  }
}

/** What keeps a client that checks from connecting to who serves this; undefined where nothing does. */
export function whyUntrusted(
  { name: host, address }: Host,
  port: number,
  certificate: X509Certificate,
  trusted: X509Certificate[],
): Finding | undefined {
  if (!trusted.some((authority) => isSignedBy(certificate, authority)))
    return { code: 'other-authority', host, port, is: certificate.issuer.split('\n').join(', ') }
  const [begins, ends] = [new Date(certificate.validFrom), new Date(certificate.validTo)]
  if (ends.getTime() < clock()) return { code: 'certificate-expired', host, port, is: isoDay(ends) }
  if (begins.getTime() > clock()) return { code: 'certificate-early', host, port, is: isoDay(begins) }
  return certificate.checkIP(address) ? undefined : { code: 'certificate-of-other-address', host, port, due: address }
}

/** How the members that are listed differ from the hosts. */
function ofMembers(hosts: Host[], members: Member[]): Finding[] {
  const known = hosts.map((host) => memberOf(host, members))
  const missing = hosts.filter((_, index) => !known[index]).map(({ name }) => name)
  return [
    ...missing.map((host): Finding => ({ code: 'member-missing', host, hosts: missing })),
    ...hosts.flatMap((host, index) => (known[index] ? ofMember(host, known[index]) : [])),
    ...members
      .filter((member) => !known.includes(member))
      .map(({ id, name, peerURLs, isLearner }): Finding => {
        const is = [name, peerURLs.join(', '), isLearner && 'a learner'].filter(Boolean).join(', ')
        return { code: 'stranger-member', id, is }
      }),
  ]
}

function ofMember({ name: host, peerURL, clientURL }: Host, member: Member): Finding[] {
  const { id, name, peerURLs, clientURLs, isLearner } = member
  const found: Finding[] = []
  if (name === '') found.push({ code: 'unstarted-member', host, id })
  else if (name !== host) found.push({ code: 'other-name', host, is: name })
  if (!peerURLs.includes(peerURL))
    found.push({ code: 'other-peer-url', host, id, is: peerURLs.join(', '), due: peerURL })
  if (name !== '' && !clientURLs.includes(clientURL))
    found.push({ code: 'other-client-url', host, is: clientURLs.join(', '), due: clientURL })
  if (isLearner) found.push({ code: 'learner-left', host, id })
  return found
}

/** Who does not follow the leader that the others follow. */
function ofLeaders(known: Known[]): Finding[] {
  if (agreedLeader(known.map(({ status }) => status))) return []
  const most = majority(known.map(({ status }) => status.leaderId))
  return known
    .filter(({ status }) => status.leaderId === '' || status.leaderId !== most)
    .map(({ name: host, status: { leaderId } }) =>
      leaderId ? { code: 'other-leader', host, is: leaderId } : { code: 'no-leader', host },
    )
}

/**
 * Beside damaged data those that do not vote now are to get theirs from who is sound. Where etcd does not say whose
 * data are damaged, they are those that differ from what most have.
 */
function ofAlarms(answers: HostAnswers[], members: Member[], alarms: Alarm[]): Finding[] {
  const { most, differing } = compared(answers)
  const named = alarms.filter(({ alarm }) => alarm === 'CORRUPT').map(({ memberId }) => memberId)
  const damaged = [...named, ...differing.map(({ status }) => idOf(status))]
  return alarms.map(({ memberId: id, alarm }) => {
    const told = answers.find((one) => memberOf(one.host, members)?.id === id)?.host.name
    if (alarm === 'NOSPACE') return { code: 'no-space', host: told }
    const host = told ?? differing[0]?.host.name
    if (!host) return { code: 'corrupt', id, most }
    const isSound = ({ status }: HostAnswers): boolean => isVoter(status) && !damaged.includes(idOf(status))
    const others = answers.filter((one) => one.host.name !== host && !isSound(one))
    const its = told || !differing[0] ? id : idOf(differing[0].status)
    return { code: 'corrupt', host, id: its, hosts: [host, ...others.map((one) => one.host.name)] }
  })
}

/** The hash that most have, of data that can be compared, and those whose data differ from it. */
function compared(answers: HostAnswers[]): { most: string | undefined; differing: HostAnswers[] } {
  const hashOf = ({ hash }: HostAnswers): string | undefined =>
    hash?.ok ? `${hash.value.hash} ${hash.value.compactRevision}` : undefined
  const known = answers.filter((one) => hashOf(one) !== undefined)
  const most = majority(known.map(hashOf))
  return { most, differing: most === undefined ? [] : known.filter((one) => hashOf(one) !== most) }
}

/** The host, and the others without a voter that answers; undefined where no voter does: it may be we who are wrong. */
function lostWith(host: string, answers: HostAnswers[]): string[] | undefined {
  const silent = answers.flatMap(({ host: { name }, status }) => (name !== host && !isVoter(status) ? [name] : []))
  return silent.length + 1 < answers.length ? [host, ...silent] : undefined
}

const isVoter = (status: HostAnswers['status']): boolean => status?.ok === true && !status.value.isLearner
const idOf = (status: HostAnswers['status']): string => (status?.ok ? status.value.memberId : '')

/** Hosts whose member belongs to another cluster: it lost its data directory, and started with an empty one. */
function ofClusters(known: Known[]): Finding[] {
  const most = majority(known.map(({ status }) => status.clusterId))
  return known
    .filter(({ status }) => status.clusterId !== most)
    .map(({ name, status }) => ({ code: 'other-cluster', host: name, is: status.clusterId, most }))
}

function ofVersions(known: Known[]): Finding[] {
  const most = majority(known.map(({ status }) => status.version))
  return known
    .filter(({ status }) => status.version !== most)
    .map(({ name, status }) => ({ code: 'mixed-versions', host: name, is: status.version, most }))
}

function ofDisks(hosts: HostAnswers[]): Finding[] {
  return hosts.flatMap(({ host, free }) =>
    free === undefined || free >= fullBytes ? [] : [{ code: 'disk-full', host: host.name, is: leftIn(free) }],
  )
}

/** etcd ends a downgrade by itself a few seconds after the last member runs the older version. */
function ofDowngrade(known: Known[]): Finding[] {
  const due = known.find(({ status }) => status.downgradingTo)?.status.downgradingTo
  return due ? [{ code: 'downgrade-enabled', due }] : []
}
