// What stands against adopting a cluster, by how its members are; and how far an adoption has come on a host.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Member } from '../../../tasks/etcd/etcdctl.ts'
import type { Finding } from '../../../tasks/etcd/findings.ts'
import type { ForeignHost, RunningEtcd } from '../../../tasks/etcd/foreign.ts'
import { isMadeByUs, obstacles, readdressed, stageIn, strangers } from '../../../tasks/operations/adopt-look.ts'
import { moveIn } from '../../../tasks/operations/bring-back.ts'
import type { Answer, Observation } from '../../../tasks/plans/types.ts'
import { testCluster } from '../../support/cluster.ts'

const cluster = testCluster()
const [first, second] = cluster.hosts
if (!first || !second) throw new Error('no hosts')

const answer = (member: string): Answer => ({
  member,
  learner: false,
  follows: true,
  commits: true,
  index: 1,
  version: '3.5.33',
})
const seen = (findings: Finding[], members: Record<string, string>): Observation =>
  ({
    findings,
    hosts: Object.fromEntries(
      Object.entries(members).map(([host, id]) => [host, { ready: false, empty: false, answer: answer(id) }]),
    ),
  }) as unknown as Observation
const member = (id: string, peerURL: string, name = `node-${id}`): Member =>
  ({ id, name, peerURLs: [peerURL], clientURLs: [], isLearner: false }) as Member

test('members that the role has set up are ours, also where only some run', () => {
  const running = (...versions: string[]): ForeignHost[] =>
    versions.map((version) => ({ settings: { ETCD_PEER_CERT_ALLOWED_CN: 'etcd-peer' }, etcd: { version } })) as never
  const theirs = [{ settings: {}, etcd: { version: '3.5.33' } }] as unknown as ForeignHost[]
  assert.equal([isMadeByUs([]), isMadeByUs(running('3.6.14')), isMadeByUs(theirs)], [false, true, false])
  assert.not(isMadeByUs([...running('3.6.14'), ...theirs]))
})

test('where members run two versions, a move was cut short: up, unless a downgrade may be enabled', () => {
  assert.equal(moveIn(['3.6.14', '3.6.14'], true), { version: '3.6.14', upgradingTo: undefined })
  assert.equal(moveIn(['3.10.1', '3.9.14'], true), { version: '3.9.14', upgradingTo: '3.10.1' })
  assert.equal(moveIn(['3.10.1', '3.9.14'], false), { version: '3.10.1', upgradingTo: '3.9.14' })
})

test('names and URLs of its own stand against nothing, and all else does', () => {
  const down: Finding = { code: 'member-down', host: 'master02', at: 'there', reason: 'refused' }
  const own: Finding[] = [
    { code: 'other-name', host: 'master01', is: 'node-0' },
    { code: 'other-client-url', host: 'master01', is: 'https://a:2379', due: 'https://b:2379' },
  ]
  const ill: Finding[] = [
    down,
    { code: 'no-space', host: 'master01' },
    { code: 'corrupt', id: 'a' },
    { code: 'learner-left', host: 'master01', id: 'a' },
    { code: 'auth-enabled', name: 'etcd-client' },
    { code: 'no-quorum', reason: 'one answers' },
    { code: 'other-cluster', host: 'master02', is: 'b' },
  ]
  assert.equal(obstacles(seen(own, {}), []), [])
  assert.equal(obstacles(seen([...own, ...ill], {}), []), ill)
  assert.equal(obstacles(seen([down], {}), [second]), [], 'its old service was ended by an earlier run')
})

test('a member that none of the hosts runs is named, but one whose service was ended', () => {
  const members = [member('a', first.peerURL), member('b', second.peerURL), member('c', 'https://10.9.9.9:2380')]
  assert.equal(strangers(seen([], { master01: 'a', master02: 'b' }), members, []), [
    'member c (node-c, https://10.9.9.9:2380) is on none of the hosts',
  ])
  assert.equal(strangers(seen([], { master01: 'a' }), members.slice(0, 2), [second]), [])
})

test('a member that is known by a name gets the peer URL of its host', () => {
  const members = [member('a', first.peerURL), member('b', 'https://etcd-b.example:2380')]
  assert.equal(readdressed(cluster, seen([], { master01: 'a', master02: 'b' }), members), { master02: 'b' })
})

test('what was noted on a host counts while that very adoption is under way', () => {
  const etcd = (unit: string): RunningEtcd[] => [{ unit } as RunningEtcd]
  const begun = testCluster({ begun: { verb: 'adopt' }, life: 'this' })
  const kept = { id: 'this', unit: 'old', stopping: true, taken: true }
  assert.is(stageIn(begun, { etcds: etcd('old'), kept: {} }), 'not')
  assert.is(stageIn(begun, { etcds: etcd('old'), kept: { ...kept, stopping: false } }), 'not')
  assert.is(stageIn(begun, { etcds: [], kept: { ...kept, taken: false } }), 'half')
  assert.is(stageIn(begun, { etcds: [], kept }), 'half', 'ours does not run')
  assert.is(stageIn(begun, { etcds: etcd('etcd-member'), kept }), 'taken')
  assert.is(stageIn(begun, { etcds: etcd('etcd-member'), kept: { ...kept, id: 'earlier' } }), 'not')
  assert.is(stageIn(testCluster(), { etcds: etcd('etcd-member'), kept }), 'not')
})

test.run()
