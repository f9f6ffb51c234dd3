// Whether hosts have room for what a verb puts on them: asked before its first change. Pure, but for the refusal.
import type { Cluster } from '../core/cluster.ts'
import { bytes } from '../core/terminal.ts'
import { fullBytes, leastBytes, leftIn } from '../etcd/disk.ts'
import { type Finding, refusal } from '../etcd/findings.ts'
import type { HostData } from '../observe/host-data.ts'

/** Bytes that come upon a host; etcd needs some more to begin with. */
type Comes = (one: HostData) => number

/** What was moved aside stays on the same disk: it frees nothing. */
export function tooSmall(there: HostData[], comes: Comes): Finding | undefined {
  const small = there.find((one) => one.free < comes(one) + leastBytes)
  const due = small && bytes(comes(small) + leastBytes)
  return due ? { code: 'disk-too-small', host: small.host.name, is: leftIn(small.free), due } : undefined
}

/** @throws OperationError for the first host whose disk is too small */
export function refuseSmall(cluster: Cluster, there: HostData[], comes: Comes): void {
  const found = tooSmall(there, comes)
  if (found) throw refusal(cluster, found, 'Nothing was changed: ')
}

/** For a verb that restarts members: one whose disk is full would not come up. @throws OperationError */
export function refuseFull(cluster: Cluster, there: HostData[]): void {
  const full = there.find(({ free }) => free < fullBytes)
  if (full)
    throw refusal(cluster, { code: 'disk-full', host: full.host.name, is: leftIn(full.free) }, 'Nothing was changed: ')
}

/** The largest database of all: so much is sent to a new member. */
export const largest = (there: HostData[]): number => Math.max(0, ...there.map(({ database }) => database))
