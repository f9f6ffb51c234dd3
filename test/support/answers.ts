// What the members of a cluster that is well answer, and how to change it.
import type { Host } from '../../tasks/core/cluster.ts'
import type { Answers, HostAnswers } from '../../tasks/etcd/ask.ts'
import type { EndpointStatus, Member } from '../../tasks/etcd/etcdctl.ts'
import type { Finding } from '../../tasks/etcd/findings.ts'

export const ok = <T>(value: T) => ({ endpoint: '', ok: true as const, value })
export const no = (reason: string) => ({ endpoint: '', ok: false as const, reason })

export const memberOn = ({ name, peerURL, clientURL }: Host, index: number): Member => ({
  id: `a${index}`,
  name,
  peerURLs: [peerURL],
  clientURLs: [clientURL],
  isLearner: false,
})

export const statusWith = (change: Partial<EndpointStatus> = {}): HostAnswers['status'] =>
  ok({
    memberId: 'a0',
    clusterId: 'c',
    leaderId: 'a0',
    isLearner: false,
    version: '3.6.14',
    raftIndex: 1,
    downgradingTo: '',
    ...change,
  } as EndpointStatus)

/** A host behind that door, of which nothing more is known. */
export const behind = (door: Finding): Partial<HostAnswers> => ({ door, status: undefined, health: undefined })

export interface Changes {
  hosts?: Record<number, Partial<HostAnswers>>
  members?: Record<number, Partial<Member>>
  listed?: Answers['members']
  alarms?: Answers['alarms']
}

/** All is well, but for these changes, by index. */
export const answersOf = (
  hosts: Host[],
  { hosts: ofHosts = {}, members = {}, listed, alarms }: Changes = {},
): Answers => ({
  missing: undefined,
  trusted: [],
  hosts: hosts.map((host, index) => ({
    host,
    probe: { kind: 'answered', status: 200, body: '' },
    door: undefined,
    runs: undefined,
    status: statusWith({ memberId: `a${index}` }),
    health: ok({ tookMs: 1 }),
    ...ofHosts[index],
  })),
  members: listed ?? ok(hosts.map((host, index) => ({ ...memberOn(host, index), ...members[index] }))),
  alarms: alarms ?? ok([]),
})
