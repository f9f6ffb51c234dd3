// Whether hosts have room for what comes upon them.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fullBytes } from '../../../tasks/etcd/disk.ts'
import type { HostData } from '../../../tasks/observe/host-data.ts'
import { largest, refuseFull, tooSmall } from '../../../tasks/operations/room.ts'
import { testCluster } from '../../support/cluster.ts'

const MiB = 2 ** 20
const cluster = testCluster()

/** Hosts by what their disks have left, in MiB; each database takes that many. */
const there = (free: number[], database = 100): HostData[] =>
  cluster.hosts.map((host, index) => ({
    ...{ host, running: true, hasData: true, commit: 1, last: 1, member: '', removed: [], restored: '' },
    free: (free[index] ?? 0) * MiB,
    database: database * MiB,
    size: database * MiB,
  }))

test('a host needs room for what comes and for what etcd needs to begin; the first that lacks it is named', () => {
  const all = there([400, 356, 355])
  assert.is(
    tooSmall(all.slice(0, 2), () => largest(all)),
    undefined,
  )
  const found = tooSmall(all, () => largest(all))
  assert.equal(found, { code: 'disk-too-small', host: 'master03', is: '355.0 MiB', due: '356.0 MiB' })
})

test('the largest database of all is what comes', () => {
  const [one, ...others] = there([1, 1, 1], 5)
  assert.is(largest([{ ...(one as HostData), database: 7 * MiB }, ...others]), 7 * MiB)
  assert.is(largest([]), 0)
})

test('a full disk stops what restarts members', () => {
  assert.not.throws(() => refuseFull(cluster, there([64, 64, 64])))
  assert.throws(
    () => refuseFull(cluster, there([64, fullBytes / MiB - 1, 64])),
    /^Nothing was changed: master02's disk is full/,
  )
})

test.run()
