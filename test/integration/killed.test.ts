// Killed anywhere: whatever step `up` dies at, the next `up` ends with a healthy cluster.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { processesWith, type Started, saidBy, testHome } from '../support/verbs.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const wait = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))
const etcds = (): number =>
  processesWith(`ETCD_DATA_DIR=${state}/`).filter(({ command }) => command.endsWith('/etcd')).length
const filesBelow = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []

/** What is there before `up`, the step that it dies at, by what it says of it, and how long into the step (ms). */
const moments: ['nothing' | 'stopped' | 'running', string, number][] = [
  ['nothing', '[STARTED] Check what is needed', 0],
  ['nothing', '[STARTED] Check the certificate authority', 0],
  ['nothing', '[COMPLETED] Make the certificate authority', 0],
  ['nothing', '[STARTED] Check the certificates', 10],
  ['nothing', '[STARTED] Write the inventory', 0],
  ['nothing', '[STARTED] Run the Ansible role', 0],
  ['nothing', 'Compare the host with what it must hold', 300],
  ['nothing', "Copy etcd's programs to the host", 0],
  ['nothing', "Put the host's files in place", 0],
  ['nothing', "Put the host's files in place", 150],
  ['nothing', "Put the host's files in place", 300],
  ['nothing', "Put the host's files in place", 450],
  ['nothing', "Put the host's files in place", 600],
  ['nothing', 'Wait until the member is healthy', 0],
  ['nothing', '[STARTED] Ask all 3 members', 0],
  ['stopped', "Put the host's files in place", 200],
  ['stopped', 'Wait until the member is healthy', 0],
  ['running', 'Compare the host with what it must hold', 300],
  ['running', '[STARTED] Ask all 3 members', 100],
]

/** Waits until a run says these words, and then some milliseconds. @throws when it ends before */
async function until(run: Started, words: string, ms = 0): Promise<void> {
  await saidBy(run, words)
  await wait(ms)
}

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

for (const [before, words, ms] of moments) {
  test(`${before} before; kill -9 ${ms} ms into "${words}"; then up: healthy`, async () => {
    if (before !== 'running') await home.verb('down', '--yes', before === 'nothing' ? '--purge' : '--json')
    const run = home.start('up', '--yes')
    await until(run, words, ms)
    run.child.kill('SIGKILL')
    await run.done
    await requireHealthy(`killed ${ms} ms into "${words}"`)
  })
}

/** Until the run below npx has begun: it has taken no lock yet. */
async function untilBegun(): Promise<void> {
  while (!processesWith(home.path).some(({ command }) => /^\S*node .*bin\/zx .*scripts\/up\.ts/.test(command)))
    await wait(10)
}

/** Until a host's configuration is there: the role is at work. */
async function untilAtWork(): Promise<void> {
  while (!filesBelow(state).some((name) => name.endsWith('/keeper/member.conf'))) await wait(10)
}

for (const [moment, when] of [
  ['as soon as the run below it is there', untilBegun],
  ['half way', untilAtWork],
] as const) {
  test(`kill -9 of npx itself ${moment}, then up: healthy, though the run below npx lived on`, async () => {
    await home.verb('down', '--yes', '--purge')
    const npx = spawn('npx', ['zx', join(projectFolder, 'scripts/up.ts'), '--yes'], {
      cwd: projectFolder,
      env: { ...process.env, HA_ETCD_HOME: home.path },
      stdio: 'ignore',
    })
    await when()
    const gone = once(npx, 'exit')
    npx.kill('SIGKILL')
    await gone
    await requireHealthy('after npx was killed')
  })
}

for (const words of ['[STARTED] Check what is needed', 'Compare the host with', "Put the host's files in place"]) {
  test(`Ctrl-C at "${words}" ends within 2 s with 130, leaves no tool behind, and the next run goes on`, async () => {
    await home.verb('down', '--yes', '--purge')
    const run = home.start('up', '--yes')
    await until(run, words, 100)
    const pressed = Date.now()
    process.kill(-(run.child.pid ?? 0), 'SIGINT')
    const { exitCode, stderr } = await run.done
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
  await until(first, '[STARTED] Check the certificate authority')
  first.child.kill('SIGSTOP') // so that it is still at work, however slow the second is
  const second = await home.verb('up', '--yes').finally(() => first.child.kill('SIGCONT'))
  assert.is(second.exitCode, 1)
  assert.match(second.stderr, `up, pid ${first.child.pid}`)
  assert.is((await first.done).exitCode, 0)
})

test.after(() => home.downAll())

test.run()
