// The checks of what the members hold: writes, equal data, alarms.
import { says } from '../etcd/etcdctl-output.ts'
import { majority, memberOf } from '../etcd/membership.ts'
import type { Facts } from './facts.ts'
import { type Finding, memberId } from './finding.ts'
import { remedies } from './remedies.ts'

export function writes(facts: Facts): Finding[] {
  const { cluster, hosts } = facts
  return hosts.flatMap(({ host, health, write, readBack }): Finding[] => {
    if (health?.ok && !write)
      return [
        {
          host: host.name,
          detail: 'there was no time left to write through it',
          remedy: remedies.wait(cluster),
          heals: true,
        },
      ]
    if (write && !write.ok) {
      const full = says.full(write.reason)
      return [
        {
          host: host.name,
          detail: `a write through it fails: ${write.reason}`,
          remedy: full ? remedies.space(cluster) : remedies.wait(cluster),
          heals: !full,
        },
      ]
    }
    if (readBack && !readBack.ok)
      return [
        {
          host: host.name,
          detail: `a linearizable read from it fails: ${readBack.reason}`,
          remedy: remedies.wait(cluster),
          heals: true,
        },
      ]
    if (readBack?.ok && readBack.value.missing.length > 0)
      return [
        {
          host: host.name,
          detail: `it does not return what was written through ${readBack.value.missing.join(', ')}`,
          remedy: remedies.replace(cluster, memberId(facts, host.name), host.name),
        },
      ]
    return []
  })
}

/** Members with the same compaction are comparable; the hash of the majority counts as right. */
export function consistency(facts: Facts): Finding[] {
  const { cluster, hosts } = facts
  const known = hosts.flatMap(({ host, hash }) => (hash?.ok ? [{ name: host.name, ...hash.value }] : []))
  const silent = hosts.flatMap(({ host, status, health, hash }): Finding[] => {
    if (hash?.ok || !status?.ok || status.value.isLearner || (!hash && !health?.ok)) return []
    const detail = !hash
      ? 'there was no time left to compare its data'
      : says.ahead(hash.reason)
        ? 'it has not caught up with the others'
        : `it gives no hash of its data: ${hash.reason}`
    return [{ host: host.name, detail, remedy: remedies.wait(cluster), heals: true }]
  })
  if (new Set(known.map((one) => one.compactRevision)).size > 1)
    return [
      ...silent,
      {
        detail: 'a compaction is under way: the members cannot be compared',
        remedy: remedies.wait(cluster),
        heals: true,
      },
    ]
  const most = majority(known.map((one) => one.hash))
  const differing = known.filter((one) => one.hash !== most)
  const others = most === undefined ? 'and no majority agrees, so none is known to be right' : `the others' is ${most}`
  return [
    ...silent,
    ...differing.map(
      (one): Finding => ({
        host: one.name,
        detail: `its data is not the same as that of the others (its hash is ${one.hash}, ${others})`,
        remedy: remedies.replace(cluster, memberId(facts, one.name), one.name),
      }),
    ),
  ]
}

export function alarms(facts: Facts): Finding[] {
  const { cluster, alarms } = facts
  if (!alarms) return []
  if (!alarms.ok)
    return [{ detail: `the alarms cannot be listed: ${alarms.reason}`, remedy: remedies.quorum(cluster), heals: true }]
  return alarms.value.map(({ memberId, alarm }) => {
    const owner = hostOfMember(facts, memberId)
    const where = owner ? { host: owner } : {}
    if (alarm === 'NOSPACE')
      return {
        ...where,
        detail: 'alarm NOSPACE: its database has reached its quota, and the whole cluster takes no writes',
        remedy: remedies.space(cluster),
      }
    return {
      ...where,
      detail: `alarm ${alarm}: its data is damaged`,
      remedy: remedies.replace(cluster, memberId, owner),
    }
  })
}

function hostOfMember({ cluster, members }: Facts, id: string): string | undefined {
  return members?.ok ? cluster.hosts.find((host) => memberOf(host, members.value)?.id === id)?.name : undefined
}
