// From whose data a new cluster is formed, and when none is.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Finding, remedyOf, sentenceOf } from '../../../tasks/etcd/findings.ts'
import type { HostData } from '../../../tasks/observe/host-data.ts'
import { chooseSurvivor, ofMembers } from '../../../tasks/operations/choose-survivor.ts'
import { testCluster } from '../../support/cluster.ts'

const noRoom = { free: 0, database: 0, size: 0 }

/** Hosts by their committed raft index (and the last one in the log); 0: no data. */
function there(...indexes: (number | [number, number])[]): HostData[] {
  const { hosts } = testCluster({ masters: indexes.length })
  return indexes.map((index, at) => {
    const [commit, last] = Array.isArray(index) ? index : [index, index]
    return {
      host: hosts[at] as HostData['host'],
      running: false,
      hasData: commit > 0,
      commit,
      last,
      member: `${at}`,
      removed: [],
      restored: '',
      ...noRoom,
    }
  })
}

function chosen(data: HostData[], insist = false, from?: string): string {
  const choice = chooseSurvivor(data, insist, from)
  return 'survivor' in choice ? choice.survivor.host.name : sentenceOf(choice.finding)
}

test('the only one with data is taken, whether its etcd runs or not', () => {
  assert.is(chosen(there(0, 7, 0)), 'master02')
})

test('of several the one that knew most to be committed is taken, then the one with the longest log', () => {
  assert.is(chosen(there(0, 7, 9, 0, 0)), 'master03')
  assert.is(chosen(there([7, 30], [9, 9], 0, 0, 0)), 'master02')
  assert.is(chosen(there([9, 9], [9, 12], 0, 0, 0)), 'master02')
})

test('where a quorum still has its data, members are only to be started', () => {
  assert.is(
    chosen(there(7, 9, 0)),
    'master01 and master02 still have their data, which is a quorum: once they run, nothing is lost',
  )
  assert.match(chosen(there(7)), 'master01 still has its data, which is a quorum')
})

test("data of a member that was removed is nobody's, whoever tells of it", () => {
  for (const teller of [0, 2]) {
    const data = there(9, 0, 7).map((one, at) => (at === teller ? { ...one, removed: ['0'] } : one))
    assert.is(chosen(ofMembers(data)), 'master03')
    assert.match(chosen(ofMembers(data), true, 'master01'), /^master01 has no member's data/)
  }
})

test('a quorum that runs and does not work together is not told to be started', () => {
  const choice = chooseSurvivor(
    there(7, 9, 0).map((one) => ({ ...one, running: true })),
    false,
  )
  const finding = 'finding' in choice ? choice.finding : assert.unreachable()
  assert.match(sentenceOf(finding as Finding), 'etcd runs on master01 and master02, which have their data')
  assert.match(remedyOf(testCluster(), finding as Finding), /^See why: .*verify/)
})

test('a person who insists gets the one that goes furthest, or the one that is named', () => {
  assert.is(chosen(there(7, 9, 0), true), 'master02')
  assert.is(chosen(there(7, 9, 0), true, 'master01'), 'master01')
})

test('data that is not there is not taken, and where there is none a backup is what helps', () => {
  assert.is(chosen(there(7, 0, 0), true, 'master03'), "master03 has no member's data; master01 still has its data")
  assert.is(chosen(there(0, 0, 0), true), 'no host has any data left')
})

test.run()
