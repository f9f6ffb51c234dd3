// What is said of the etcd that the hosts are to run, before they get it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from '../../../tasks/core/run.ts'
import { leaves } from '../../../tasks/etcd/certificates.ts'
import { prepare } from '../../../tasks/etcd-role/index.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** The warnings where the hosts are to run an etcd that says to be of this version, prepared twice as `up` may. */
async function warningsFor(version: string): Promise<string[]> {
  const binaries = temporaryFolder()
  for (const name of ['etcd', 'etcdctl', 'etcdutl'])
    writeFileSync(join(binaries, name), `#!/bin/sh\necho ${name} Version: ${version}\n`, { mode: 0o755 })
  const cluster = testCluster({ etcd: { binaries } })
  for (const host of cluster.hosts) host.connection = { ansible_connection: 'local' }
  for (const file of leaves(cluster).flatMap(({ certificate, key }) => [certificate, key])) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, '')
  }
  run().warnings.length = 0
  for (const _ of [1, 2]) await prepare(cluster)
  return [...run().warnings]
}

test('a release with a known fault is warned of once, and a later one is not', async () => {
  const [first, ...more] = await warningsFor('3.6.4')
  assert.match(first ?? '', /^Version 3\.6\.4 of etcd can corrupt its data .*Take 3\.6\.14 or a later 3\.6\.$/)
  assert.match(more.join(), /^[^,]*GHSA-6vch-q96h-7gc3[^,]*$/)
  assert.match((await warningsFor('3.5.2')).join(), 'Take 3.5.33 or a later 3.5')
  for (const version of ['3.5.33', '3.6.14', '3.7.1']) assert.equal(await warningsFor(version), [], version)
})

test.run()
