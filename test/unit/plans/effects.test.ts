// What acts make of what is seen, where no verb's plan shows it: real clusters did otherwise once.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { effectOf } from '../../../tasks/plans/effects.ts'
import type { Act, Observation } from '../../../tasks/plans/types.ts'
import { healthy, observe } from '../../support/model.ts'

const three = observe(healthy(3, false))
const after = (act: Act): Observation => {
  const then = effectOf(three, act)
  assert.not.type(then, 'string')
  return then as Observation
}

test('who leads and is removed leads no more', () => {
  assert.is(three.leader, 'h1')
  assert.is(after({ do: 'remove member', host: 'h1', id: '1' }).leader, 'h2')
  assert.is(after({ do: 'remove member', host: 'h2', id: '2' }).leader, 'h1')
})

test.run()
