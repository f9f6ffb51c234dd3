// The runner believes no test file that did not really run and pass: each of uvu's false greens must fail.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const project = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const header = `import { suite, test } from 'uvu'\nimport * as assert from 'uvu/assert'\n`
const test = suite('run')

interface Run {
  code: number | null
  output: string
  last: string
}

/** Runs the runner over test files of this content, in a folder of their own. */
function runOver(files: Record<string, string>, ...args: string[]): Run {
  const root = mkdtempSync(join(tmpdir(), 'run-'))
  try {
    symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'))
    writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, 'test', name)), { recursive: true })
      writeFileSync(join(root, 'test', name), header + content)
    }
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'ha-etcd/loader', join(project, 'test/run.ts'), '--root', root, ...args],
      { cwd: project, encoding: 'utf8' },
    )
    return { code: status, output: stdout + stderr, last: stdout.trimEnd().split('\n').at(-1) ?? '' }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

const refused: { title: string; content: string; says: RegExp; passed: number }[] = [
  {
    title: 'a test that never ends',
    content: `test('waits', () => new Promise((wake) => setTimeout(wake, 60000)))\ntest.run()`,
    says: /Not done after 10\.0 s, in "waits"/,
    passed: 0,
  },
  {
    title: 'a failing test',
    content: `test('one plus one', () => assert.is(1 + 1, 3))\ntest.run()`,
    says: /FAIL.*one plus one/,
    passed: 0,
  },
  {
    title: 'a before hook that throws, with its message',
    content: `test.before(() => { throw new Error('no database') })\ntest('a', () => {})\ntest.run()`,
    says: /a before hook threw: Error: no database/,
    passed: 0,
  },
  {
    title: 'an after hook that throws',
    content: `test.after(() => { throw new Error('not closed') })\ntest('a', () => {})\ntest.run()`,
    says: /not closed/,
    passed: 1,
  },
  {
    title: 'an after.each hook that throws',
    content:
      `test.after.each(() => { throw new Error('not tidied') })\ntest('a', () => ` +
      `{})\ntest('b', () => {})\ntest.run()`,
    says: /not tidied/,
    passed: 1,
  },
  { title: 'a forgotten run()', content: `test('a', () => {})`, says: /1 declared but never run/, passed: 0 },
  {
    title: 'a forgotten run() of one suite of two',
    content: `const lost = suite('lost')\nlost('a', () => {})\ntest('b', () => {})\ntest.run()`,
    says: /lost: 1 declared but never run/,
    passed: 1,
  },
  { title: 'a file without a test', content: 'test.run()', says: /It ran no test/, passed: 0 },
  { title: 'a file that cannot be loaded', content: `import './missing.ts'`, says: /missing\.ts/, passed: 0 },
  {
    title: 'process.exit(0) in the middle of a test',
    content: `test('a', () => {})\ntest('b', () => process.exit(0))\ntest('c', () => {})\ntest.run()`,
    says: /1 did not get their turn/,
    passed: 1,
  },
  {
    title: 'a test whose promise is forgotten by all',
    content: `test('a', () => new Promise(() => {}))\ntest.run()`,
    says: /Exiting early/,
    passed: 0,
  },
  {
    title: 'a handle that is left open',
    content: `test('a', () => { setInterval(() => {}, 1000) })\ntest.run()`,
    says: /Still running 5 s after its last test; left open: .*Timeout/,
    passed: 1,
  },
  {
    title: 'a program that is left running',
    content:
      `import { spawn } from 'node:child_process'\ntest('a', () => { spawn('sleep', ['60'], { stdio: ` +
      `'ignore' }).unref() })\ntest.run()`,
    says: /left processes/,
    passed: 1,
  },
]

let all: Run
test.before(() => {
  all = runOver(
    // those of integration have a process each; those of unit would first share one
    Object.fromEntries(refused.map(({ content }, index) => [`integration/${index}.test.ts`, content])),
    '--timeout',
    '10',
  )
})

for (const [index, { title, says, passed }] of refused.entries()) {
  test(`refuses ${title}`, () => {
    const part =
      all.output.split(/^(?=[✘✔] test\/)/m).find((text) => text.includes(`integration/${index}.test.ts`)) ?? ''
    assert.match(part.split('\n')[0] ?? '', `${passed} passed, 1 failed`)
    assert.match(part, says)
  })
}

test('one refused file fails the whole run, and the last line counts', () => {
  assert.is(all.code, 1)
  assert.is(
    all.last,
    `${refused.reduce((sum, { passed }) => sum + passed, 0)} passed, ${refused.length} failed, 0 skipped`,
  )
})

test('what failed is named once more at the end, a line each', () => {
  const end = all.output.split('\n').filter((line) => line.startsWith('Failed: '))
  for (const index of refused.keys()) assert.ok(end.some((line) => line.includes(`integration/${index}.test.ts: `)))
  assert.ok(end.includes('Failed: test/integration/1.test.ts: one plus one: Expected values to be strictly equal:'))
})

test('refuses arguments that match no file, and says so', () => {
  const run = runOver({ 'unit/x.test.ts': `test('a', () => {})\ntest.run()` }, 'nothing')
  assert.is(run.code, 1)
  assert.match(run.output, /No test file matches nothing/)
  assert.is(run.last, '0 passed, 0 failed, 0 skipped')
})

test('refuses an unknown flag', () => {
  const run = runOver({}, '--fast')
  assert.is(run.code, 2)
  assert.match(run.output, /--fast/)
})

test('adds up what passes and what is skipped; unit files that leave their process alone share one', () => {
  const said = `test('a', () => console.log('measured: process', process.pid))\n`
  const files = {
    'unit/one.test.ts': `${said}test.run()`,
    'unit/two.test.ts': `${said}test('b', () => {})\ntest.skip('c', () => {})\ntest.run()`,
    'unit/a/only.test.ts': `test('a', () => {})\ntest.only('b', () => {})\ntest.run()`,
    'unit/own.test.ts': `const kept = process.env.HOME\n${said}test.run()`,
    'integration/c.test.ts': `test('c', () => {})\ntest.run()`,
  }
  const run = runOver(files)
  const pids = [...run.output.matchAll(/measured: process (\d+)/g)].map(([, pid]) => pid)
  assert.equal([pids.length, new Set(pids).size], [3, 2], run.output)
  assert.match(run.output, /unit\/one\.test\.ts {2}1 passed {2}/)
  assert.match(run.output, /unit\/two\.test\.ts {2}2 passed, 1 skipped {2}/)
  assert.match(run.output, /unit\/a\/only\.test\.ts {2}1 passed, 1 skipped {2}/, 'what an only() left out')
  assert.equal([run.code, run.last], [0, '6 passed, 0 failed, 2 skipped'], run.output)
  assert.is(runOver(files, 'integration').last, '1 passed, 0 failed, 0 skipped')
})

test('refuses a file that passes alone, and fails beside another in one process', () => {
  const run = runOver({
    'unit/one.test.ts': `globalThis.left = 1\ntest('a', () => {})\ntest.run()`,
    'unit/two.test.ts': `test('b', () => assert.is(globalThis.left, undefined))\ntest.run()`,
  })
  assert.is(run.code, 1)
  assert.match(run.output, /one\.test\.ts, .*two\.test\.ts pass alone; in one process: test\/unit\/two\.test\.ts: b: /)
})

test.run()
