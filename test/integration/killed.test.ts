// Killed anywhere: whatever moment `up` dies at, the next `up` ends with a healthy cluster.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { processesWith, testHome } from '../support/verbs.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const wait = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))
const etcds = (): number =>
  processesWith(`ETCD_DATA_DIR=${state}/`).filter(({ command }) => command.endsWith('/etcd')).length
const filesBelow = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []

/** How long a first `up` takes here, so that the moments are spread over all of it. */
let whole = 0

async function requireHealthy(what: string): Promise<void> {
  const { exitCode, stdout, stderr } = await home.verb('up', '--json', '--yes')
  assert.is(exitCode, 0, `${what}: ${stderr}`)
  assert.is(JSON.parse(stdout).endpoints.length, 3)
  assert.is(etcds(), 3, `${what}: one etcd for each host`)
  assert.equal(
    filesBelow(home.path).filter(
      (name) => /\.tmp$|\.etcd-|tool-.*\.pid$|claim-|\.heir$/.test(name) && !name.includes('/var/lib/etcd/'),
    ),
    [],
    `${what}: nothing half-written stays`,
  )
  assert.not.ok(existsSync(join(state, 'lock/owner.json')), `${what}: no stale lock`)
}

test('a first up, to know how long it takes', async () => {
  const { exitCode, tookMs, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  whole = tookMs
  await home.verb('down', '--yes', '--purge')
})

for (let round = 1; round <= 20; round++) {
  test(`kill -9 at a random moment, then up: healthy (${round} of 20)`, async () => {
    const moment = Math.round(((round - Math.random()) / 20) * whole)
    const { child, done } = home.start('up', '--yes')
    await wait(moment)
    child.kill('SIGKILL')
    await done
    await requireHealthy(`killed after ${moment} ms`)
    // Every other time the next round begins with a cluster that is there already.
    if (round % 2 === 0)
      assert.is((await home.verb('down', '--yes', round % 4 === 0 ? '--purge' : '--json')).exitCode, 0)
  })
}

/** Until the run below npx has begun: it has taken no lock yet. */
async function untilBegun(): Promise<void> {
  while (!processesWith(home.path).some(({ command }) => /^\S*node .*bin\/zx .*scripts\/up\.ts/.test(command)))
    await wait(10)
}

for (const [moment, when] of [
  ['as soon as the run below it is there', untilBegun],
  ['half way', () => wait(whole * 0.7)],
] as const) {
  test(`kill -9 of npx itself ${moment}, then up: healthy, though the run below npx lived on`, async () => {
    await home.verb('down', '--yes', '--purge')
    const npx = spawn('npx', ['zx', join(projectFolder, 'scripts/up.ts'), '--yes'], {
      cwd: projectFolder,
      env: { ...process.env, HA_ETCD_HOME: home.path },
      stdio: 'ignore',
    })
    await when()
    npx.kill('SIGKILL')
    await requireHealthy('after npx was killed')
  })
}

for (const fraction of [0.3, 0.5, 0.65]) {
  test(`Ctrl-C at ${fraction} of the way ends within 2 s with 130, leaves no tool behind, and the next run goes on`, async () => {
    await home.verb('down', '--yes', '--purge')
    const { child, done } = home.start('up', '--yes')
    const begun = Date.now()
    await new Promise((said) => child.stdout?.once('data', said)) // before its first word it is not our program yet, but node's start
    await wait(Math.max(0, whole * fraction - (Date.now() - begun)))
    const pressed = Date.now()
    process.kill(-(child.pid ?? 0), 'SIGINT')
    const { exitCode, stderr } = await done
    assert.ok(Date.now() - pressed < 2000, `took ${Date.now() - pressed} ms`)
    assert.is(exitCode, 130, stderr)
    assert.match(stderr, 'Interrupted')
    assert.equal(
      processesWith(home.path).filter(({ command }) => /ansible|etcdctl/.test(command)),
      [],
    )
    await requireHealthy('after Ctrl-C')
  })
}

test('two runs at once: the second is refused, naming the first, and the first ends well', async () => {
  await home.verb('down', '--yes', '--purge')
  const first = home.start('up', '--yes')
  await wait(whole * 0.5)
  const second = await home.verb('up', '--yes')
  assert.is(second.exitCode, 1)
  assert.match(second.stderr, `up, pid ${first.child.pid}`)
  assert.is((await first.done).exitCode, 0)
})

test.after(() => home.downAll())

test.run()
