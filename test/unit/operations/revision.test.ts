import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { raisedRevision, reachedBy } from '../../../tasks/operations/revision.ts'

test('restored data is raised far above everything that is known, whoever knows it', () => {
  for (const [recorded, live, noted, snapshot] of [
    [5_000, [], [], 900],
    [undefined, [5_000, 4_000], [], 900],
    [undefined, [], [5_000, 10], 900],
    [undefined, [], [], 5_000],
    [5_000, [4_000], [3_000], 5_000],
  ] as const)
    assert.is(raisedRevision(reachedBy(recorded, [...live], [...noted]), snapshot), 1_000_005_000)
})

test('the same snapshot, restored twice, is raised higher the second time', () => {
  const first = raisedRevision(reachedBy(900, [], []), 900)
  assert.ok(raisedRevision(reachedBy(first, [], []), 900) > first + 900_000_000)
})

test('only a record or a member that answers knows the past: backups may be older than an earlier restore', () => {
  assert.equal(
    [reachedBy(0, [], []), reachedBy(undefined, [7], []), reachedBy(undefined, [], [7])].map(({ known }) => known),
    [true, true, false],
  )
})

test.run()
