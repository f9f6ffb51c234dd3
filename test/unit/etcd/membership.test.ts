// Membership: who is missing, unknown, unstarted or a learner, how many make a quorum, and who leads.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { EndpointStatus, Member } from '../../../tasks/etcd/etcdctl.ts'
import { agreedLeader, compareMembers, majority, mayAdd, memberOf, quorum } from '../../../tasks/etcd/membership.ts'
import { testCluster } from '../../support/cluster.ts'

const test = suite('membership')
const { hosts } = testCluster()

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
const kinds = (listed: Member[]): string[] =>
  compareMembers(hosts, listed).map(({ kind, host, member }) => `${kind} ${host?.name ?? member?.id}`)
const status = (leaderId: string): EndpointStatus => ({ leaderId }) as EndpointStatus

test('the members that the hosts should have differ in nothing, in whatever order they are listed', () => {
  assert.equal(kinds(members()), [])
  assert.equal(kinds(members().reverse()), [])
})

test('a host without a member is missing', () => assert.equal(kinds(members().slice(1)), ['missing master01']))

test('a member of no host is extra', () => assert.equal(kinds([...members(), stranger]), ['extra bad']))

test('a member that never started is known by its peer URL', () => {
  const listed = members({ 1: { name: '', clientURLs: [] } })
  assert.equal(kinds(listed), ['unstarted master02'])
  assert.is(memberOf(hosts[1] as (typeof hosts)[0], listed)?.id, 'a1')
})

test('a learner is named', () => assert.equal(kinds(members({ 2: { isLearner: true } })), ['learner master03']))

test('another name or URL is named', () => {
  assert.equal(kinds(members({ 0: { name: 'other' } })), ['name master01'])
  assert.equal(kinds(members({ 0: { peerURLs: ['https://127.9.9.9:2380'] } })), ['peerURLs master01'])
  assert.equal(kinds(members({ 0: { clientURLs: ['http://127.77.0.101:2379'] } })), ['clientURLs master01'])
})

test('further client URLs are no difference', () => {
  assert.equal(kinds(members({ 0: { clientURLs: ['https://127.0.0.1:2379', hosts[0]?.clientURL ?? ''] } })), [])
})

test('a replaced host is both missing and extra', () =>
  assert.equal(kinds([...members().slice(0, 2), stranger]), ['missing master03', 'extra bad']))

test('etcd adds a member beside as many voters as will be a quorum with it; before 3.5.30 beside all', () => {
  const least = (voters: number, strict: boolean): number | undefined =>
    [1, 2, 3, 4, 5, 6, 7].find((well) => mayAdd(voters, well, strict))
  assert.equal(
    [1, 2, 3, 5, 7].map((voters) => [least(voters, false), least(voters, true)]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 5],
      [5, 7],
    ],
  )
})

test('a quorum is more than half', () => assert.equal([1, 2, 3, 4, 5, 7, 9].map(quorum), [1, 2, 2, 3, 3, 4, 5]))

test('a leader counts only when all name the same one', () => {
  assert.is(agreedLeader([status('a1'), status('a1')]), 'a1')
  assert.is(agreedLeader([status('a1'), status('a2')]), undefined)
  assert.is(agreedLeader([status('a1'), status('')]), undefined)
  assert.is(agreedLeader([status(''), status('')]), undefined)
  assert.is(agreedLeader([]), undefined)
})

test('a majority is more than half', () => {
  assert.is(majority([1, 2, 1]), 1)
  assert.is(majority([1, 2]), undefined)
  assert.is(majority([]), undefined)
})

test.run()
