// Programs: what they print comes back, what hangs is ended with its children, and a missing one is one sentence.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { caPassphrase } from '../../../tasks/core/environment.ts'
import { OperationError } from '../../../tasks/core/errors.ts'
import { inRun, Run, run } from '../../../tasks/core/run.ts'
import { ask, keepRunning, shellQuoted, shellWords, work } from '../../../tasks/core/shell.ts'
import { temporaryFolder } from '../../support/folder.ts'

const core = new URL('../../../tasks/core/', import.meta.url).href
const test = suite('shell')

test('both streams and the exit code come back, whatever the exit code', async () => {
  assert.equal(await ask('sh', ['-c', 'echo out; echo err >&2; exit 3']), {
    stdout: 'out\n',
    stderr: 'err\n',
    exitCode: 3,
  })
})

test('arguments arrive as they are, whatever is in them', async () => {
  const words = ["it's", '$HOME', '`id`', 'a b', '', '*', '"', '\\', '-n']
  const { stdout } = await ask('node', ['-e', 'console.log(JSON.stringify(process.argv.slice(1)))', '--', ...words])
  assert.equal(JSON.parse(stdout), words)
})

for (const [line, words] of [
  ['', []],
  [' a  b\n c ', ['a', 'b', 'c']],
  [`-o 'A=b c' "d e"f\\ g`, ['-o', 'A=b c', 'd ef g']],
  [`'it'\\''s' "" '' "\\"x\\\\ \\n"`, ["it's", '', '', '"x\\ \\n']],
  ["a 'b", undefined],
  ['a "b', undefined],
  ['a\\', undefined],
] as const)
  test(`words as Python's shlex makes them: ${line}`, () => assert.equal(shellWords(line), words))

test('what was quoted comes back as it was', () => {
  const words = ["it's", '$HOME', 'a b', '', '"', '\\', 'plain']
  assert.equal(shellWords(words.map(shellQuoted).join(' ')), words)
})

