// A command line is taken exactly as it was meant, or refused with what would be right.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../tasks/core/errors.ts'
import { clusterFlags, helpText, numberFlag, parseCommandLine } from '../../../tasks/core/flags.ts'

const test = suite('flags')
const parse = (...args: string[]): Record<string, unknown> => ({
  ...parseCommandLine(args, clusterFlags, { usage: '', least: 0, most: 0 }).flags,
})

const accepted: [string[], Record<string, unknown>][] = [
  [[], {}],
  [['--masters', '5', '--yes'], { masters: '5', yes: true }],
  [['--masters=5'], { masters: '5' }],
  [['--cluster', 'a.b-c'], { cluster: 'a.b-c' }],
  [['--masters=-3'], { masters: '-3' }],
  [['--json', '--verbose', '--help'], { json: true, verbose: true, help: true }],
]

for (const [args, flags] of accepted) {
  test(`${args.join(' ') || 'no flag at all'} is accepted`, () => assert.equal(parse(...args), flags))
}

test('words beside the flags are taken where a verb has some, and no more and no fewer than it wants', () => {
  const wanted = { usage: 'HOST', least: 1, most: 2 }
  assert.equal(parseCommandLine(['a', '--json', 'b'], clusterFlags, wanted).words, ['a', 'b'])
  assert.throws(() => parseCommandLine(['--json'], clusterFlags, wanted), /^HOST is missing\.$/)
  assert.throws(() => parseCommandLine(['a', 'b', 'c'], clusterFlags, wanted), /^Unexpected argument "c"\.$/)
  assert.is(parseCommandLine(['--help'], clusterFlags, wanted).flags.help, true)
})

const refused: [string[], RegExp][] = [
  [['--master', '3'], /^Unknown flag --master\. Did you mean --masters\?$/],
  [['--bogus'], /^Unknown flag --bogus\. Valid: --cluster, --provider, .*--help\.$/],
  [['-v'], /^Unknown flag -v\./],
  [['-masters', '3'], /^Unknown flag -m\./],
  [['--no-json'], /^Unknown flag --no-json\./],
  [['--masters'], /^--masters needs a value: --masters N\.$/],
  [['--masters='], /^--masters needs a value/],
  [['--masters', '--yes'], /^--masters needs a value/],
  [['--masters', '-3'], /^--masters needs a value/],
  [['--json=yes'], /^--json takes no value\.$/],
  [['--json='], /^--json takes no value\.$/],
  [['--masters', '3', '--masters', '5'], /^--masters is given twice\.$/],
  [['--json', '--json'], /^--json is given twice\.$/],
  [['up'], /^Unexpected argument "up"\.$/],
  [['--json', 'yes'], /^Unexpected argument "yes"\.$/],
  [['--', '--json'], /^Unexpected argument "--json"\.$/],
]

for (const [args, message] of refused) {
  test(`${args.join(' ')} is refused`, () => {
    assert.throws(
      () => parse(...args),
      (error: Error) => error instanceof UsageError && message.test(error.message),
    )
  })
}

test('a number is a number of at least what it must be', () => {
  assert.is(numberFlag({}, 'seconds', 1), undefined)
  assert.is(numberFlag({ seconds: '2.5' }, 'seconds', 1, { decimals: true }), 2.5)
  for (const given of ['0', '-1', '1e3', 'abc', '0x10', ' 2', '2.5'])
    assert.throws(() => numberFlag({ keep: given }, 'keep', 1), /--keep must be a whole number of at least 1/, given)
  assert.throws(
    () => numberFlag({ seconds: '3601' }, 'seconds', 1, { most: 3600, decimals: true }),
    /--seconds must be a number from 1 to 3600, not "3601"/,
  )
})

test('help names every flag with its value, and ends with an example', () => {
  const text = helpText('up', 'Makes a cluster.', clusterFlags, 'Example: npx zx scripts/up.ts')
  for (const [name, flag] of Object.entries(clusterFlags))
    assert.match(text, `--${name}${flag.value ? ` ${flag.value}` : ''} `)
  assert.match(
    text,
    /^Makes a cluster\.\n\nUsage: npx zx scripts\/up\.ts \[flags\]\n[\s\S]*Example: npx zx scripts\/up\.ts\n$/,
  )
})

test.run()
