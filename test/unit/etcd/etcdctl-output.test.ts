// etcdctl's output: ids stay exact, durations become milliseconds, and the cause of a failure is found.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hex, lastWords, milliseconds, parse, reasonFor } from '../../../tasks/etcd/etcdctl-output.ts'

const test = suite('etcdctl output')
const failed = (stderr: string) => ({ stdout: '', stderr, exitCode: 1 })

test('an id above 2^53 keeps every digit', () => {
  const answer = parse<{ ID: string; list: string[] }>(
    '{"ID":11033368165055331702,"list":[18446744073709551615, 9007199254740993]}',
  )
  assert.equal(answer, { ID: '11033368165055331702', list: ['18446744073709551615', '9007199254740993'] })
  assert.is(hex(answer?.ID), '991e65e38a39fd76')
})

test('an id of few digits, or one that comes as text, is read as well', () =>
  assert.equal([hex(255), hex('255'), hex(undefined)], ['ff', 'ff', '0']))

test('small numbers, and digits inside text, stay as they are', () => {
  assert.equal(
    parse('{"dbSize":20480,"rate":0.0000000000000000125,"name":"a:1234567890123456789,\\"1234567890123456789\\""}'),
    {
      dbSize: 20480,
      rate: 1.25e-17,
      name: 'a:1234567890123456789,"1234567890123456789"',
    },
  )
})

test('what is no JSON is undefined', () => assert.is(parse('Error: no'), undefined))

test("Go's durations become milliseconds", () =>
  assert.equal(['5.789219ms', '2.000351483s', '300µs', '1m2s', ''].map(milliseconds), [5.79, 2000.35, 0.3, 62_000, 0]))

test('the cause below an exceeded deadline is what is said', () => {
  const log =
    '{"level":"warn","error":"rpc error: code = DeadlineExceeded desc = latest balancer error: ' +
    'connection error: desc = \\"transport: Error while dialing dial tcp 127.0.0.1:1: connect: connection refused\\""}'
  assert.is(
    lastWords(failed(`${log}\nError: context deadline exceeded`)),
    'dial tcp 127.0.0.1:1: connect: connection refused',
  )
})

test('each endpoint gets its own reason', () => {
  const result = failed(
    'Failed to get the status of endpoint https://a:1 (context deadline exceeded)\nFailed to get the ' +
      'status of endpoint https://b:1 (connection refused)',
  )
  assert.equal(
    [reasonFor('https://a:1', result), reasonFor('https://b:1', result)],
    ['context deadline exceeded', 'connection refused'],
  )
})

test('an etcdctl that had to be killed is said to be late', () =>
  assert.is(lastWords({ stdout: '', stderr: '', exitCode: 124 }), 'etcdctl did not end in time'))

test.run()
