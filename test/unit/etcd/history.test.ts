// What a load's history is judged by; each promise broken on purpose.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { judgeHistory, type Operation } from '../../../tasks/etcd/history.ts'

const write = (key: string, start: number, end: number, revision: number, ok = true): Operation => ({
  kind: 'write',
  key,
  start,
  end,
  ok,
  revision,
})
const read = (key: string, start: number, end: number, revision: number, found = true): Operation => ({
  kind: 'read',
  key,
  start,
  end,
  ok: true,
  revision,
  found,
})

test('a history in which all held', () => {
  const report = judgeHistory(
    [write('a', 0, 10, 5), write('b', 20, 40, 6), read('a', 15, 18, 5), read('b', 41, 50, 6)],
    new Set(['a', 'b']),
    0,
    100,
  )
  assert.equal(report, {
    acknowledged: 2,
    failed: 0,
    failures: [],
    missing: 0,
    reads: 2,
    failedReads: 0,
    backwards: 0,
    longestStallMs: 60,
    writesPerSecond: 20,
  })
})

test('an acknowledged write that is not there afterwards is missing; one that failed need not be', () => {
  const refused = { ...write('b', 7, 10, 0, false), why: 'refused' }
  const report = judgeHistory([write('a', 0, 10, 5), refused], new Set(), 0, 100)
  assert.equal([report.missing, report.failed, report.failures], [1, 1, ['write at 7 ms: refused']])
})

test('a read that shows an older revision than what was answered before it started went back in time', () => {
  assert.is(
    judgeHistory([write('a', 0, 10, 5), write('b', 0, 12, 6), read('a', 13, 20, 5)], new Set(['a', 'b']), 0, 100)
      .backwards,
    1,
  )
  assert.is(judgeHistory([read('a', 0, 5, 9), read('a', 6, 8, 8)], new Set(), 0, 100).backwards, 1)
})

test('a read beside a write may show either side of it', () => {
  assert.is(judgeHistory([write('a', 0, 20, 6), read('x', 5, 15, 5)], new Set(['a']), 0, 100).backwards, 0)
})

test('a read that does not find what was acknowledged before it went back in time', () => {
  assert.is(judgeHistory([write('a', 0, 10, 5), read('a', 13, 20, 5, false)], new Set(['a']), 0, 100).backwards, 1)
})

test('the longest stall counts from the start and to the end', () => {
  assert.is(judgeHistory([write('a', 0, 70, 5), write('b', 0, 80, 6)], new Set(['a', 'b']), 0, 100).longestStallMs, 70)
})

test.run()
