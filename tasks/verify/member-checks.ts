// The checks of who is in the cluster and how each one does.
import type { EndpointStatus } from '../etcd/etcdctl.ts'
import { says } from '../etcd/etcdctl-output.ts'
import { type Finding, inRanking } from '../etcd/findings.ts'
import { ofDowngrade, ofLeaders, ofMembers } from '../etcd/judge.ts'
import { majority, quorum } from '../etcd/membership.ts'
import { alarms, hang } from './data-checks.ts'
import type { Facts, HostFacts } from './facts.ts'
import { answered } from './tls-checks.ts'

export function health(facts: Facts): Finding[] {
  const corrupt = alarms(facts).find(({ code }) => code === 'corrupt')
  const found = facts.hosts.flatMap((one) => (one.health?.ok ? [] : [outside(facts, one) ?? inside(facts, one)]))
  // with damaged data somewhere nobody commits
  const isFor = (one: Finding): boolean => 'reason' in one && says.corrupt(one.reason ?? '')
  return corrupt && found.some(isFor) ? [...found.filter((one) => !isFor(one)), corrupt] : found
}

/** Why a member cannot be asked: the port, TLS; or because of us. */
function outside({ trusted }: Facts, { host: { name: host }, control, door, flaws, refusals }: HostFacts) {
  if (!trusted)
    return {
      code: 'no-authority',
      host,
      reason: 'the certificate of our authority is missing or damaged here',
    } as const
  const plain: Finding[] = answered(refusals.get('refuses-plain-http')) ? [{ code: 'plain-http', host }] : []
  return inRanking([...door, ...plain, ...(control.kind === 'silent' ? flaws : [])])[0]
}

/** Why a member that answers does not commit. */
function inside({ hosts }: Facts, { host: { name: host }, health, status }: HostFacts): Finding {
  const reason = health?.ok === false ? health.reason : 'it was not asked'
  if (status?.ok && status.value.isLearner) return { code: 'learner-left', host, id: status.value.memberId }
  if (says.full(reason)) return { code: 'takes-no-writes', host, reason }
  if (hosts.some((other) => other.health?.ok)) return { code: 'commits-nothing', host, reason }
  if (hang(hosts)) return { code: 'commits-nothing', host, reason }
  const answer = hosts.filter(({ door }) => door.length === 0).length
  const needed = `${quorum(hosts.length)} of ${hosts.length} members must work together`
  return { code: 'no-quorum', host, reason: `${needed}, ${answer} ${answer === 1 ? 'answers' : 'answer'}; ${reason}` }
}

export function members({ cluster, hosts, members }: Facts): Finding[] {
  if (!members) return []
  if (!members.ok && hang(hosts)) return []
  if (!members.ok) return [{ code: 'no-quorum', reason: `the members cannot be listed: ${members.reason}` }]
  return [...ofMembers(cluster.hosts, members.value), ...ofOtherClusters(hosts)]
}

/** Hosts whose member belongs to another cluster: a data directory that was made anew beside the real cluster. */
function ofOtherClusters(hosts: HostFacts[]): Finding[] {
  const known = statuses(hosts)
  const most = majority(known.map(({ status }) => status.clusterId))
  return known
    .filter(({ status }) => status.clusterId !== most)
    .map(({ name, status }) => ({ code: 'other-cluster', host: name, is: status.clusterId, most }))
}

export const statuses = (hosts: HostFacts[]): { name: string; status: EndpointStatus }[] =>
  hosts.flatMap(({ host, status }) => (status?.ok ? [{ name: host.name, status: status.value }] : []))

export const leader = ({ hosts }: Facts): Finding[] => ofLeaders(statuses(hosts))

export function version({ hosts }: Facts): Finding[] {
  const known = statuses(hosts)
  const most = majority(known.map(({ status }) => status.version))
  const differing = known
    .filter(({ status }) => status.version !== most)
    .map(({ name, status }): Finding => ({ code: 'mixed-versions', host: name, is: status.version, most }))
  return differing.length > 0 ? differing : ofDowngrade(known.map(({ status }) => status))
}
