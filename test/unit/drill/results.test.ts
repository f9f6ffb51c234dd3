// What a drill makes of a load's history: each promise broken on purpose.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { broken, resultOf, slices, type Window } from '../../../tasks/drill/results.ts'
import type { Operation } from '../../../tasks/etcd/history.ts'

const write = (key: string, start: number, end: number, ok = true): Operation => ({
  kind: 'write',
  key,
  start,
  end,
  ok,
  revision: 1,
})
const window: Window = { name: 'a member dies', did: '', healedBy: 'up', struck: 100, healed: 200, outage: false }
const fine = { missing: 0, backwards: 0 }

test('a write belongs to the fault in which it was begun', () => {
  const all = [write('a', 50, 60), write('b', 100, 110), write('c', 150, 190, false), write('d', 201, 205)]
  const result = resultOf(window, all, new Set(['a', 'b', 'd']))
  assert.equal([result.acknowledged, result.failed, result.lost, result.tookMs], [1, 1, 0, 100])
})

test('the stall of a fault is the longest gap that touches it', () => {
  const all = [write('a', 0, 10), write('b', 15, 20), write('c', 90, 130), write('d', 190, 260), write('e', 300, 900)]
  assert.is(resultOf(window, all, new Set()).stallMs, 130)
})

test('a write that was acknowledged and is gone is lost, and the drill has failed', () => {
  const result = resultOf(window, [write('a', 100, 110)], new Set())
  assert.is(result.lost, 1)
  assert.equal(broken([result], { missing: 1, backwards: 0 }), ['1 acknowledged writes are lost'])
})

test('writes may fail only while no quorum is there', () => {
  const failed = resultOf(window, [write('a', 100, 110, false)], new Set())
  assert.match(broken([failed], fine).join(), '1 writes failed twice, though a quorum was there (a member dies)')
  assert.equal(broken([{ ...failed, outage: true }], fine), [])
  assert.equal(broken([], { missing: 0, backwards: 2 }), ['2 reads went back in time'])
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
