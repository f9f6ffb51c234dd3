// Membership: whose member is whose, how many make a quorum, and who leads.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { EndpointStatus, Member } from '../../../tasks/etcd/etcdctl.ts'
import { agreedLeader, majority, mayAdd, memberOf, quorum } from '../../../tasks/etcd/membership.ts'
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
const status = (leaderId: string): EndpointStatus => ({ leaderId }) as EndpointStatus

test('a member that never started is known by its peer URL', () => {
  const listed = members({ 1: { name: '', clientURLs: [] } })
  assert.is(memberOf(hosts[1] as (typeof hosts)[0], listed)?.id, 'a1')
})

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
