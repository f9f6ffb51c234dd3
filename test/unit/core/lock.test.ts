// One writer per cluster: a living owner is respected, a dead one is taken over, and what it left working is ended.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { OperationError } from '../../../tasks/core/errors.ts'
import { readFileIfThere } from '../../../tasks/core/files.ts'
import { atWork, takeLock, toolPidFile } from '../../../tasks/core/lock.ts'
import { birthOf, endGroup, groupIsAlive, isSuspended } from '../../../tasks/core/processes.ts'
import { temporaryFolder } from '../../support/folder.ts'

const lockModule = new URL('../../../tasks/core/lock.ts', import.meta.url).href
const racer = fileURLToPath(new URL('../../support/lock-racer.ts', import.meta.url))
const test = suite('lock')

const ownerFile = (state: string): string => join(state, 'lock/owner.json')
const longAgo = new Date('2020-01-01')
/** A pid that was real and is no more. */
const deadPid = (): number => spawnSync('true').pid

function leaveLock(state: string, content: string): void {
  mkdirSync(join(state, 'lock'), { recursive: true })
  writeFileSync(ownerFile(state), content)
}

/** Another process that takes the lock, says so, and holds it until it is killed. */
async function holder(state: string, verb: string): Promise<ChildProcess> {
  const code =
    `const { takeLock } = await import('${lockModule}')\nawait takeLock('${state}', ` +
    `'${verb}')\nconsole.log('taken')\nsetInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'ha-etcd/loader', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('of two takers one wins; the other is told its pid and verb, and gets the lock once it is killed', async () => {
  const state = temporaryFolder()
  const child = await holder(state, 'etcd-role')
  try {
    await takeLock(state, 'up').then(
      () => assert.unreachable('both had the lock'),
      (error: Error) =>
        assert.match(error.message, new RegExp(`at work on this cluster: etcd-role, pid ${child.pid},`)),
    )
  } finally {
    await kill(child)
  }
  const release = await takeLock(state, 'up')
  const { pid, verb } = JSON.parse(readFileSync(ownerFile(state), 'utf8'))
  assert.equal([pid, verb], [process.pid, 'up'])
  release()
})

test('an owner that is suspended hears no kill: whoever waits is told how to resume it, or to end it', async () => {
  const state = temporaryFolder()
  const child = await holder(state, 'restart')
  try {
    child.kill('SIGSTOP')
    while (!(await isSuspended(child.pid ?? 0))) await new Promise((wake) => setTimeout(wake, 10))
    await takeLock(state, 'up').then(
      () => assert.unreachable('both had the lock'),
      ({ more }: OperationError) =>
        assert.match(more.hint ?? '', new RegExp(`kill -CONT ${child.pid}.*kill -KILL ${child.pid}`)),
    )
    assert.is((await atWork(state))?.suspended, true)
  } finally {
    await kill(child)
  }
  ;(await takeLock(state, 'up'))()
})

test('a lock that is given back leaves nothing behind', async () => {
  const state = temporaryFolder()
  leaveLock(state, JSON.stringify({ pid: deadPid(), birth: '1', verb: 'up', since: new Date().toISOString() }))
  writeFileSync(join(state, `lock/claim-${deadPid()}-00000000`), '')
  const release = await takeLock(state, 'up')
  release()
  assert.not(existsSync(state))
})

for (const [what, content] of [
  ['empty', ''],
  ['not JSON', '{"pid": 1'],
  ['JSON of another kind', 'null'],
  ['without a time', '{"pid":1,"birth":"1","verb":"up","launchers":[]}'],
] as const) {
  test(`a lock file that is ${what} belongs to nobody`, async () => {
    const state = temporaryFolder()
    leaveLock(state, content)
    const release = await takeLock(state, 'up')
    release()
    assert.not(existsSync(ownerFile(state)))
  })
}

test('an owner recorded before the process with its pid was born is dead: the number was given again', async () => {
  const state = temporaryFolder()
  const child = spawn('sleep', ['60'])
  try {
    leaveLock(
      state,
      JSON.stringify({ pid: child.pid, birth: '1', verb: 'up', since: new Date().toISOString(), launchers: [] }),
    )
    const release = await takeLock(state, 'up')
    release()
    assert.is(child.exitCode ?? child.signalCode, null, 'the innocent process was ended')
  } finally {
    await kill(child)
  }
})

test('a process that ends while its file in /proc is read is gone, and that is no failure', async () => {
  if (!existsSync('/proc/self/stat')) return
  const child = spawn('sleep', ['60'])
  const open = openSync(`/proc/${child.pid}/stat`, 'r')
  await kill(child)
  assert.is(readFileIfThere(open as unknown as string), undefined) // at a path the moment between cannot be met
  closeSync(open)
})

test('a clock set forward makes no living owner dead', async () => {
  const state = temporaryFolder()
  const child = spawn('sleep', ['60'])
  try {
    leaveLock(
      state,
      JSON.stringify({
        pid: child.pid,
        birth: await birthOf(child.pid ?? 0),
        verb: 'pki',
        since: longAgo.toISOString(),
        launchers: [],
      }),
    )
    await takeLock(state, 'up').then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, `pki, pid ${child.pid}`),
    )
  } finally {
    await kill(child)
  }
})

test('a run whose npx was killed is ended by the next one: nobody else can stop it', async () => {
  const state = temporaryFolder()
  const orphan = spawn('sleep', ['60'])
  const ended = once(orphan, 'exit')
  leaveLock(
    state,
    JSON.stringify({
      pid: orphan.pid,
      birth: await birthOf(orphan.pid ?? 0),
      verb: 'up',
      since: new Date().toISOString(),
      launchers: [[deadPid(), '1']],
    }),
  )
  const release = await takeLock(state, 'up')
  assert.equal(await ended, [null, 'SIGTERM'])
  release()
})

test('a dead heir of a dead owner has an heir, too', async () => {
  const state = temporaryFolder()
  const record = '{"pid":0}'
  leaveLock(state, record)
  writeFileSync(
    `${ownerFile(state)}.${createHash('sha256').update(record).digest('hex').slice(0, 32)}.heir`,
    JSON.stringify({ pid: deadPid(), birth: '1', verb: 'up', since: new Date().toISOString() }),
  )
  const release = await takeLock(state, 'up')
  release()
  assert.not(existsSync(state))
})

test('a tool that a killed run left at work is ended, with its whole group', async () => {
  const state = temporaryFolder()
  mkdirSync(join(state, 'lock'))
  const { path, fill } = toolPidFile(state)
  const tool = spawn('sh', ['-c', `${fill} sleep 60 & sleep 60`], { detached: true, stdio: 'ignore' })
  const ended = once(tool, 'exit')
  while (!existsSync(path)) await new Promise((wake) => setTimeout(wake, 10))
  leaveLock(state, JSON.stringify({ pid: deadPid(), birth: '1', verb: 'up', since: new Date().toISOString() }))
  const release = await takeLock(state, 'up')
  await ended
  assert.not(await groupIsAlive(tool.pid ?? 0))
  assert.equal(readdirSync(join(state, 'lock')), ['owner.json'])
  release()
})

test('a program that was given the pid of a tool later is left alone', async () => {
  const state = temporaryFolder()
  const stranger = spawn('sleep', ['60'], { detached: true })
  try {
    mkdirSync(join(state, 'lock'))
    const pidFile = toolPidFile(state).path
    writeFileSync(pidFile, `${stranger.pid}\n${stranger.pid} (sleep) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 0\n`)
    const release = await takeLock(state, 'up')
    release()
    assert.is(stranger.exitCode ?? stranger.signalCode, null)
    assert.not(existsSync(pidFile))
  } finally {
    await kill(stranger)
  }
})

test('a group that ignores SIGTERM is killed', async () => {
  const stubborn = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 1; done'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await once(stubborn.stdout, 'data')
  const ended = once(stubborn, 'exit')
  await endGroup(stubborn.pid ?? 0)
  assert.equal(await ended, [null, 'SIGKILL'])
})

test('of four processes racing for a dead lock, again and again, never two have it at once', async () => {
  const state = temporaryFolder()
  const stranger = spawn('sleep', ['60'])
  leaveLock(state, JSON.stringify({ pid: stranger.pid, birth: '1', verb: 'up', since: new Date().toISOString() }))
  // More than there are cores wait for one another, and take it less often.
  const racers = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--import', 'ha-etcd/loader', racer, state, '1000', String(stranger.pid)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  const outputs = await Promise.all(racers.map(outputOf))
  await kill(stranger)
  assert.equal(
    outputs.flatMap((output) => output.split('\n')).filter((line) => line !== '' && !/^taken \d+$/.test(line)),
    [],
  )
  assert.ok(outputs.reduce((total, output) => total + Number(/taken (\d+)/.exec(output)?.[1]), 0) > 4)
})

async function outputOf(child: ChildProcess): Promise<string> {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (text += data))
  await once(child, 'close')
  return text
}

test.run()