test("a person's ~/.bashrc is not read, though no shell stands above: from cron, say", async () => {
  const HOME = temporaryFolder()
  writeFileSync(join(HOME, '.bashrc'), 'echo noise\n')
  const script = `
    const { ask } = await import('${core}shell.ts')
    process.stdout.write((await ask('echo', ['words'])).stdout)`
  const { SHLVL, ...env } = process.env
  const child = spawn(process.execPath, ['--import', 'ha-etcd/loader', '--input-type=module', '--eval', script], {
    env: { ...env, HOME },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (data) => {
    said += data
  })
  await once(child, 'close')
  assert.is(said, 'words\n')
})

test('input and environment reach the program', async () => {
  assert.is((await ask('cat', [], { input: 'text' })).stdout, 'text')
  assert.is((await ask('sh', ['-c', 'echo $GREETING'], { env: { GREETING: 'hello' } })).stdout, 'hello\n')
})

test("the passphrase of the authority's key reaches no program", async () => {
  process.env.HA_ETCD_CA_PASSPHRASE = 'open sesame'
  const print = ['-c', 'echo "<$HA_ETCD_CA_PASSPHRASE>" "$GREETING"']
  let said = ''
  await keepRunning('sh', ['-c', `${print[1]} >&2; echo ready; cat`], AbortSignal.timeout(500), (words) => {
    said += words
  })
  const [asked, worked] = [await ask('sh', print, { env: { GREETING: 'hello' } }), await work('sh', print, {})]
  assert.equal(
    [asked.stdout, (await ask('sh', print)).stdout, worked.stdout, said],
    ['<> hello\n', '<> \n', '<> \n', '<> \n'],
  )
  assert.is(caPassphrase(), 'open sesame', 'we ourselves know it')
  delete process.env.HA_ETCD_CA_PASSPHRASE
})

for (const [how, start] of [
  ['asked', () => ask('no-such-program', ['x'])],
  ['worked with', () => work('no-such-program', ['x'], {})],
] as const) {
  test(`a missing program that is ${how} is one sentence`, async () => {
    const failure = await start().catch((error: unknown) => error)
    assert.instance(failure, OperationError)
    assert.is((failure as Error).message, 'no-such-program was not found.')
  })
}

test('a program that exits 127 by itself is not taken for a missing one', async () => {
  assert.is((await ask('sh', ['-c', 'no-such-program'])).exitCode, 127)
})

test('a program that takes too long is ended, with its children, and that is exit code 124', async () => {
  const folder = temporaryFolder()
  const { exitCode } = await ask('sh', ['-c', `sleep 600 & echo $! > ${join(folder, 'pid')}; wait`], { timeout: 1500 })
  assert.is(exitCode, 124)
  assert.not(await isAlive(Number(readFileSync(join(folder, 'pid'), 'utf8'))))
})

test('lines come one by one while the program runs, and go to the log', async () => {
  const folder = temporaryFolder()
  const state = join(folder, 'state')
  mkdirSync(join(state, 'lock'), { recursive: true })
  run().log = join(folder, 'log')
  const seen: { line: string; pids: number }[] = []
  const onLine = (line: string): void => void seen.push({ line, pids: readdirSync(join(state, 'lock')).length })
  const result = await work('sh', ['-c', 'echo one; sleep 0.2; echo two; echo oh >&2; exit 4'], { state, onLine })
  assert.equal(seen, [
    { line: 'one', pids: 1 },
    { line: 'two', pids: 1 },
  ])
  assert.equal(result, { stdout: 'one\ntwo\n', stderr: 'oh\n', exitCode: 4 })
  assert.is(readFileSync(join(folder, 'log'), 'utf8'), 'one\ntwo\noh\n')
  assert.equal(readdirSync(join(state, 'lock')), [], 'the file with its pid is gone')
  run().log = undefined
})

test('of a line that is rewritten while something progresses, only the last state is kept', async () => {
  const seen: string[] = []
  await work('printf', ['Progress: 0%%\\r\\033[KProgress: 100%%\\r\\033[Kdone\\nend\\r\\n'], {
    onLine: (line) => void seen.push(line),
  })
  assert.equal(seen, ['done', 'end'])
})

test('what a program says cannot steer the terminal: not by its lines, nor in the log', async () => {
  const log = join(temporaryFolder(), 'log')
  let shown = ''
  const write = (text: string | Uint8Array): boolean => (shown += text) !== ''
  const one = Object.assign(new Run({ stderr: { write } }), { log, verbose: true })
  await inRun(one, () => work('printf', ['a\\033[2J\\033]0;t\\007b\\n'], {}))
  assert.match(shown, /\| .*ab\n$/)
  assert.not.match(shown, '\u001b[2J')
  assert.is(readFileSync(log, 'utf8'), 'ab\n')
})

test('the pid in the file is that of the program itself', async () => {
  const state = temporaryFolder()
  mkdirSync(join(state, 'lock'))
  let pid = ''
  await work('sh', ['-c', 'echo $$; sleep 0.1'], {
    state,
    onLine: (line) => {
      pid = line
      assert.is(
        readFileSync(join(state, 'lock', readdirSync(join(state, 'lock'))[0] ?? ''), 'utf8').split('\n')[0],
        line,
      )
    },
  })
  assert.match(pid, /^\d+$/)
})

for (const way of ['ask', 'work'] as const) {
  test(`when the run is stopped, ${way} ends the program's whole group and says that it was interrupted`, async () => {
    const pidFile = join(temporaryFolder(), 'pid')
    const code = `
      const { ${way} } = await import('${core}shell.ts')
      const { run } = await import('${core}run.ts')
      process.on('SIGINT', () => run().stop('SIGINT'))
      const ended = () => console.log('ended as if nothing was')
      const failed = (error) => console.log(error.name, error.exitCode)
      await ${way}('sh', ['-c', 'sleep 60 & echo $! > ${pidFile}; wait'], {}).then(ended, failed)`
    const child = spawn(process.execPath, ['--import', 'ha-etcd/loader', '--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (data) => {
      output += data
    })
    while (!existsSync(pidFile) || !readFileSync(pidFile, 'utf8').trim())
      await new Promise((wake) => setTimeout(wake, 20))
    child.kill('SIGINT')
    await once(child, 'close')
    assert.is(output, 'Interrupted 130\n')
    assert.not(await isAlive(Number(readFileSync(pidFile, 'utf8'))))
  })
}

test('a run that was stopped starts nothing more', async () => {
  const file = join(temporaryFolder(), 'started')
  const code = `
    const { ask, work } = await import('${core}shell.ts')
    const { run } = await import('${core}run.ts')
    run().stop('SIGINT')
    for (const start of [ask, work])
      await start('touch', ['${file}'], {}).then(() => console.log('ended'), (error) => console.log(error.name))`
  const { stdout } = await ask(process.execPath, ['--import', 'ha-etcd/loader', '--input-type=module', '-e', code])
  assert.is(stdout, 'Interrupted\nInterrupted\n')
  assert.not.ok(existsSync(file))
})

/** Ended processes that nobody has waited for yet do not count. */
async function isAlive(pid: number): Promise<boolean> {
  const { stdout } = await ask('ps', ['-o', 'stat=', '-p', String(pid)])
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z')
}

test.run()
