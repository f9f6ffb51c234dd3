// Where acknowledged writes are gone, the smoke pipeline fails. It judges as the drill does, which
// test/operations/drill.test.ts shows to fail, too.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { clientsView } from '../support/load.ts'
import { saidBy, testHome } from '../support/verbs.ts'

const home = testHome()

test('smoke fails, and says why, where acknowledged writes are gone', async () => {
  const run = home.start('smoke')
  await saidBy(run, '[STARTED] verify says so')
  const gateway = openGateway(clientsView(home, 'smoke'), 1)
  await gateway.deleteBelow(gateway.endpoints[0] ?? '', 'ha-etcd/load/').finally(gateway.close)
  const { exitCode, stderr } = await run.done
  assert.is(exitCode, 1, stderr)
  assert.match(stderr, /Writes did not survive a killed member: [1-9]\d* acknowledged writes? lost/)
})

test.after(() => home.downAll())

test.run()
