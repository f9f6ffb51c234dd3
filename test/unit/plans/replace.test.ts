// Who is replaced, and who is gone on with, once a replacement was killed.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { planOf } from '../../../tasks/plans/plan.ts'
import { replaceRules } from '../../../tasks/plans/replace.ts'
import { healthy, killed, observe, stopped, type World } from '../../support/model.ts'
import { replace } from '../../support/verbs-in-memory.ts'
import { walk } from '../../support/walk.ts'

/** After the first acts of a replacement of h1 and h2. */
function cutShort(acts: number): World {
  let step = walk(healthy(3, false), replace('h1', 'h2'))
  for (let done = 0; done < acts && step.next; done++) step = step.next
  return killed(step.world)
}

const removed = (world: World): string[] => {
  const seen = observe(world)
  return planOf(replaceRules(seen, ['h1', 'h2']), seen).acts.flatMap((act) =>
    act.do === 'remove member' ? [`${act.host} ${act.id}`] : [],
  )
}

test('a new member that answers is gone on with; one that went down meanwhile is replaced again', () => {
  for (const acts of [7, 8]) {
    const world = cutShort(acts) // h1's new member learns, or votes
    assert.equal(removed(world), ['h2 2'])
    assert.equal(removed(stopped(world, 'h1')), ['h1 4', 'h2 2'])
  }
})

test.run()
