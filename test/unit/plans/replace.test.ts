// Who is replaced, and who is gone on with, once a replacement was killed.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { goalsOf } from '../../../tasks/plans/replace.ts'
import { healthy, killed, observe, stopped, type World } from '../../support/model.ts'
import { replace } from '../../support/verbs-in-memory.ts'
import { walk } from '../../support/walk.ts'

/** After the first acts of a replacement of h1 and h2. */
function cutShort(acts: number): World {
  let step = walk(healthy(3, false), replace('h1', 'h2'))
  for (let done = 0; done < acts && step.next; done++) step = step.next
  return killed(step.world)
}

const whoGoes = (world: World): (string | undefined)[] => goalsOf(observe(world), ['h1', 'h2']).map(({ old }) => old)

test('a new member that answers is gone on with; one that went down meanwhile is replaced again', () => {
  for (const acts of [7, 8]) {
    const world = cutShort(acts) // h1's new member, 4, learns, or votes
    assert.equal(whoGoes(world), ['1', '2'])
    assert.equal(whoGoes(stopped(world, 'h1')), ['4', '2'])
  }
})

test.run()
