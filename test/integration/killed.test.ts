// An `up` that is ended in the middle, by kill -9, by Ctrl-C, or with its npx: the next one makes a healthy cluster.
// test/long/up-killed.test.ts kills it at each step.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { npxKilled, requireHealed, requireInterrupted, said, untilAtWork } from '../support/interrupted.ts'
import { testHome } from '../support/verbs.ts'

/** Of one member: what is proven there is the same for three. */
const home = testHome()
writeFileSync(join(home.path, 'cluster.yaml'), 'masters: 1\n')
const delicate = "Put the host's files in place"

test('kill -9 as etcd starts for the first time; then up: healthy', async () => {
  const run = home.start('up', '--yes')
  await said(run, delicate, 300)
  run.child.kill('SIGKILL')
  await run.done
  await requireHealed(home, 'after kill -9', 1)
})

test('two runs at once: the second is refused, naming the first, and the first ends well', async () => {
  const first = home.start('up', '--yes')
  await said(first, '[STARTED] Check the certificates')
  first.child.kill('SIGSTOP') // so that it is still at work, however slow the second is
  const second = await home.verb('up', '--yes').finally(() => first.child.kill('SIGCONT'))
  assert.is(second.exitCode, 1)
  assert.match(second.stderr, `up, pid ${first.child.pid}`)
  assert.is((await first.done).exitCode, 0)
})

test('kill -9 of npx itself half way, then up: healthy, though the run below npx lived on', async () => {
  await npxKilled(home, untilAtWork)
  await requireHealed(home, 'after npx was killed', 1)
})

test('Ctrl-C ends it with 130, leaves no tool behind, and the next run goes on', async () => {
  await requireInterrupted(home, delicate)
  await requireHealed(home, 'after Ctrl-C', 1)
})

test.after(() => home.downAll())

test.run()
