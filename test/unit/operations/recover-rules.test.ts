// How far a killed recovery has come, and when there is nothing to recover.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Begun } from '../../../tasks/core/cluster.ts'
import type { HostData } from '../../../tasks/observe/host-data.ts'
import { leavesAuthority } from '../../../tasks/operations/authority-rules.ts'
import { isGone, isInTheWay, mayBeBack, standsBy } from '../../../tasks/operations/recover-rules.ts'

const forced: Begun = { verb: 'recover', from: 'a' }
const raising: Begun = { ...forced, revision: 1 }
const formed: Begun = { verb: 'recover' }
const restoring: Begun = { verb: 'restore' }

test('what was noted, and who votes, say how far it came', () => {
  assert.equal(
    [standsBy(undefined, 1), standsBy(forced, 0), standsBy(forced, 1)],
    ['not formed', 'not formed', 'forced'],
  )
  assert.equal([standsBy(raising, 0), standsBy(raising, 1), standsBy(formed, 1)], ['raising', 'raising', 'formed'])
})

test('a quorum is in the way, but for the one that an earlier run has formed', () => {
  assert.equal([isInTheWay(undefined, 0), isInTheWay(undefined, 2), isInTheWay(forced, 2)], [false, true, true])
  assert.equal([isInTheWay(forced, 1), isInTheWay(formed, 2)], [false, false])
})

test('a member that is raised has its data, or what was staged of it; else it is gone', () => {
  const there = (name: string, hasData: boolean, restored: string): HostData[] =>
    [{ host: { name }, hasData, restored }] as HostData[]
  const gone = (all: HostData[], begun = raising): boolean => isGone(begun, standsBy(begun, 0), all)
  assert.equal([gone(there('a', true, '')), gone(there('a', false, 'token'))], [false, false])
  assert.equal([gone(there('a', false, '')), gone(there('b', true, ''))], [true, true])
  assert.is(gone(there('a', false, ''), forced), false)
})

test('a half-done restore or recover leaves an authority that cannot issue', () => {
  const leaves = (begun?: Begun): string =>
    [leavesAuthority(begun, true, false), leavesAuthority(begun, false, true)].join()
  const none = 'false,false'
  const all = [undefined, restoring, forced, raising, formed, { verb: 'adopt' } as const]
  assert.equal(all.map(leaves), [none, ...Array.from({ length: 4 }, () => 'true,true'), none])
  assert.is(leavesAuthority(forced, false, false), false)
})

test('until the others are parted from their data, those who have some may be a quorum again', () => {
  const are = (begun: Begun | undefined, ...withData: string[]): boolean =>
    mayBeBack(
      begun,
      ['a', 'b', 'c'].map((name) => ({ host: { name }, hasData: withData.includes(name) })) as HostData[],
    )
  assert.equal([are(forced, 'a'), are(forced, 'a', 'b'), are(forced, 'b'), are(forced)], [false, true, true, false])
  assert.equal([are(raising, 'a', 'b'), are(formed, 'a', 'b'), are(undefined, 'a', 'b')], [false, false, false])
  const alone = [{ host: { name: 'a' }, hasData: true }] as HostData[]
  assert.is(mayBeBack(forced, alone), false)
})

test.run()
