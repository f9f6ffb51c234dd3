// The comparison of what an act made with what was foreseen: it names what rules read, and passes over what may differ.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { effectOf } from '../../../tasks/plans/effects.ts'
import type { Act, Observation } from '../../../tasks/plans/types.ts'
import { differences, differencesIn } from '../../support/conformance.ts'
import { carriedOut, healthy, observe, stopped, type World } from '../../support/model.ts'

/** h3 has no member any more, and is to get a new one. */
const gone: Act = { do: 'remove member', host: 'h3', id: '3' }
const added: Act = { do: 'add learner', host: 'h3' }
const world = carriedOut(stopped(healthy(3, false), 'h3'), gone) as World
const [before, after] = [observe(world), observe(carriedOut(world, added) as World)]
const found = (then: Observation, act: Act = added): string[] =>
  differences(before, act, effectOf(before, act), then).map((one) => one.split(': ')[1] ?? '')

const withAnswer = (host: string, change: object): Observation => {
  const seen = after.hosts[host]
  return { ...after, hosts: { ...after.hosts, [host]: { ready: true, empty: false, ...seen, ...change } } }
}

test('a new id, another leader and another raft index are no differences', () => {
  const answer = { ...after.hosts.h2?.answer, index: 900 }
  const members = after.members?.map((one) => (one.host === 'h3' ? { ...one, id: 'another' } : one))
  assert.equal(found({ ...withAnswer('h2', { answer }), members, leader: 'h2' }), [])
})

test('what the rules read is compared: members, answers, hosts, the record', () => {
  assert.match(found(before).join(), 'members is h1 1 started, h2 2 started, foreseen was')
  assert.equal(found(withAnswer('h2', { answer: undefined })).length, 2)
  assert.match(found(withAnswer('h2', { answer: { ...after.hosts.h2?.answer, index: 5000 } })).join(), 'lags')
  assert.match(found(withAnswer('h1', { ready: false })).join(), 'h1 ready is false, foreseen was true')
  assert.match(found({ ...after, replacing: { h3: '3' } }).join(), 'replacing')
  assert.match(found({ ...after, leader: 'h3' }).join(), 'leader is no voter')
})

test('an act that was foreseen as refused, and is done', () => {
  assert.match(differences(before, added, 'no quorum', after).join(), 'foreseen as refused (no quorum)')
})

test('a run is compared by its log', () => {
  const log = (then: Observation): string =>
    ['PLAY [etcd]', `Seen: ${JSON.stringify({ seen: before })}`, `Seen: ${JSON.stringify({ act: added, seen: then })}`]
      .concat('')
      .join('\n')
  assert.equal(differencesIn(log(after)), [])
  assert.is(differencesIn(log({ ...before, done: after.done })).length, 1)
})

test.run()
