// The loop that carries a plan out: what it refuses to go on with.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { OperationError } from '../../../tasks/core/errors.ts'
import { run } from '../../../tasks/core/run.ts'
import { look } from '../../../tasks/observe/look.ts'
import { carryOut } from '../../../tasks/operations/carry-out.ts'
import type { Rules } from '../../../tasks/plans/types.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

run().json = true // nothing is shown

/** Its programs say which version they are, and nothing else. */
function clusterWithoutMembers(): ReturnType<typeof testCluster> {
  const binaries = temporaryFolder()
  const program = '#!/bin/sh\ncase "$*" in version|--version) echo Version: 3.6.14;; *) exit 1;; esac\n'
  for (const name of ['etcd', 'etcdctl', 'etcdutl']) writeFileSync(join(binaries, name), program, { mode: 0o755 })
  return testCluster({ etcd: { binaries } })
}

test('an act that was done and that nothing shows is not done again and again', async () => {
  const cluster = clusterWithoutMembers()
  const scope = { membersOnly: true }
  let asked = 0
  // A host that nobody wants is recorded by nobody.
  const rules: Rules = (seen) => {
    if (++asked > 20) throw new Error('it is done for ever')
    return seen.recorded.includes('ghost') ? 'done' : { act: { do: 'record host', host: 'ghost' } }
  }
  const failure = (await carryOut(cluster, rules, await look(cluster, scope), scope).then(
    () => undefined,
    (error: Error) => error,
  )) as OperationError
  assert.is(failure?.message, '"Record ghost" was done, but the cluster shows no trace of it.')
  assert.match(failure.more.hint ?? '', /verify\.ts.*run the same command again/)
})

test.run()
