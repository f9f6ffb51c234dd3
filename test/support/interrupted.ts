// What the tests of an interrupted `up` share: a run ended at a step, in three ways, and the next that heals it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { type Home, processesWith, type Started, saidBy } from './verbs.ts'
import { pause, until } from './wait.ts'

const stateOf = (home: Home): string => join(home.path, '.cluster/etcd-cluster-1')
const filesBelow = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []

/** One more `up` ends with a healthy cluster, and nothing is left of the run that was ended. */
export async function requireHealed(home: Home, what: string, masters = 3): Promise<void> {
  const { exitCode, stdout, stderr } = await home.verb('up', '--json', '--yes')
  assert.is(exitCode, 0, `${what}: ${stderr}`)
  assert.is(JSON.parse(stdout).endpoints.length, masters)
  const etcds = processesWith(`ETCD_DATA_DIR=${stateOf(home)}/`).filter(({ command }) => command.endsWith('/etcd'))
  assert.is(etcds.length, masters, `${what}: one etcd for each host`)
  assert.equal(
    filesBelow(home.path).filter(
      (name) => /\.tmp$|\.etcd-|tool-.*\.pid$|claim-|\.heir$/.test(name) && !name.includes('/var/lib/etcd/'),
    ),
    [],
    `${what}: nothing half-written stays`,
  )
  assert.not.ok(existsSync(join(stateOf(home), 'lock/owner.json')), `${what}: no stale lock`)
}

/** Waits until a run says these words, and then some milliseconds. @throws when it ends before */
export async function said(run: Started, words: string, ms = 0): Promise<void> {
  await saidBy(run, words)
  await pause(ms)
}

/** Until the run below npx has begun: it has taken no lock yet. */
export async function untilBegun(home: Home): Promise<void> {
  const begun = /^\S*node .*bin\/zx .*scripts\/up\.ts/
  await until('npx has begun', () => processesWith(home.path).some(({ command }) => begun.test(command)))
}

/** Until a host's configuration is there: the role is at work. */
export async function untilAtWork(home: Home): Promise<void> {
  const isConfiguration = (name: string): boolean => name.endsWith('/keeper/member.conf')
  await until('the role is at work', () => filesBelow(stateOf(home)).some(isConfiguration))
}

/** Starts `up` from nothing through npx, and kills npx itself (-9) at that moment: the run below it lives on. */
export async function npxKilled(home: Home, moment: (home: Home) => Promise<void>): Promise<void> {
  await home.verb('down', '--yes', '--purge')
  const npx = spawn('npx', ['zx', join(projectFolder, 'scripts/up.ts'), '--yes'], {
    cwd: projectFolder,
    env: { ...process.env, HA_ETCD_HOME: home.path },
    stdio: 'ignore',
  })
  await moment(home)
  const gone = once(npx, 'exit')
  npx.kill('SIGKILL')
  await gone
}

/** Starts `up` from nothing, and presses Ctrl-C at these words: it ends soon, with 130, and leaves no tool. */
export async function requireInterrupted(home: Home, words: string): Promise<void> {
  await home.verb('down', '--yes', '--purge')
  const run = home.start('up', '--yes')
  await said(run, words, 100)
  const pressed = Date.now()
  process.kill(-(run.child.pid ?? 0), 'SIGINT')
  const { exitCode, stderr } = await run.done
  console.log(`measured: Ctrl-C at "${words}": it had ended after ${Date.now() - pressed} ms`)
  assert.is(exitCode, 130, stderr)
  assert.match(stderr, 'Interrupted')
  assert.equal(
    processesWith(home.path).filter(({ command }) => /ansible|etcdctl/.test(command)),
    [],
  )
}
