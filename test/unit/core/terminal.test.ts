// What a person sees: columns that line up, sizes and times that read well, and failures without a stack.
import { stripVTControlCharacters } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Interrupted, OperationError, UsageError } from '../../../tasks/core/errors.ts'
import { areOrIs, bytes, chalk, duration, presentError, table, warningLines } from '../../../tasks/core/terminal.ts'

const test = suite('terminal')
chalk.level = 0

test('columns line up whatever the colours', () => {
  chalk.level = 1
  const text = table([
    [chalk.green('a'), 'x'],
    ['long', 'y'],
  ])
  chalk.level = 0
  assert.is(stripVTControlCharacters(text), 'a     x\nlong  y')
})

test('times read well, also where rounding would carry', () => {
  const known: [number, string][] = [
    [0, '0 ms'],
    [840, '840 ms'],
    [999.7, '1.0 s'],
    [3200, '3.2 s'],
    [59_960, '1 min 0 s'],
    [125_000, '2 min 5 s'],
    [119_700, '2 min 0 s'],
  ]
  for (const [ms, text] of known) assert.is(duration(ms), text)
})

test('sizes read well', () => {
  const known: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [20 * 2 ** 20, '20.0 MiB'],
    [3 * 2 ** 40, '3.0 TiB'],
    [2 ** 60, '1048576.0 TiB'],
  ]
  for (const [count, text] of known) assert.is(bytes(count), text)
})

test('one is, several are', () => {
  assert.is(areOrIs(['master02']), 'master02 is')
  assert.is(areOrIs(['master02', 'master04']), 'master02 and master04 are')
  assert.is(areOrIs(['a', 'b', 'c']), 'a, b and c are')
})

test('a failure is its sentence, the last six lines of the tool, the hint and the log', () => {
  const output = Array.from({ length: 9 }, (_, index) => `line ${index + 1}`).join('\n')
  const { text, exitCode } = presentError(
    new OperationError('It failed.', { output, hint: 'Do this.', log: '/tmp/log' }),
    false,
  )
  assert.is(
    text,
    'Error: It failed.\n  line 4\n  line 5\n  line 6\n  line 7\n  line 8\n  line 9\nNext: Do this.\nLog: /tmp/log',
  )
  assert.is(exitCode, 1)
})

test('what moves the cursor, colours or hides text is taken out of a failure and of warnings', () => {
  const evil = 'a\u001b[2Jb\u001b]0;title\u0007c\u009b31md\re\u0000\u007ff\tg'
  const { text } = presentError(new OperationError(`1 ${evil}`, { output: `2 ${evil}`, hint: `3 ${evil}` }), false)
  assert.is(text, 'Error: 1 abcdef\tg\n  2 abcdef\tg\nNext: 3 abcdef\tg')
  assert.match(presentError(new TypeError(evil), false).text, /^Bug: abcdef\tg\n/)
  assert.is(warningLines([evil, 'x']), 'Warning: abcdef\tg\nWarning: x\n')
})

test('of the cells of a table only the colours that we use stay', () => {
  chalk.level = 1
  const text = table([[chalk.red('down'), chalk.bold('m1\u001b[8mhidden\u001b[1A\u009b2K')]])
  const coloured = `${chalk.red('down')}  ${chalk.bold('m1hidden')}`
  chalk.level = 0
  assert.is(text, coloured)
  assert.is(table([['m1\u001b[31mred']]), 'm1red')
})

test('the exit code says which kind of failure it was', () => {
  assert.is(presentError(new UsageError('x'), false).exitCode, 2)
  assert.is(presentError(new Interrupted('SIGINT'), false).exitCode, 130)
  assert.is(presentError(new Interrupted('SIGTERM'), false).exitCode, 143)
  assert.is(presentError(new Interrupted('SIGPIPE'), false).exitCode, 141)
})

for (const [code, message] of [
  ['ENOSPC', /^Error: The disk is full: \/tmp\/x could not be written\.\nNext: /],
  ['EACCES', /^Error: No permission to use \/tmp\/x\.\nNext: /],
  ['EROFS', /^Error: \/tmp\/x is on a read-only file system\.\nNext: /],
  ['ENOTDIR', /^Error: \/tmp\/x is not a folder, /],
  ['EISDIR', /^Error: \/tmp\/x is a folder, /],
  ['EMFILE', /^Error: The system refused: too many\.$/],
] as const) {
  test(`the system's ${code} is a failure of the world, not a bug`, () => {
    const { text, exitCode } = presentError(
      Object.assign(new Error('too many'), { code, syscall: 'write', path: '/tmp/x' }),
      false,
    )
    assert.match(text, message)
    assert.is(exitCode, 1)
  })
}

test('a mistake of ours says so, and shows its stack only when asked', () => {
  const bug = new TypeError('x is undefined')
  assert.match(presentError(bug, false).text, /^Bug: x is undefined\nThis is a mistake in ha-etcd/)
  assert.not.match(presentError(bug, false).text, /\n +at /)
  assert.match(presentError(bug, true).text, /\n +at /)
  assert.is(presentError(bug, false).exitCode, 1)
  assert.match(presentError('thrown text', false).text, /^Bug: thrown text\n/)
})

test('a failure shows its stack only when asked', () => {
  assert.not.match(presentError(new OperationError('x'), false).text, /\n +at /)
  assert.match(presentError(new OperationError('x'), true).text, /\n +at /)
})

test.run()
