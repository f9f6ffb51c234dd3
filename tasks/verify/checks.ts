// THE table of checks: what must hold of a cluster.
import { bytes } from '../core/terminal.ts'
import type { Finding } from '../etcd/findings.ts'
import { statusesOf } from '../etcd/judge.ts'
import { agreedLeader } from '../etcd/membership.ts'
import { consistency, writes } from './data-checks.ts'
import type { Facts, HostFacts } from './facts.ts'
import { refusals } from './refusals.ts'
import { health, letIn, notTried, served } from './tls-checks.ts'

/** `title`: what was found when it holds; `skip`, asked when there is no finding: why it could not be looked at. */
export interface Check {
  name: string
  title: (facts: Facts) => string
  check: (facts: Facts) => Finding[]
  skip?: (facts: Facts) => string | undefined
}

const all = ({ hosts }: Facts, one: string, many: string): string =>
  hosts.length === 1 ? `The member ${one}` : `All ${hosts.length} members ${many}`

/** The hosts of which a check knows nothing, as its reason to be skipped; undefined when it knows all. */
function without({ hosts }: Facts, knows: (host: HostFacts) => unknown): string | undefined {
  const unknown = hosts.filter((host) => !knows(host)).map(({ host }) => host.name)
  return unknown.length > 0 ? `${unknown.join(', ')} could not be asked` : undefined
}
const statusOfAll = (facts: Facts): string | undefined => without(facts, ({ status }) => status?.ok)

const answerOr = (answer: { ok: boolean } | undefined): string | undefined =>
  answer?.ok ? undefined : 'no member could be asked'

function healthTitle(facts: Facts): string {
  const slowest = Math.max(...facts.hosts.map(({ health }) => (health?.ok ? health.value.tookMs : 0)))
  return `${all(facts, 'commits', 'commit')} proposals (slowest ${Math.max(1, Math.round(slowest))} ms)`
}

function leaderTitle(facts: Facts): string {
  const id = agreedLeader(statusesOf(facts.hosts).map(({ status }) => status))
  const name = facts.members?.ok ? facts.members.value.find((member) => member.id === id)?.name : undefined
  return `${all(facts, 'knows', 'know')} one leader, ${name ?? id}`
}

export const checks: Check[] = [
  {
    name: 'health',
    title: healthTitle,
    check: health,
    skip: (facts) => without(facts, ({ health }) => health?.ok),
  },
  {
    name: 'members',
    title: (facts) => `${all(facts, 'is', 'are')} as expected, started, and no learner`,
    check: ({ judged }) => judged.members,
    skip: ({ members }) => answerOr(members),
  },
  { name: 'leader', title: leaderTitle, check: ({ judged }) => judged.leader, skip: statusOfAll },
  {
    name: 'version',
    title: (facts) => `${all(facts, 'runs', 'run')} etcd ${statusesOf(facts.hosts)[0]?.status.version}`,
    check: ({ judged }) => judged.version,
    skip: statusOfAll,
  },
  {
    name: 'writes',
    title: ({ hosts }) =>
      hosts.length === 1 ? 'A write is read back' : 'A write through each member is read back from every other',
    check: writes,
    skip: (facts) => without(facts, ({ write, readBack }) => write?.ok && readBack?.ok),
  },
  {
    name: 'consistency',
    title: (facts) => `${all(facts, 'holds', 'hold')} the same data`,
    check: consistency,
    skip: (facts) => without(facts, ({ hash }) => hash?.ok),
  },
  {
    name: 'alarms',
    title: () => 'No alarm is raised',
    check: ({ judged }) => judged.alarms,
    skip: ({ alarms }) => answerOr(alarms),
  },
  {
    name: 'disks',
    title: ({ hosts }) => `No disk is full (least left: ${bytes(Math.min(...hosts.map(({ free = 0 }) => free)))})`,
    check: ({ judged }) => judged.disks,
    skip: (facts) => without(facts, ({ free }) => free !== undefined),
  },
  {
    name: 'certificates',
    title: () => 'The certificates here are valid, match their keys, and are not near their end',
    check: ({ certificates }) => certificates,
  },
  {
    name: 'served-certificates',
    title: () => 'The certificates that members serve are the ones here, valid, and not near their end',
    check: served,
    skip: (facts) => without(facts, ({ probe, peer }) => probe.served && peer.served),
  },
  ...refusals.map(
    (refusal): Check => ({
      name: refusal.name,
      title: (facts) => `${all(facts, 'refuses', 'refuse')} ${refusal.what}`,
      check: (facts) => letIn(facts, refusal),
      skip: (facts) => notTried(facts, refusal),
    }),
  ),
]
