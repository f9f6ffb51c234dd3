// The checks of what the members hold: writes and equal data.
import { commonNames } from '../etcd/certificates.ts'
import { says } from '../etcd/etcdctl-output.ts'
import type { Finding } from '../etcd/findings.ts'
import { majority } from '../etcd/membership.ts'
import type { Facts, HostFacts } from './facts.ts'

export const writes = ({ hosts }: Facts): Finding[] => once(hosts.flatMap(ofWrites))

/** What keeps us out of one member keeps us out of all. */
function once(found: Finding[]): Finding[] {
  const out = found.find(({ code }) => code === 'auth-enabled')
  return out ? [out] : found
}

const ofCall = (host: string, what: string, reason: string): Finding =>
  says.notAllowed(reason)
    ? { code: 'auth-enabled', name: commonNames.client }
    : { code: 'call-fails', host, what, reason }

function ofWrites({ host: { name: host }, health, write, readBack }: HostFacts): Finding[] {
  if (health?.ok && !write) return [{ code: 'no-time', host, what: 'a write' }]
  if (write && !write.ok)
    return says.full(write.reason)
      ? [{ code: 'takes-no-writes', host, reason: write.reason }]
      : [ofCall(host, 'answer to a write', write.reason)]
  if (readBack && !readBack.ok) return [ofCall(host, 'answer to a linearizable read', readBack.reason)]
  if (readBack?.ok && readBack.value.missing.length > 0)
    return [{ code: 'writes-lost', host, what: readBack.value.missing.join(', ') }]
  return []
}

/** Members with the same compaction are comparable; the hash of the majority counts as right. */
export function consistency({ hosts }: Facts): Finding[] {
  const known = hosts.flatMap(({ host, hash }) => (hash?.ok ? [{ name: host.name, ...hash.value }] : []))
  const silent = once(hosts.flatMap(withoutHash))
  if (new Set(known.map((one) => one.compactRevision)).size > 1) return [...silent, { code: 'compacting' }]
  const most = majority(known.map((one) => one.hash))
  const differing = known.filter((one) => one.hash !== most)
  const names = differing.map(({ name }) => name)
  return [
    ...silent,
    ...differing.map(
      ({ name, hash }): Finding => ({
        code: 'other-data',
        host: name,
        is: String(hash),
        most: most?.toString(),
        hosts: names,
      }),
    ),
  ]
}

function withoutHash({ host: { name: host }, status, health, hash }: HostFacts): Finding[] {
  if (hash?.ok || !status?.ok || status.value.isLearner || (!hash && !health?.ok)) return []
  if (!hash) return [{ code: 'no-time', host, what: 'the hash of its data' }]
  if (says.ahead(hash.reason)) return [{ code: 'lags-behind', host }]
  return [ofCall(host, 'hash of its data', hash.reason)]
}
