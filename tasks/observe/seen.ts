// What members' answers mean for a plan, and for whoever must be well before one begins. Pure.
import type { Host } from '../core/cluster.ts'
import { compareVersions } from '../core/programs.ts'
import type { Answers, HostAnswers } from '../etcd/ask.ts'
import type { Member } from '../etcd/etcdctl.ts'
import type { Code } from '../etcd/findings.ts'
import { isWell, judge, statusesOf } from '../etcd/judge.ts'
import { memberOf, quorum } from '../etcd/membership.ts'
import type { Answer, MemberSeen, Observation } from '../plans/types.ts'

/** What is known by the members' word alone. `recorded`: whom to judge, by name. */
export type Seen = Pick<Observation, 'members' | 'leader' | 'strict' | 'downgradingTo' | 'findings'> & {
  answers: Record<string, Answer | undefined>
}

export function seenIn(answers: Answers, recorded: string[]): Seen {
  const { hosts, members } = answers
  const known = statusesOf(hosts)
  const able = hosts.find((one) => isWell(one))?.status
  const leader = able?.ok ? known.find(({ status }) => status.memberId === able.value.leaderId) : undefined
  const judged = judge({ ...answers, hosts: hosts.filter(({ host }) => recorded.includes(host.name)) })
  const all = hosts.map(({ host }) => host)
  const listed = able && members?.ok ? members.value : undefined
  return {
    answers: Object.fromEntries(hosts.map((one) => [one.host.name, answerOf(one)])),
    members: listed?.map((member) => memberSeen(member, all, listed)),
    leader: leader?.name,
    strict: known.some(({ status }) => compareVersions(status.version, '3.5.30') < 0),
    downgradingTo: known.find(({ status }) => status.downgradingTo)?.status.downgradingTo,
    findings: Object.values(judged).flat(),
  }
}

const answerOf = (one: HostAnswers): Answer | undefined =>
  one.status?.ok
    ? {
        member: one.status.value.memberId,
        learner: one.status.value.isLearner,
        follows: one.status.value.leaderId !== '',
        commits: isWell(one),
        index: one.status.value.raftIndex,
        version: one.status.value.version,
        works: one.runs?.cluster,
        written: one.runs?.storage,
      }
    : undefined

const memberSeen = (member: Member, hosts: Host[], members: Member[]): MemberSeen => ({
  id: member.id,
  host: hosts.find((host) => memberOf(host, members) === member)?.name,
  learner: member.isLearner,
  started: member.name !== '',
})

/** What members show who are slow for a moment, or about to elect a leader; and who may just be starting. */
const passing: Code[] = ['commits-nothing', 'call-fails', 'no-quorum', 'no-leader', 'other-leader']
const starting: Code[] = ['member-frozen', 'hangs-up']

/** Whether to look again would show no more: what passes is waited for as long as enough members answer. */
export function isSettled({ findings, members, leader, hosts, recorded }: Observation, round: number): boolean {
  const found = (codes: Code[]): boolean => findings.some(({ code }) => codes.includes(code))
  if (found(starting) && round === 1) return false
  const answering = recorded.filter((host) => hosts[host]?.answer).length
  if (answering < quorum(recorded.length)) return true
  return !found(passing) && (members === undefined || leader !== undefined)
}
