// What a drill makes of a load's history: each promise broken on purpose.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { broken, resultOf, slices, type Window } from '../../../tasks/drill/results.ts'
import { judgeHistory, type LoadReport, type Operation } from '../../../tasks/etcd/history.ts'

const write = (key: string, start: number, end: number, ok = true): Operation => ({
  kind: 'write',
  key,
  start,
  end,
  ok,
  revision: 1,
})
const window: Window = { name: 'a member dies', did: '', healedBy: 'up', struck: 100, healed: 200, outage: false }

/** What an exercise says of these operations, with this one fault, when these keys are there at its end. */
const said = (
  all: Operation[],
  there: string[],
  fault: Partial<Window> = {},
  more: Partial<LoadReport> = {},
): string[] => {
  const keys = new Set(there)
  return broken([resultOf({ ...window, ...fault }, all, keys)], { ...judgeHistory(all, keys, 0, 999), ...more }, all)
}

test('a write belongs to the fault that it met: at work when it was made, or begun before it was healed', () => {
  const all = [write('a', 50, 60), write('b', 90, 110), write('c', 150, 190, false), write('d', 201, 205)]
  const result = resultOf(window, all, new Set(['a', 'd']))
  assert.equal([result.acknowledged, result.failed, result.lost, result.tookMs], [1, 1, 1, 100])
})

test('the stall of a fault is the longest gap that touches it', () => {
  const all = [write('a', 0, 10), write('b', 15, 20), write('c', 90, 130), write('d', 190, 260), write('e', 300, 900)]
  assert.is(resultOf(window, all, new Set()).stallMs, 130)
})

test('all held', () => assert.equal(said([write('a', 100, 110)], ['a']), []))

test('a write that was acknowledged and is gone is lost, whatever it met', () => {
  assert.equal(said([write('a', 100, 110)], []), ['1 acknowledged write lost'])
  assert.equal(said([write('a', 10, 20)], []), ['1 acknowledged write lost'])
})

test('writes may fail only while no quorum is there', () => {
  const all = [write('a', 0, 10), write('b', 90, 110, false)]
  assert.equal(said(all, ['a']), ['1 write failed twice, though a quorum was there (a member dies)'])
  assert.equal(said(all, ['a'], { outage: true }), [])
  const before = [write('a', 0, 10), write('b', 20, 30, false)]
  assert.equal(said(before, ['a'], { outage: true }), ['1 write failed twice while nothing was broken'])
})

test('no read goes back in time, and something was written at all', () => {
  assert.equal(said([write('a', 0, 10)], ['a'], {}, { backwards: 2 }), ['2 reads went back in time'])
  assert.equal(said([], []), ['no write was acknowledged'])
})

test('time is cut in pieces; one in which nothing was acknowledged is a gap', () => {
  const all = [write('a', 0, 10), write('b', 0, 30), write('c', 0, 40), write('d', 120, 130)]
  assert.equal(slices(all, 0, 150, 50), [
    { at: 0, median: 30, worst: 40 },
    { at: 50, median: undefined, worst: undefined },
    { at: 100, median: 10, worst: 10 },
  ])
})

test.run()
