// The order in which members have their turn: what is ill first, the leader last, nobody while the quorum is at risk.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { defragRules } from '../../../tasks/plans/defrag.ts'
import { inOrderOfRisk } from '../../../tasks/plans/in-turn.ts'
import { planOf } from '../../../tasks/plans/plan.ts'
import type { Observation } from '../../../tasks/plans/types.ts'
import { titleOf } from '../../../tasks/plans/words.ts'
import { healthy, observe } from '../../support/model.ts'

/** So many members, of which these answer and commit nothing. */
function seenOf(count: number, leader: string, ill: string[]): Observation {
  const seen = observe({ ...healthy(count, false), leader })
  const hosts = Object.entries(seen.hosts).map(([name, { answer, ...host }]) => {
    const commits = !ill.includes(name)
    return [name, { ...host, answer: answer && { ...answer, commits } }]
  })
  return { ...seen, hosts: Object.fromEntries(hosts) }
}
const order = (leader: string, ill: string[]): string[] => {
  const seen = seenOf(5, leader, ill)
  return inOrderOfRisk(seen, seen.recorded)
}

test('followers go by name, the leader last', () => {
  assert.equal(order('h2', []), ['h1', 'h3', 'h4', 'h5', 'h2'])
})

test('an unhealthy member goes first, the leader too', () => {
  assert.equal(order('h1', ['h4']), ['h4', 'h2', 'h3', 'h5', 'h1'])
  assert.equal(order('h3', ['h3']), ['h3', 'h1', 'h2', 'h4', 'h5'])
})

test('defrag: the leader hands over before its turn, and is the last', () => {
  const { acts } = planOf(defragRules(false), seenOf(3, 'h1', []))
  assert.equal(acts.map(titleOf), [
    'Defragment h2, and wait until it has caught up',
    'Defragment h3, and wait until it has caught up',
    'Hand leadership over from h1 to h2',
    'Defragment h1, and wait until it has caught up',
  ])
})

test('defrag of a single member: nobody takes the lead over', () => {
  assert.is(planOf(defragRules(false), seenOf(1, 'h1', [])).acts.length, 1)
})

test('nobody who is well has a turn while another is ill', () => {
  const { acts, obstacle } = planOf(defragRules(true), seenOf(3, 'h1', ['h3']))
  assert.equal(acts.map(titleOf).slice(1), ['Defragment h3, and wait until it has caught up'])
  assert.equal(obstacle, { code: 'others-ill', host: 'h2', hosts: ['h3'] })
})

test.run()
