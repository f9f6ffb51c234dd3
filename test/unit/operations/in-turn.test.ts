// The order in which members have their turn: what is ill first, the leader last.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EndpointStatus } from '../../../tasks/etcd/etcdctl.ts'
import { inOrderOfRisk } from '../../../tasks/operations/in-turn.ts'
import { testCluster } from '../../support/cluster.ts'

const { hosts } = testCluster({ masters: 5 })
const order = (leader: string, ill: string[]): string[] =>
  inOrderOfRisk(
    hosts.map((host) => ({
      host,
      healthy: !ill.includes(host.name),
      status: { memberId: host.name, leaderId: leader } as EndpointStatus,
    })),
  ).map(({ host }) => host.name)

test('followers go by name, the leader last', () => {
  assert.equal(order('master02', []), ['master01', 'master03', 'master04', 'master05', 'master02'])
})

test('an unhealthy member goes first, the leader too', () => {
  assert.equal(order('master01', ['master04']), ['master04', 'master02', 'master03', 'master05', 'master01'])
  assert.equal(order('master03', ['master03']), ['master03', 'master01', 'master02', 'master04', 'master05'])
})

test.run()
