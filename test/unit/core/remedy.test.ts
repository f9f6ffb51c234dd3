// A remedy is a value: what is to be done can be taken from it, and its text can be pasted.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { actionsIn, byHand, etcdctl, inText, ours, remedy } from '../../../tasks/core/remedy.ts'

const rebuild = remedy`rebuild it: ${ours('replace', 'master02')}`
const helps = remedy`${byHand('Bring it back')}, or ${rebuild}. ${etcdctl('member', 'remove', 'a1')}`

test('what is to be done comes in its order, that of a remedy within a remedy, too', () => {
  assert.equal(actionsIn(helps), [
    { byHand: 'Bring it back' },
    { verb: 'replace', words: ['master02'] },
    { etcdctl: ['member', 'remove', 'a1'] },
  ])
})

test('as text it has commands for this cluster, to be pasted', () => {
  assert.is(
    inText({ name: 'b' }, helps),
    'Bring it back, or rebuild it: npx zx scripts/replace.ts --cluster b master02. ' +
      'eval "$(npx zx scripts/env.ts --cluster b)" && etcdctl member remove a1',
  )
  assert.match(inText({ name: 'b' }, [ours('restore', "of Bob's.db")]), `restore.ts --cluster b 'of Bob'\\''s.db'`)
})

test.run()
