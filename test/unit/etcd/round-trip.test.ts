// How long is waited for members that are far away, by what connections to them took.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { inRun, Run } from '../../../tasks/core/run.ts'
import { overTheWay, roundTripMs, tookToConnect } from '../../../tasks/etcd/round-trip.ts'

const here = (act: () => void): void => inRun(new Run(), act)

test('before anybody was reached, and for those that are near, a limit is what it is', () =>
  here(() => {
    assert.is(overTheWay(1500), 1500)
    tookToConnect('127.0.0.1', 0)
    assert.is(overTheWay(1500), 1500)
  }))

test('a question gets a dozen round trips more, by the farthest member', () =>
  here(() => {
    tookToConnect('a', 20)
    tookToConnect('b', 200)
    assert.is(overTheWay(1500), 3900)
    assert.is(overTheWay(1000, 2), 1400)
  }))

test('a connection that had to be tried again makes nobody far', () =>
  here(() => {
    tookToConnect('a', 1200)
    tookToConnect('a', 200)
    tookToConnect('a', 3200)
    assert.is(roundTripMs(), 200)
  }))

test('where connections to a member differ, by lost packets or load, a question may take that much four times', () =>
  here(() => {
    tookToConnect('a', 200)
    tookToConnect('a', 500)
    assert.is(overTheWay(1500), 1500 + 12 * 200 + 4 * 300)
    tookToConnect('b', 3200)
    tookToConnect('b', 200)
    assert.is(overTheWay(1500), 1500 + 12 * 200 + 4 * 1000, 'but no longer than TCP waits for one lost packet')
  }))

test.run()
