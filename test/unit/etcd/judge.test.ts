// What answers show: who is missing, unknown, unstarted or a learner; who follows whom; what alarms and doors mean.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { EndpointStatus, Member } from '../../../tasks/etcd/etcdctl.ts'
import type { Finding } from '../../../tasks/etcd/findings.ts'
import { atTheDoor, hanging, ofAlarms, ofDowngrade, ofLeaders, ofMembers } from '../../../tasks/etcd/judge.ts'
import type { Probe } from '../../../tasks/etcd/probe.ts'
import { testCluster } from '../../support/cluster.ts'

const test = suite('judge')
const { hosts } = testCluster()
const [first] = hosts as [(typeof hosts)[0]]

const members = (changes: Record<number, Partial<Member>> = {}): Member[] =>
  hosts.map(({ name, peerURL, clientURL }, index) => ({
    id: `a${index}`,
    name,
    peerURLs: [peerURL],
    clientURLs: [clientURL],
    isLearner: false,
    ...changes[index],
  }))
const stranger: Member = {
  id: 'bad',
  name: 'stranger',
  peerURLs: ['https://127.9.9.9:2380'],
  clientURLs: [],
  isLearner: false,
}
const told = (listed: Member[]): string[] =>
  ofMembers(hosts, listed).map((finding) => `${finding.code} ${finding.host ?? ('id' in finding ? finding.id : '')}`)
const status = (leaderId: string, downgradingTo = ''): EndpointStatus => ({ leaderId, downgradingTo }) as EndpointStatus
const following = (...leaders: string[]): string[] =>
  ofLeaders(leaders.map((id, index) => ({ name: `m${index}`, status: status(id) }))).map(
    ({ code, host }) => `${code} ${host}`,
  )

test('the members that the hosts should have differ in nothing, in whatever order they are listed', () => {
  assert.equal(told(members()), [])
  assert.equal(told(members().reverse()), [])
})

test('a host without a member is missing', () => assert.equal(told(members().slice(1)), ['member-missing master01']))

test('a member of no host is a stranger', () => assert.equal(told([...members(), stranger]), ['stranger-member bad']))

test('a member that never started is known by its peer URL', () =>
  assert.equal(told(members({ 1: { name: '', clientURLs: [] } })), ['unstarted-member master02']))

test('a learner is named', () => assert.equal(told(members({ 2: { isLearner: true } })), ['learner-left master03']))

test('another name or URL is named', () => {
  assert.equal(told(members({ 0: { name: 'other' } })), ['other-name master01'])
  assert.equal(told(members({ 0: { peerURLs: ['https://127.9.9.9:2380'] } })), ['other-peer-url master01'])
  assert.equal(told(members({ 0: { clientURLs: ['http://127.77.0.101:2379'] } })), ['other-client-url master01'])
})

test('further client URLs are no difference', () => {
  assert.equal(told(members({ 0: { clientURLs: ['https://127.0.0.1:2379', first.clientURL] } })), [])
})

test('a replaced host is missing, and its new member a stranger', () =>
  assert.equal(told([...members().slice(0, 2), stranger]), ['member-missing master03', 'stranger-member bad']))

test('who knows no leader, or another than most, is named; of a tie both are', () => {
  assert.equal(following('a', 'a', 'a'), [])
  assert.equal(following(), [])
  assert.equal(following('a', '', 'a'), ['no-leader m1'])
  assert.equal(following('a', 'b', 'a'), ['other-leader m1'])
  assert.equal(following('a', 'b'), ['other-leader m0', 'other-leader m1'])
})

test("an alarm is its host's; that of a member of no host keeps its id", () => {
  const alarms = [
    { memberId: 'a1', alarm: 'NOSPACE' },
    { memberId: 'bad', alarm: 'CORRUPT' },
  ]
  assert.equal(ofAlarms(hosts, members(), alarms), [
    { code: 'no-space', host: 'master02' },
    { code: 'corrupt', host: undefined, id: 'bad' },
  ])
})

test('an enabled downgrade is one finding, whoever tells it', () => {
  assert.equal(ofDowngrade([status('a'), status('a')]), [])
  assert.equal(ofDowngrade([status('a'), status('a', '3.5.0')]), [{ code: 'downgrade-enabled', due: '3.5.0' }])
})

test('who hangs is named where with them there would be a quorum; else the quorum is lost', () => {
  const at = (host: string, code: 'member-frozen' | 'member-down'): Finding => ({ code, host, at: 'x', reason: 'x' })
  const [one, two, three] = ['master01', 'master02', 'master03']
  const named = (...doors: Finding[]): string | undefined => hanging(hosts, doors)?.host
  assert.is(named(), undefined)
  assert.is(named(at(two, 'member-frozen'), at(three, 'member-frozen')), two)
  assert.is(named(at(two, 'member-down'), at(three, 'member-frozen')), three)
  assert.is(named(at(two, 'member-down'), at(three, 'member-down')), undefined)
  // A survivor that was restarted hangs, too: it waits for the others.
  assert.is(named(at(one, 'member-down'), at(two, 'member-down'), at(three, 'member-frozen')), undefined)
})

test('a door is open, or says why not', () => {
  const code = (probe: Probe): string | undefined => atTheDoor(first, 2379, probe)[0]?.code
  assert.is(code({ kind: 'answered', status: 200, body: '' }), undefined)
  assert.is(code({ kind: 'closed', reason: '' }), 'member-down')
  assert.is(code({ kind: 'silent', reason: '' }), 'member-frozen')
  assert.is(code({ kind: 'plain', reason: '' }), 'plain-http')
  assert.is(code({ kind: 'refused', reason: '', alert: true }), 'tls-refused')
  assert.is(code({ kind: 'refused', reason: '' }), 'hangs-up')
})

test.run()
