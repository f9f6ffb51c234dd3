// What restore says is lost, before it asks.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loss } from '../../../tasks/operations/restore.ts'

const blue = { name: 'blue' }

test('of its own snapshot what was written after it, and by how much members are further', () => {
  const said = loss(blue, { revision: 5, metadata: { cluster: 'blue' } }, { live: 66 })
  assert.match(said, /^Every write after it is lost \(the members are 61 revisions further\);/)
  assert.match(loss(blue, { revision: 5, metadata: undefined }, { live: 0 }), /^Every write after it is lost;/)
})

test("of another cluster's snapshot everything, and no revisions are compared", () => {
  const said = loss(blue, { revision: 5, metadata: { cluster: 'green' } }, { live: 66 })
  assert.match(said, /^Nothing of blue is in it: all of that is lost;/)
})

test.run()
