// The rules of membership: who should be in the cluster, who is, and who leads it. Pure: it asks nobody.
import type { Host } from '../core/cluster.ts'
import type { EndpointStatus, Member } from './etcdctl.ts'

/** How many members must agree: more than half (etcd's raft). */
export const quorum = (members: number): number => Math.floor(members / 2) + 1

/**
 * Whether etcd adds a member: of so many voters so many take part. `strict`: before 3.5.30 all of them must; since then
 * as many as will be a quorum with one more (etcd's --strict-reconfig-check, as measured).
 */
export const mayAdd = (voters: number, well: number, strict: boolean): boolean =>
  voters === 1 || well >= (strict ? voters : quorum(voters + 1))

/** The member that lives on a host: by its name, else by its peer URL (one that never started has no name). */
export function memberOf(host: Host, members: Member[]): Member | undefined {
  return (
    members.find((member) => member.name === host.name) ??
    members.find((member) => member.peerURLs.includes(host.peerURL))
  )
}

/** Whether the member of that id lives on one of these hosts. */
export const isOnOneOf = (hosts: Host[], members: Member[], id: string): boolean =>
  hosts.some((host) => memberOf(host, members)?.id === id)

/** The leader's id when every status names the same one; else undefined. */
export function agreedLeader(statuses: EndpointStatus[]): string | undefined {
  const [first, ...others] = new Set(statuses.map((status) => status.leaderId))
  return first && others.length === 0 ? first : undefined
}

/** The value that more than half of the entries have; undefined when none has. */
export function majority<T>(values: T[]): T | undefined {
  return values.find((value) => values.filter((other) => other === value).length >= quorum(values.length))
}
