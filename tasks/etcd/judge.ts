// What members' answers show to be wrong. Pure: whoever asked them, verify, a guard or a plan, judges alike.
import type { X509Certificate } from 'node:crypto'
import type { Cluster, Host } from '../core/cluster.ts'
import { clock } from '../core/run.ts'
import type { Answers, HostAnswers } from './ask.ts'
import { authorityCertificate, isSignedBy } from './certificates.ts'
import type { Alarm, Answer, EndpointStatus, Member } from './etcdctl.ts'
import { commits, says } from './etcdctl-output.ts'
import { type Finding, inRanking } from './findings.ts'
import { agreedLeader, majority, memberOf, quorum } from './membership.ts'
import type { Probe } from './probe.ts'

/** What is wrong, by what it concerns: verify has a check for each, a guard takes all. */
export type Judged = Record<'health' | 'members' | 'leader' | 'version' | 'alarms', Finding[]>

interface Known {
  name: string
  status: EndpointStatus
}

export function judge({ missing, hosts, members, alarms }: Answers): Judged {
  const all = hosts.map(({ host }) => host)
  const known = statusesOf(hosts)
  const listed = members?.ok ? members.value : []
  const raised = alarms?.ok ? ofAlarms(all, listed, alarms.value) : []
  return {
    health: missing ? [missing] : ofHealth(hosts, raised).filter((finding) => !isOfNoMember(finding, hosts, members)),
    members: [
      ...(hang(hosts) ? [] : unlisted('members', members)),
      ...(members?.ok ? ofMembers(all, listed) : []),
      ...ofClusters(known),
    ],
    leader: ofLeaders(known),
    version: [...ofVersions(known), ...ofDowngrade(known)],
    alarms: [...(hang(hosts) ? [] : unlisted('alarms', alarms)), ...raised],
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

const unlisted = (what: string, answer: Answer<unknown> | undefined): Finding[] =>
  !answer || answer.ok ? [] : [{ code: 'no-quorum', reason: `the ${what} cannot be listed: ${answer.reason}` }]

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
export const ofCertificates = (cluster: Cluster): Finding => ({
  code: authorityCertificate(cluster) ? 'no-client-certificate' : 'no-certificates',
  at: cluster.paths.certs,
})

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
      return { code: 'member-down', host, at: `${address}:${port}`, reason: probe.reason }
    case 'silent':
      return { code: 'member-frozen', host, reason: probe.reason }
    case 'plain':
      return { code: 'plain-http', host }
    case 'refused':
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

const isoDay = (date: Date): string => date.toISOString().slice(0, 10)

/** How the members that are listed differ from the hosts. */
function ofMembers(hosts: Host[], members: Member[]): Finding[] {
  const known = hosts.map((host) => memberOf(host, members))
  return [
    ...hosts.flatMap((host, index) => ofMember(host, known[index])),
    ...members
      .filter((member) => !known.includes(member))
      .map(({ id, name, peerURLs, isLearner }): Finding => {
        const is = [name, peerURLs.join(', '), isLearner && 'a learner'].filter(Boolean).join(', ')
        return { code: 'stranger-member', id, is }
      }),
  ]
}

function ofMember({ name: host, peerURL, clientURL }: Host, member: Member | undefined): Finding[] {
  if (!member) return [{ code: 'member-missing', host }]
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

function ofAlarms(hosts: Host[], members: Member[], alarms: Alarm[]): Finding[] {
  return alarms.map(({ memberId: id, alarm }) => {
    const host = hosts.find((one) => memberOf(one, members)?.id === id)?.name
    return alarm === 'NOSPACE' ? { code: 'no-space', host } : { code: 'corrupt', host, id }
  })
}

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

/** etcd ends a downgrade by itself a few seconds after the last member runs the older version. */
function ofDowngrade(known: Known[]): Finding[] {
  const due = known.find(({ status }) => status.downgradingTo)?.status.downgradingTo
  return due ? [{ code: 'downgrade-enabled', due }] : []
}
