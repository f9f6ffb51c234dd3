// Copies of a cluster's certificates hold private keys: none may outlive its run, however that ended.
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { withCopies } from '../../tasks/copies.ts'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { OperationError } from '../../tasks/core/errors.ts'
import { down } from '../../tasks/down.ts'
import { authorityKeys } from '../../tasks/etcd/certificates.ts'
import { testCluster } from '../support/cluster.ts'

const test = suite('copies')

test('work sees a copy of the certificates, which is gone afterwards', async () => {
  const cluster = testCluster()
  mkdirSync(cluster.paths.certs, { recursive: true })
  writeFileSync(join(cluster.paths.certs, 'ca.key'), 'secret')
  const seen = await withCopies(cluster, async (copy) => {
    assert.is.not(copy.paths.certs, cluster.paths.certs)
    assert.ok(existsSync(join(copy.paths.certs, 'ca.key')))
    return copy.paths.certs
  })
  assert.not.ok(existsSync(seen))
})

test('the copy lies with the cluster, for this user alone; what is not needed is left out', async () => {
  const cluster = testCluster()
  for (const folder of [cluster.paths.state, cluster.paths.certs]) mkdirSync(folder, { recursive: true })
  for (const name of ['ca.key', 'ca.crt']) writeFileSync(join(cluster.paths.certs, name), 'x')
  const look = async ({ paths }: Cluster): Promise<void> => {
    assert.is(dirname(dirname(paths.certs)), cluster.paths.state)
    assert.is(statSync(dirname(paths.certs)).mode & 0o777, 0o700)
    assert.equal(readdirSync(paths.certs), ['ca.crt'])
  }
  await withCopies(cluster, look, authorityKeys(cluster))
  assert.equal(readdirSync(cluster.paths.state), [])
})

test('a failure names what was copied, not the copy', async () => {
  const cluster = testCluster()
  const missing = (folder: string): OperationError =>
    new OperationError(`${folder}/ca.key is missing.`, { hint: `Put ${folder}/ca.key back.` })
  const failure = await withCopies(cluster, ({ paths }) => Promise.reject(missing(paths.certs))).catch((error) => error)
  const { message, more } = missing(cluster.paths.certs)
  assert.equal([failure.message, failure.more], [message, more])
})

test('a cluster of which nothing is there yet gets no folder', async () => {
  const cluster = testCluster()
  await withCopies(cluster, async () => assert.not(existsSync(cluster.paths.state)))
  assert.not(existsSync(cluster.paths.state))
})

test('down removes what a killed run left, also where there is no cluster any more', async () => {
  const cluster = testCluster()
  const left = [tmpdir(), cluster.paths.state].map((folder) => join(folder, 'ha-etcd-copy-2147483646-fedcba'))
  for (const folder of left) mkdirSync(folder, { recursive: true })
  await down(cluster, false).catch(() => {}) // where this checkout has clusters, it names them
  assert.equal(left.map(existsSync), [false, false])
})

test("Ansible's folders for our modules are removed where their process is gone, and nobody else's", async () => {
  const folders = ['left', 'used', 'new', 'written'].map((name) => join(tmpdir(), `ansible_etcd_host_payload_${name}`))
  for (const folder of folders) mkdirSync(folder, { recursive: true })
  for (const [index, pid] of [2147483646, process.ppid].entries())
    writeFileSync(join(folders[index] ?? '', 'pid'), String(pid))
  writeFileSync(join(folders[3] ?? '', 'pid'), '') // it is opened, and then written
  await withCopies(testCluster(), async () => {})
  assert.equal(folders.map(existsSync), [false, true, true, true])
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

test('what a killed run left is removed by the next one; what another run works on stays', async () => {
  const [left, used] = [
    join(tmpdir(), 'ha-etcd-copy-2147483646-abcdef'),
    join(tmpdir(), `ha-etcd-copy-${process.ppid}-abcdef`),
  ]
  for (const folder of [left, used]) mkdirSync(folder, { recursive: true })
  await withCopies(testCluster(), async () => {})
  assert.equal([existsSync(left), existsSync(used)], [false, true])
  rmdirSync(used)
})

test.run()
