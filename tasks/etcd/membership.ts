// The rules of membership: who should be in the cluster, who is, and who leads it. Pure: it asks nobody.
import type { Host } from '../core/cluster.ts'
import type { EndpointStatus, Member } from './etcdctl.ts'

/** How one host or member differs from what is expected. */
export interface Difference {
  kind: 'missing' | 'extra' | 'unstarted' | 'learner' | 'name' | 'peerURLs' | 'clientURLs'
  /** The host concerned; an extra member has none. */
  host?: Host
  /** The member concerned; a missing one has none. */
  member?: Member
}

/** How many members must agree: more than half (etcd's raft). */
export const quorum = (members: number): number => Math.floor(members / 2) + 1

/**
 * Whether etcd adds a member: of so many voters so many take part. `strict`: before 3.5.30 all of them must; since then
 * as many as will be a quorum with one more (etcd's --strict-reconfig-check, as measured).
 */
export const mayAdd = (voters: number, well: number, strict: boolean): boolean =>
  voters === 1 || well >= (strict ? voters : quorum(voters + 1))

/**
 * The member that lives on a host: the one of its name, else the one at its peer URL (a member that never started has
 * no name).
 */
export function memberOf(host: Host, members: Member[]): Member | undefined {
  return (
    members.find((member) => member.name === host.name) ??
    members.find((member) => member.peerURLs.includes(host.peerURL))
  )
}

/** Compares the cluster's hosts with the members it lists. No difference: an empty list. */
export function compareMembers(hosts: Host[], members: Member[]): Difference[] {
  const ofHosts = hosts.flatMap((host) => compareOne(host, memberOf(host, members)))
  const known = hosts.map((host) => memberOf(host, members))
  const extra = members
    .filter((member) => !known.includes(member))
    .map((member): Difference => ({ kind: 'extra', member }))
  return [...ofHosts, ...extra]
}

function compareOne(host: Host, member: Member | undefined): Difference[] {
  if (!member) return [{ kind: 'missing', host }]
  const kinds: Difference['kind'][] = []
  if (member.name === '') kinds.push('unstarted')
  else if (member.name !== host.name) kinds.push('name')
  if (!member.peerURLs.includes(host.peerURL)) kinds.push('peerURLs')
  if (member.name !== '' && !member.clientURLs.includes(host.clientURL)) kinds.push('clientURLs')
  if (member.isLearner) kinds.push('learner')
  return kinds.map((kind) => ({ kind, host, member }))
}

/** The leader's id when every status names the same one; else undefined. */
export function agreedLeader(statuses: EndpointStatus[]): string | undefined {
  const [first, ...others] = new Set(statuses.map((status) => status.leaderId))
  return first && others.length === 0 ? first : undefined
}

/** The value that more than half of the entries have; undefined when none has. */
export function majority<T>(values: T[]): T | undefined {
  return values.find((value) => values.filter((other) => other === value).length >= quorum(values.length))
}
