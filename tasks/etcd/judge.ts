// What members' answers show to be wrong. Pure: whoever asks them, verify or a guard, judges alike.
import type { Cluster, Host } from '../core/cluster.ts'
import { authorityCertificate } from './certificates.ts'
import type { Alarm, EndpointStatus, Member } from './etcdctl.ts'
import type { Finding } from './findings.ts'
import { agreedLeader, majority, memberOf, quorum } from './membership.ts'
import type { Probe } from './probe.ts'

/** What is missing here to ask anybody. */
export const ofCertificates = (cluster: Cluster): Finding => ({
  code: authorityCertificate(cluster) ? 'no-client-certificate' : 'no-certificates',
  at: cluster.paths.certs,
})

/** What a knock at a member's client port, with our certificate, says of the member. */
export function atTheDoor({ name: host, address }: Host, port: number, probe: Probe): Finding[] {
  switch (probe.kind) {
    case 'answered':
      return []
    case 'closed':
      return [{ code: 'member-down', host, at: `${address}:${port}`, reason: probe.reason }]
    case 'silent':
      return [{ code: 'member-frozen', host, reason: probe.reason }]
    case 'plain':
      return [{ code: 'plain-http', host }]
    case 'refused':
      return [{ code: probe.alert ? 'tls-refused' : 'hangs-up', host, reason: probe.reason }]
  }
}

/**
 * A member that hangs, where those that hang and those that answer are a quorum: then to resume it is what helps.
 * `doors`: what was found at all of the hosts' ports, once for each host at most.
 */
export function hanging(hosts: Host[], doors: Finding[]): Finding | undefined {
  const hung = doors.filter(({ code }) => code === 'member-frozen')
  const shut = new Set(doors.map(({ host }) => host)).size
  return hosts.length - shut + hung.length >= quorum(hosts.length) ? hung[0] : undefined
}

/** How the members that are listed differ from the hosts. */
export function ofMembers(hosts: Host[], members: Member[]): Finding[] {
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
export function ofLeaders(known: { name: string; status: EndpointStatus }[]): Finding[] {
  if (agreedLeader(known.map(({ status }) => status))) return []
  const most = majority(known.map(({ status }) => status.leaderId))
  return known
    .filter(({ status }) => status.leaderId === '' || status.leaderId !== most)
    .map(({ name: host, status: { leaderId } }) =>
      leaderId ? { code: 'other-leader', host, is: leaderId } : { code: 'no-leader', host },
    )
}

export function ofAlarms(hosts: Host[], members: Member[], alarms: Alarm[]): Finding[] {
  return alarms.map(({ memberId: id, alarm }) => {
    const host = hosts.find((one) => memberOf(one, members)?.id === id)?.name
    return alarm === 'NOSPACE' ? { code: 'no-space', host } : { code: 'corrupt', host, id }
  })
}

/** etcd ends a downgrade by itself a few seconds after the last member runs the older version. */
export function ofDowngrade(statuses: EndpointStatus[]): Finding[] {
  const due = statuses.find(({ downgradingTo }) => downgradingTo)?.downgradingTo
  return due ? [{ code: 'downgrade-enabled', due }] : []
}
