// The checks of who is in the cluster and how each one does.

import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { downgradeEnabled, type EndpointStatus } from '../etcd/etcdctl.ts'
import { says } from '../etcd/etcdctl-output.ts'
import { agreedLeader, compareMembers, type Difference, majority, quorum } from '../etcd/membership.ts'
import type { Facts, HostFacts } from './facts.ts'
import type { Finding } from './finding.ts'
import { remedies } from './remedies.ts'
import { answered } from './tls-checks.ts'

export function health(facts: Facts): Finding[] {
  return facts.hosts.flatMap((one) => (one.health?.ok ? [] : [{ host: one.host.name, ...ailment(facts, one) }]))
}

/** Why a member does not commit, from the outside in: the port, TLS, the member, the cluster. */
function ailment(facts: Facts, { host, control, flaws, unreachable, health, status, refusals }: HostFacts): Finding {
  const { cluster } = facts
  const reason = unreachable ?? (health?.ok === false ? health.reason : 'it was not asked')
  if (!facts.trusted) return { detail: reason, remedy: remedies.renew(cluster) }
  if (control.kind === 'closed')
    return {
      detail: `its member is down: ${reason} at ${host.address}:${cluster.etcd.clientPort}`,
      remedy: remedies.start(cluster),
      heals: true,
    }
  if (control.kind === 'silent' && flaws[0])
    return { detail: `it serves no clients: ${flaws[0]}`, remedy: remedies.role(cluster) }
  if (control.kind === 'silent')
    return { detail: `its member is frozen or just starting: ${reason}`, remedy: remedies.thaw(host.name), heals: true }
  if (control.kind === 'plain' || answered(refusals.get('refuses-plain-http')))
    return { detail: 'its client port speaks plain HTTP, not TLS', remedy: remedies.role(cluster) }
  if (unreachable && control.served)
    return { detail: `it cannot be trusted: ${reason}`, remedy: remedies.role(cluster) }
  if (unreachable)
    return {
      detail: `it refuses our client certificate, or its own key and certificate are no pair: ${reason}`,
      remedy: remedies.role(cluster),
      heals: !(control.kind === 'refused' && control.alert),
    }
  if (status?.ok && status.value.isLearner)
    return {
      detail: 'its member is a learner, which neither votes nor writes',
      remedy: remedies.promote(cluster, status.value.memberId, host.name),
    }
  if (says.alarmed(reason)) return { detail: `it takes no writes: ${reason}`, remedy: remedies.space(cluster) }
  if (facts.hosts.some((other) => other.health?.ok))
    return { detail: `it answers, but commits nothing: ${reason}`, remedy: remedies.wait(cluster), heals: true }
  const needed =
    `${quorum(facts.hosts.length)} of ${facts.hosts.length} members must work together, ` +
    `${answering(facts)} ${answering(facts) === 1 ? 'answers' : 'answer'}`
  return {
    detail: `it answers, but commits nothing: there is no quorum (${needed}; ${reason})`,
    remedy: remedies.quorum(cluster),
    heals: true,
  }
}

const answering = ({ hosts }: Facts): number => hosts.filter(({ unreachable }) => unreachable === undefined).length

export function members(facts: Facts): Finding[] {
  const { cluster, hosts, members } = facts
  if (!members) return []
  if (!members.ok)
    return [
      { detail: `the member list cannot be had: ${members.reason}`, remedy: remedies.quorum(cluster), heals: true },
    ]
  return [
    ...compareMembers(cluster.hosts, members.value).map((difference) => membershipFinding(cluster, difference)),
    ...strangers(cluster, hosts),
  ]
}

function membershipFinding(cluster: Cluster, { kind, host, member }: Difference): Finding {
  const where = host ? { host: host.name } : {}
  const id = member?.id ?? ''
  const urls = member?.peerURLs.join(', ')
  switch (kind) {
    case 'missing':
      return {
        ...where,
        detail: 'it is no member of the cluster',
        remedy: host ? remedies.add(cluster, host.name) : remedies.start(cluster),
      }
    case 'extra': {
      const about = [member?.name, urls, member?.isLearner && 'a learner'].filter(Boolean).join(', ')
      return {
        detail: `member ${id} (${about}) belongs to none of our hosts`,
        remedy: remedies.removeMember(cluster, id),
      }
    }
    case 'unstarted':
      return {
        ...where,
        detail: `member ${id} was added but has never started`,
        remedy: remedies.start(cluster),
        heals: true,
      }
    case 'learner':
      return {
        ...where,
        detail: `member ${id} is still a learner: it does not vote`,
        remedy: remedies.promote(cluster, id, host?.name),
      }
    case 'name':
      return {
        ...where,
        detail: `member ${id} at its peer URL is called ${member?.name}`,
        remedy: remedies.role(cluster),
      }
    case 'peerURLs':
      return {
        ...where,
        detail: `its peer URL is ${urls}, not ${host?.peerURL}`,
        remedy: host ? remedies.peerURL(cluster, id, host) : remedies.role(cluster),
      }
    case 'clientURLs':
      return {
        ...where,
        detail: `its client URL is ${member?.clientURLs.join(', ')}, not ${host?.clientURL}`,
        remedy: remedies.role(cluster),
      }
  }
}

/** Hosts whose member belongs to another cluster: a data directory that was made anew beside the real cluster. */
function strangers(cluster: Cluster, hosts: HostFacts[]): Finding[] {
  const known = statuses(hosts)
  const most = majority(known.map(({ status }) => status.clusterId))
  return known
    .filter(({ status }) => status.clusterId !== most)
    .map(({ name, status }) => ({
      host: name,
      detail: `its member belongs to another cluster (id ${status.clusterId}${most ? `, the others' is ${most}` : ''})`,
      remedy: remedies.add(cluster, name),
    }))
}

export const statuses = (hosts: HostFacts[]): { name: string; status: EndpointStatus }[] =>
  hosts.flatMap(({ host, status }) => (status?.ok ? [{ name: host.name, status: status.value }] : []))

export function leader({ cluster, hosts }: Facts): Finding[] {
  const known = statuses(hosts)
  if (agreedLeader(known.map(({ status }) => status))) return []
  const most = majority(known.map(({ status }) => status.leaderId))
  return known
    .filter(({ status }) => status.leaderId === '' || status.leaderId !== most)
    .map(({ name, status }) => ({
      host: name,
      detail: status.leaderId ? `it follows leader ${status.leaderId}, unlike the others` : 'it knows no leader',
      remedy: remedies.wait(cluster),
      heals: true,
    }))
}

/** etcd ends one by itself a few seconds after the last member runs the older version. */
function downgrades({ cluster, hosts }: Facts): Finding[] {
  const to = statuses(hosts).find(({ status }) => status.downgradingTo)?.status.downgradingTo
  return to ? [{ detail: downgradeEnabled(to), remedy: remedies.endDowngrade(cluster), heals: true }] : []
}

const versions = ({ hosts }: Facts): { name: string; version: string }[] =>
  statuses(hosts).map(({ name, status }) => ({ name, version: status.version }))

export function version(facts: Facts): Finding[] {
  const known = versions(facts)
  if (new Set(known.map((one) => one.version)).size <= 1) return downgrades(facts)
  const most = majority(known.map((one) => one.version))
  return known
    .filter((one) => one.version !== most)
    .map((one) => ({
      host: one.name,
      detail: `it runs etcd ${one.version}${most ? `, the others ${most}` : ''}`,
      remedy: `Give all the same version: ${command(facts.cluster, 'etcd-role')}`,
    }))
}
