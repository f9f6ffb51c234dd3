// Which program reads and restores snapshots: etcdutl, but for 3.4, which has none.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { restoreTool } from '../../../tasks/etcd/snapshot.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** A cluster with programs that say to be of this version. */
function clusterWith(version: string, ...programs: string[]): { cluster: Cluster; folder: string } {
  const folder = temporaryFolder()
  const answers = `version|--version) echo Version: ${version};; *) echo Usage: snapshot save;;`
  const body = `#!/bin/sh\ncase "$*" in ${answers} esac\n`
  for (const name of ['etcd', 'etcdctl', ...programs]) writeFileSync(join(folder, name), body, { mode: 0o755 })
  return { cluster: testCluster({ etcd: { binaries: folder } }), folder }
}

test('etcdctl of 3.4 will do, and from then on etcdutl is taken', async () => {
  const old = clusterWith('3.4.23')
  assert.is((await restoreTool(old.cluster)).program, join(old.folder, 'etcdctl'))
  const newer = clusterWith('3.6.14', 'etcdutl')
  assert.is((await restoreTool(newer.cluster)).program, join(newer.folder, 'etcdutl'))
})

test.run()
