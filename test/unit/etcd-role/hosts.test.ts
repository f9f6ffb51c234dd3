// The table of the hosts' checks, as a person reads it.
import { stripVTControlCharacters } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type HostCheck, hostTable, unfit } from '../../../tasks/etcd-role/hosts.ts'

const row = (check: string, ok = true): HostCheck => ({
  check,
  ok,
  warning: false,
  detail: `${check} is wrong.`,
  remedy: 'Mend it.',
})

/** The lines of the table for hosts of these names, of which the last lacks memory. */
function lines(...names: string[]): string[] {
  const found = new Map(names.map((name, index) => [name, [row('Python'), row('memory', index < names.length - 1)]]))
  return stripVTControlCharacters(hostTable(found)).split('\n')
}

test('a row for each check, a column for each host, and what is wrong in words', () => {
  assert.equal(lines('s1', 's2'), [
    '        s1  s2',
    'Python  ✔   ✔',
    'memory  ✔   ✖',
    '✖ s2: memory is wrong. Mend it.',
  ])
})

test('a domain that all share stands in the words only', () => {
  assert.equal(lines('s1.example', 's2.example').at(0), '        s1  s2')
  assert.match(lines('s1.example', 's2.example').at(-1) ?? '', '✖ s2.example: ')
  assert.equal(lines('s1.example', 's2').at(0), '        s1.example  s2')
  assert.equal(lines('10.1.1.1', '11.1.1.1').at(0), '        10.1.1.1  11.1.1.1')
})

test('hosts that 80 columns do not hold stand in a further table', () => {
  const nine = lines(...Array.from({ length: 9 }, (_, index) => `master0${index + 1}`))
  assert.ok(
    nine.every((line) => line.length <= 80),
    nine.join('\n'),
  )
  for (let index = 1; index <= 9; index++)
    assert.is(nine.filter((line) => line.includes(`master0${index}`) && !line.startsWith('✖')).length, 1)
  assert.is(nine.filter((line) => line.startsWith('memory')).length, 2)
  assert.is(lines('a'.repeat(63), 'b'.repeat(63)).filter((line) => line.startsWith('Python')).length, 2)
})

test('the first host that cannot carry etcd is the failure, and the others stand below it', () => {
  assert.is(unfit(new Map([['s1', [row('Python')]]])), undefined)
  const lacking = (name: string): [string, HostCheck[]] => [name, [row('memory', false)]]
  const failure = unfit(new Map([lacking('s1'), lacking('s2')]))
  assert.is(failure?.message, 's1: memory is wrong.')
  assert.equal(failure?.more, { hint: 'Mend it.', output: 'Also: s2: memory is wrong. Mend it.' })
})

test.run()
