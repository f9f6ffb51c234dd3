// A remedy is a value: what is to be done can be taken from it, and its text can be pasted.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { byHand, etcdctl, inText, ours, remedy, waysIn } from '../../../tasks/core/remedy.ts'

const rebuild = remedy`rebuild it: ${ours('replace', 'master02')}`
const helps = remedy`${byHand('Bring it back')}, or ${rebuild}. ${etcdctl('member', 'remove', 'a1')}`

test('the ways come in their order, those of a remedy within a remedy, too; what && joins is one', () => {
  assert.equal(waysIn(helps), [
    [{ byHand: 'Bring it back' }],
    [{ verb: 'replace', words: ['master02'] }],
    [{ etcdctl: ['member', 'remove', 'a1'] }],
  ])
  const [pki, role] = [ours('pki'), ours('etcd-role')]
  assert.equal(waysIn(remedy`Renew: ${pki} && ${role}. Or: ${rebuild}`), [
    [pki, role],
    [{ verb: 'replace', words: ['master02'] }],
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
