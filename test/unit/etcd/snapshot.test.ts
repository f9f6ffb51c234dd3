// Which program reads and restores snapshots: from etcd 3.6 on only etcdutl, whose lack is named before anything else.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { OperationError } from '../../../tasks/core/errors.ts'
import { readSnapshot, requireSnapshotTool, restoreSnapshot, restoreTool } from '../../../tasks/etcd/snapshot.ts'
import { makeBackup } from '../../../tasks/operations/make-backup.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** A cluster with programs that say to be of this version; etcdctl prints its usage, and all is well, as that of 3.6 does. */
function clusterWith(version: string, ...programs: string[]): { cluster: Cluster; folder: string } {
  const folder = temporaryFolder()
  const body = `#!/bin/sh\ncase "$*" in version|--version) echo Version: ${version};; *) echo Usage: snapshot save;; esac\n`
  for (const name of ['etcd', 'etcdctl', ...programs]) writeFileSync(join(folder, name), body, { mode: 0o755 })
  return { cluster: testCluster({ etcd: { binaries: folder } }), folder }
}

const member = {
  name: 'a',
  peerURL: 'https://127.0.0.1:1',
  initialCluster: 'a=https://127.0.0.1:1',
  token: 't',
  dataDirectory: '/nonexistent/data',
}

test('an etcdctl of 3.6 without etcdutl beside it is refused by all that needs one, whatever the file is', async () => {
  const { cluster, folder } = clusterWith('3.6.14')
  for (const attempt of [
    () => requireSnapshotTool(cluster),
    () => readSnapshot(cluster, '/nonexistent/snapshot.db'),
    () => restoreSnapshot(cluster, '/nonexistent/snapshot.db', member),
    () => restoreTool(cluster),
    () => makeBackup(cluster, () => assert.unreachable('it began')),
  ]) {
    const failure = (await attempt().catch((error: unknown) => error)) as OperationError
    assert.instance(failure, OperationError)
    assert.is(
      failure.message,
      `${join(folder, 'etcdctl')} cannot read or restore snapshots: from etcd 3.6 on etcdutl does.`,
    )
    assert.match(failure.more.hint ?? '', 'Put etcdutl of the same version beside it')
  }
  assert.not.ok(existsSync(cluster.paths.backups))
})

test('before 3.6 etcdctl will do, and from then on etcdutl is taken', async () => {
  const old = clusterWith('3.5.33')
  assert.is((await restoreTool(old.cluster)).program, join(old.folder, 'etcdctl'))
  const newer = clusterWith('3.6.14', 'etcdutl')
  assert.is((await restoreTool(newer.cluster)).program, join(newer.folder, 'etcdutl'))
})

test.run()
