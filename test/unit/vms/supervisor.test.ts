// The folder of supervisord's socket lies where everybody may make one first.
import { existsSync, mkdirSync, rmdirSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startSupervisor } from '../../../tasks/vms/supervisor.ts'
import { testCluster } from '../../support/cluster.ts'

const test = suite('supervisor')

test("nothing is written or started where the socket's folder is somebody else's", async () => {
  const [real, uid] = [os.userInfo, 1_900_000_000 + process.pid] // a folder that no run of this machine's has
  os.userInfo = (() => ({ ...real(), uid })) as typeof os.userInfo
  syncBuiltinESMExports()
  const [folder, cluster] = [`/tmp/ha-etcd-${uid}`, testCluster()]
  mkdirSync(folder)
  try {
    const failure = await startSupervisor(cluster).catch((error: Error) => error)
    assert.match((failure as Error).message, `${folder} belongs to somebody else or is open to others`)
    assert.not(existsSync(join(cluster.paths.state, 'supervisord.conf')))
  } finally {
    rmdirSync(folder)
    os.userInfo = real
    syncBuiltinESMExports()
  }
})

test.run()
