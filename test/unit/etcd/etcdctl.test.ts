// How etcd's programs are started: with our variables, and none of a person's own.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { etcdctl } from '../../../tasks/etcd/etcdctl.ts'
import { restoreTool } from '../../../tasks/etcd/snapshot.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

const foreign = {
  ETCDCTL_API: '2',
  ETCDCTL_ENDPOINTS: 'http://127.0.0.1:1',
  ETCDCTL_USER: 'someone:secret',
  ETCDCTL_MAX_REQUEST_BYTES: '1',
  ETCDCTL_MAX_RECV_BYTES: '1',
}
test.before(() => void Object.assign(process.env, foreign))
test.after(() => {
  for (const name of Object.keys(foreign)) delete process.env[name]
})

/** Programs that print the ETCDCTL_* they got; asked for their version, they know it only where they got none. */
function clusterWithPrinters(): Cluster {
  const folder = temporaryFolder()
  const body =
    '#!/bin/sh\ncase "$*" in version|--version) env | grep -q ^ETCDCTL_ || echo Version: 3.6.14;; *) env ' +
    '| grep ^ETCDCTL_ || echo --bump-revision --mark-compacted;; esac\n'
  for (const name of ['etcd', 'etcdctl', 'etcdutl']) writeFileSync(join(folder, name), body, { mode: 0o755 })
  return testCluster({ etcd: { binaries: folder } })
}

test("etcdctl gets our variables only: a person's own are not even there, of which it would warn", async () => {
  const cluster = clusterWithPrinters()
  const { stdout } = await etcdctl(cluster, ['member', 'list'], {})
  const got = Object.fromEntries(
    stdout.split('\n').flatMap((line) => (line.startsWith('ETCDCTL_') ? [line.split('=') as [string, string]] : [])),
  )
  const ours = ['CACERT', 'CERT', 'COMMAND_TIMEOUT', 'DIAL_TIMEOUT', 'ENDPOINTS', 'KEY', 'WRITE_OUT']
  assert.equal(
    Object.keys(got).sort(),
    ours.map((name) => `ETCDCTL_${name}`),
  )
  assert.is(got.ETCDCTL_ENDPOINTS, cluster.hosts.map(({ clientURL }) => clientURL).join(','))
})

test('the tool for snapshots gets none at all', async () =>
  assert.ok((await restoreTool(clusterWithPrinters())).raises))

test.run()
