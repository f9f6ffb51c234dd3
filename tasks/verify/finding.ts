// A fault that a check found, and who could not be asked.
import { memberOf } from '../etcd/membership.ts'
import type { Facts, HostFacts } from './facts.ts'

/** One fault. */
export interface Finding {
  host?: string
  detail: string
  remedy: string
  /** It may heal by itself (an election, a member that starts): worth waiting for. */
  heals?: boolean
}

/** The hosts of which a check knows nothing, as its reason to be skipped; undefined when it knows all. */
export function without({ hosts }: Facts, knows: (host: HostFacts) => unknown): string | undefined {
  const unknown = hosts.filter((host) => !knows(host)).map(({ host }) => host.name)
  return unknown.length > 0 ? `${unknown.join(', ')} could not be asked` : undefined
}

/** The id of a host's member, for a command; ID where it is not known. */
export function memberId({ cluster, members }: Facts, name: string): string {
  const host = cluster.hosts.find((candidate) => candidate.name === name)
  return (host && members?.ok && memberOf(host, members.value)?.id) || 'ID'
}
