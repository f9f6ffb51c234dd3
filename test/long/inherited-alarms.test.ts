// A snapshot that carries alarms, on etcds of before 3.6: restore lowers them (of newer ones:
// test/operations/disasters.test.ts).
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { alarmList } from '../../tasks/etcd/etcdctl.ts'
import { saveSnapshot } from '../../tasks/etcd/maintenance.ts'
import { befall } from '../support/by-hand.ts'
import { etcdctlView } from '../support/disasters.ts'
import { folderOf, forReal, must, v34, v35 } from '../support/ladder.ts'
import { testHome } from '../support/verbs.ts'

for (const version of [v34, v35]) {
  const home = testHome()
  const cluster = () => etcdctlView(home, undefined, folderOf(version))
  forReal(
    `etcd ${version}: restore starts on a snapshot with NOSPACE and CORRUPT, lowers them, and says so`,
    async () => {
      await must(home, version, 'up', '--yes')
      for (const kind of ['NOSPACE', 'CORRUPT']) await befall(home, `raise ${kind} on`, 'master02')
      assert.is((await alarmList(cluster())).length, 2)
      const file = join(home.path, 'alarmed.db')
      await saveSnapshot(cluster(), cluster().hosts[0]?.clientURL ?? '', file)
      const { warnings } = JSON.parse(await must(home, version, 'restore', file, '--yes', '--json')) as {
        warnings: string[]
      }
      assert.match(warnings.join(), /alarm CORRUPT, which was lowered(.|\n)*alarm NOSPACE: they were compacted/)
      assert.equal(await alarmList(cluster()), [])
      await must(home, version, 'verify')
    },
  )
  test.after(() => home.downAll())
}

test.run()
