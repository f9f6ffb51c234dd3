// Who comes and who goes when a cluster is scaled, from what is seen of it.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { planOf } from '../../../tasks/plans/plan.ts'
import { movesTo, scaleRules } from '../../../tasks/plans/scale.ts'
import type { Observation } from '../../../tasks/plans/types.ts'

/** Voters on hosts a to e, of which some are down. */
function five(down: string[]): Observation {
  const names = ['a', 'b', 'c', 'd', 'e']
  const answer = (host: string) => ({
    member: host,
    learner: false,
    follows: true,
    commits: true,
    index: 1,
    version: '3.6.14',
  })
  return {
    hosts: Object.fromEntries(
      names.map((host) => [
        host,
        { ready: true, empty: false, answer: down.includes(host) ? undefined : answer(host) },
      ]),
    ),
    members: names.map((host) => ({ id: host, host, learner: false, started: true })),
    leader: 'a',
    findings: [],
    strict: false,
    recorded: names,
    replacing: {},
    backups: [],
    uncovered: {},
    done: [],
  }
}

test('of those that go, a member that is down goes first, else the last in the record', () => {
  assert.equal(movesTo(five([]), ['a', 'b', 'c']).leaving, ['e', 'd'])
  assert.equal(movesTo(five(['d']), ['a', 'b', 'c']).leaving, ['d', 'e'])
})

test('where nobody may be added beside a member of no host, that member is named, and no empty list', () => {
  const seen = five([])
  const members = [...(seen.members ?? []), { id: 'x', learner: false, started: true }]
  const planned = (strict: boolean, some: Observation): unknown =>
    planOf(scaleRules({ ...some, members, strict }, ['a', 'b', 'c', 'd', 'e', 'f', 'g']), { ...some, members, strict })
      .obstacle
  assert.equal(planned(true, seen), { code: 'stranger-member', id: 'x', is: 'it votes' })
  assert.equal(planned(true, five(['d'])), { code: 'voters-down', hosts: ['d'] })
})

test('a host is exchanged for another: the old one goes, down or not, then the new one comes', () => {
  const acts = (down: string[]): string[] => {
    const seen = { ...five(down), strict: true }
    return planOf(scaleRules(seen, ['a', 'b', 'c', 'd', 'f']), seen)
      .acts.map((act) => act.do)
      .filter((what) => ['add learner', 'promote', 'remove member', 'remove host'].includes(what))
  }
  for (const down of [[], ['e']]) assert.equal(acts(down), ['remove member', 'remove host', 'add learner', 'promote'])
})

test.run()
