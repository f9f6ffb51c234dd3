// The smoke pipeline passes, and its report has every step with its time and what the writes saw. Where writes are gone
// it fails: test/long/smoke.test.ts.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { processesWith, testHome } from '../support/verbs.ts'

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

test.after(() => home.downAll())

test.run()
