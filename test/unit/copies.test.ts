// Copies of a cluster's certificates hold private keys: none may outlive its run, however that ended.
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { withCopies } from '../../tasks/copies.ts'
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

test('what a killed run left is removed by the next one; what another run works on stays', async () => {
  const [left, used] = [join(tmpdir(), 'ha-etcd-copy-2147483646-abcdef'), join(tmpdir(), `ha-etcd-copy-${process.ppid}-abcdef`)]
  for (const folder of [left, used]) mkdirSync(folder, { recursive: true })
  await withCopies(testCluster(), async () => {})
  assert.equal([existsSync(left), existsSync(used)], [false, true])
  rmdirSync(used)
})

test.run()
