// The smoke pipeline passes, and its report has every step with its time and what the writes saw; or fails.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { clientsView } from '../support/load.ts'
import { processesWith, saidBy, testHome } from '../support/verbs.ts'

const home = testHome()

test('smoke: up, every phase alone, up again, a member killed under load, healed, down', async () => {
  const { exitCode, stdout, stderr } = await home.verb('smoke', '--json')
  assert.is(exitCode, 0, stderr)
  const { passed, steps, writes } = JSON.parse(stdout)
  assert.is(passed, true)
  assert.is(steps.length, 11)
  assert.ok(steps.every(({ tookMs }: { tookMs: number }) => tookMs > 0))
  assert.ok(writes.acknowledged > 0)
  assert.equal([writes.missing, writes.failed], [0, 0])
  assert.equal(processesWith(home.path), [])
  assert.not.ok(existsSync(join(home.path, '.cluster')))
})

test('smoke refuses a cluster that is there already', async () => {
  assert.is((await home.verb('pki', '--cluster', 'smoke')).exitCode, 0)
  const { exitCode, stderr } = await home.verb('smoke')
  assert.is(exitCode, 2)
  assert.match(stderr, 'A cluster smoke is here already')
})

test('smoke fails, and says why, where acknowledged writes are gone', async () => {
  assert.is((await home.verb('down', '--cluster', 'smoke', '--yes', '--purge')).exitCode, 0)
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
