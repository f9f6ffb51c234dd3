// Where a consumer's files may not go.
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isClustersOwn, refuseUnfit } from '../../../tasks/consumers/places.ts'
import { failureOf } from '../../../tasks/core/errors.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

test('no consumer gets a folder in which --remove would take the cluster’s own certificates away', () => {
  const cluster = testCluster()
  const { certs, state } = cluster.paths
  mkdirSync(certs, { recursive: true })
  const link = join(temporaryFolder(), 'link')
  symlinkSync(certs, link)
  for (const folder of [certs, dirname(certs), join(certs, 'not/yet'), join(state, 'x'), link, join(link, 'not/yet')]) {
    assert.ok(isClustersOwn(cluster, { folder }), folder)
    assert.ok(isClustersOwn(cluster, { folder, host: 'master01' }), `a local host's ${folder}`)
  }
  for (const folder of ['/', '/etc/patroni', `${dirname(certs)}-of-patroni`, dirname(dirname(certs))])
    assert.not(isClustersOwn(cluster, { folder }), folder)
})

test('nor does it get that folder by its own name where certs/ is a link', () => {
  const cluster = testCluster()
  const certs = dirname(cluster.paths.certs)
  symlinkSync(temporaryFolder(), certs)
  assert.ok(isClustersOwn(cluster, { folder: join(certs, 'x') }))
})

test('on a host it is the folder of its certificates', () => {
  const cluster = testCluster({ provider: 'ssh' })
  const isOwn = (folder: string): boolean => isClustersOwn(cluster, { host: 'master01', folder })
  assert.ok(isOwn('/etc/ssl/etcd') && isOwn('/etc/ssl/etcd/') && isOwn('/etc/ssl/../ssl/etcd'))
  assert.not(isOwn('/etc/ssl/etcd-of-patroni') || isOwn('/etc/ssl') || isOwn(cluster.paths.certs))
})

test('a place where nothing can be made is refused before anything is, and trying leaves nothing there', async () => {
  const cluster = testCluster()
  const consumer = { name: 'patroni', kind: 'patroni', places: [] }
  const refused = await failureOf(() => refuseUnfit(cluster, consumer, { folder: '/proc/x' }))
  assert.match(refused?.message ?? '', 'Nothing can be made in /proc: ')
  assert.is(refused?.exitCode, 2)
  const above = temporaryFolder()
  await refuseUnfit(cluster, consumer, { folder: join(above, 'x') })
  assert.equal(readdirSync(above), [])
})

test.run()
