// The keeper of a local member, with a stand-in for etcd that sleeps: what it starts, takes over, and lets be.
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../../tasks/core/cluster.ts'
import { projectFolder } from '../../../tasks/core/environment.ts'
import { isSignallable } from '../../../tasks/core/processes.ts'
import { keeperFolder, killHost, memberPid, startLostKeepers, unkeptHosts } from '../../../tasks/vms/keeper.ts'
import { keeperConfig } from '../../../tasks/vms/supervised.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { interpreter, python } from '../../support/python.ts'
import { until } from '../../support/wait.ts'

const test = suite('keeper')
const source = join(projectFolder, 'templates/ansible/roles/etcd/module_utils/etcd_keeper.py')
/** A host with a configuration for a stand-in that runs this shell script. */
function host(script: string, hasData = true) {
  const cluster = testCluster({ masters: 1, paths: { hosts: join(temporaryFolder(), 'h"o#s;t*s[') } })
  const [one] = cluster.hosts as [Host]
  const [folder, data] = [keeperFolder(cluster, one), join(cluster.paths.hosts, 'data')]
  const [program, log] = [join(folder, 'etcd'), join(folder, 'etcd.log')]
  for (const path of [folder, hasData ? join(data, 'member/wal') : data]) mkdirSync(path, { recursive: true })
  if (hasData) writeFileSync(join(data, 'member/wal/0.wal'), '')
  writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  writeFileSync(
    join(folder, 'member.conf'),
    `program=${program}\nlog=${log}\nETCD_DATA_DIR=${data}\nETCD_X=a "b" = c\n`,
  )
  copyFileSync(source, join(folder, 'keeper.py'))
  const note = (name: string) => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as { pid: number }
  const start = (): void => void execFileSync(interpreter, ['-IS', join(folder, 'keeper.py'), folder])
  const member = async (): Promise<number> => (await memberPid(cluster, one)) ?? 0
  const kill = (pid: number): boolean => process.kill(pid, 'SIGKILL')
  return { cluster, one, folder, data, log, note, start, member, kill, end: () => killHost(cluster, one) }
}

const sleeper = 'echo "hello $ETCD_X"; exec sleep 600'

test('starts its member, with its own variables alone, and starts it again at once when it is killed', async () => {
  const { log, start, member, kill, end } = host(sleeper)
  process.env.ETCD_X = 'a variable of the person'
  start()
  process.env.ETCD_X = undefined
  const first = await member()
  assert.ok(first)
  kill(first)
  const ms = await until('it is back', async () => ![0, first].includes(await member()))
  console.log(`measured: a stand-in for etcd killed: its keeper had it back after ${ms} ms`)
  await until('it spoke twice', () => readFileSync(log, 'utf8').split('hello a "b" = c').length === 3)
  assert.match(readFileSync(log, 'utf8'), 'keeper: etcd ended by signal 9.')
  await end()
  assert.is(await member(), 0)
})

test('a keeper that was killed leaves its member running; the next one takes it over, and looks after it', async () => {
  const { cluster, note, start, member, kill, end } = host(sleeper)
  start()
  const pid = await member()
  assert.equal(await unkeptHosts(cluster), [])
  kill(note('keeper').pid)
  await until('it is gone', async () => (await unkeptHosts(cluster)).length === 1)
  assert.is(await member(), pid)
  assert.is((await startLostKeepers(cluster)).length, 1)
  assert.equal([await member(), await unkeptHosts(cluster)], [pid, []])
  kill(pid)
  await until('it is back', async () => ![0, pid].includes(await member()))
  await end()
})

test('a second keeper leaves the first one alone', async () => {
  const { note, start, member, end } = host(sleeper)
  start()
  const [keeper, pid] = [note('keeper').pid, await member()]
  start()
  assert.equal([note('keeper').pid, await member()], [keeper, pid])
  await end()
})

test('SIGTERM ends the member and then the keeper, and what was meant to run is known after a boot', async () => {
  const { cluster, note, start, member, end } = host(sleeper)
  start()
  const [keeper, pid] = [note('keeper').pid, await member()]
  process.kill(keeper, 'SIGTERM')
  await until('both are gone', () => ![keeper, pid].some(isSignallable))
  assert.is((await unkeptHosts(cluster)).length, 1)
  await startLostKeepers(cluster)
  assert.ok(await member())
  await end()
  assert.equal(await unkeptHosts(cluster), [], 'one that was killed on purpose is not meant to run')
})

test('a member that does not stay up is started again after pauses, and its last words are known', async () => {
  const { folder, log, start, end } = host('echo "bad flag"; exit 3')
  const began = Date.now()
  start()
  await until('it was started three times', () => readFileSync(log, 'utf8').split('bad flag').length > 3)
  assert.ok(Date.now() - began > 1000)
  const words = python(
    'import sys\nfrom ansible.module_utils.etcd_service import Keeper\nprint(Keeper(None, sys.argv[1]).last_words())',
    folder,
  )
  assert.match(words, /^bad flag$/m)
  await end()
})

test('a member without data is not started, and the log says what to do', async () => {
  const { data, log, start, member, end } = host(sleeper, false)
  start()
  assert.match(readFileSync(log, 'utf8'), `Not started: ${data} holds no data. Run up, or the role`)
  assert.is(await member(), 0)
  writeFileSync(join(data, 'first-start'), '')
  await until('it is permitted', async () => (await member()) > 0)
  await end()
})

test('a long log is put aside, and its member writes on in a short one', async () => {
  const { log, start, end } = host('while :; do echo tick; sleep 0.1; done')
  writeFileSync(log, 'x'.repeat(11 * 2 ** 20))
  start()
  await until('it is put aside', () => existsSync(`${log}.1`))
  await until('it writes on', () => readFileSync(log, 'utf8').startsWith('tick'))
  assert.ok(statSync(log).size < 10_000)
  await end()
})

test('a keeper whose folder is gone ends its member and itself', async () => {
  const { cluster, folder, note, start, member } = host(sleeper)
  start()
  const pids = [note('keeper').pid, await member()]
  renameSync(folder, join(cluster.paths.hosts, 'moved'))
  await until('both are gone', () => !pids.some(isSignallable))
})

test('a process that has the pid of a note, but another birth, is nobody of ours', async () => {
  const { folder, member, cluster } = host(sleeper)
  for (const name of ['keeper', 'member'])
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ pid: process.pid, birth: '1' }))
  assert.is(await member(), 0)
  assert.is((await unkeptHosts(cluster)).length, 1)
})

test("what supervisord's configuration said, the keeper's says", () => {
  const supervised = [
    '[program:master01]',
    `command=/bin/sh -c 'if x; then exec "$0"; fi' "/opt/100%%/etcd"`,
    'environment=',
    '    ETCD_NAME="master01",',
    '    ETCD_X="50%%, \'a\'"',
    'autostart=true',
    'stdout_logfile=/var/100%%%%/etcd.log',
  ].join('\n')
  const [, ...lines] = keeperConfig(supervised).trim().split('\n')
  assert.equal(lines, ['program=/opt/100%/etcd', 'log=/var/100%/etcd.log', 'ETCD_NAME=master01', "ETCD_X=50%, 'a'"])
})

test.run()
