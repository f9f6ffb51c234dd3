// Which of all that is wrong an operation names, and what it tolerates.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Answer, EndpointStatus, Member } from '../../../tasks/etcd/etcdctl.ts'
import { actionsOf, type Finding, rankOf } from '../../../tasks/etcd/findings.ts'
import { type Answers, findingsOf, firstOf, type GuardOptions } from '../../../tasks/operations/guard.ts'
import { testCluster } from '../../support/cluster.ts'
import { cluster, codes, said, sample } from '../../support/findings.ts'

const { hosts } = testCluster()
const members: Member[] = hosts.map(({ name, peerURL, clientURL }, index) => ({
  id: `a${index}`,
  name,
  peerURLs: [peerURL],
  clientURLs: [clientURL],
  isLearner: false,
}))
const ok = <T>(value: T): Answer<T> => ({ endpoint: '', ok: true, value })
const no = (reason: string): Answer<never> => ({ endpoint: '', ok: false, reason })
const status = (leaderId = 'a0'): EndpointStatus => ({ leaderId }) as EndpointStatus

const well: Answers = {
  health: hosts.map(() => ok({})),
  statuses: hosts.map(() => ok(status())),
  members: ok(members),
  alarms: ok([]),
}
const found = (changes: Partial<Answers>): Finding[] => findingsOf(hosts, hosts, { ...well, ...changes })
const named = (changes: Partial<Answers>, options: GuardOptions = {}): string => {
  const { code, host } = firstOf(found(changes), options) ?? {}
  return code ? [code, host].filter(Boolean).join(' ') : 'nothing'
}

const full = ok([{ memberId: 'a2', alarm: 'NOSPACE' }])
const without = (...gone: number[]): Answers['members'] => ok(members.filter((_, index) => !gone.includes(index)))

test('a cluster that is well is refused nothing', () => assert.equal(found({}), []))

test('of all that is wrong the first in the ranking is named, whoever asks', () => {
  const ill = { members: without(1), alarms: full }
  for (const verb of ['', 'restart', 'defrag --disarm']) assert.is(named(ill, { verb }), 'member-missing master02')
  const worse = { ...ill, statuses: [ok(status()), ok(status('')), ok(status())] }
  assert.is(named(worse), 'no-leader master02')
  assert.is(named({ ...worse, alarms: no('timed out') }), 'no-quorum')
})

test('a member that does not commit is named; a full database alone keeps none from that', () => {
  assert.is(named({ health: [ok({}), no('timed out'), ok({})] }), 'commits-nothing master02')
  assert.is(named({ health: hosts.map(() => no('mvcc: database space exceeded')), alarms: full }), 'no-space master03')
})

test('a learner, which commits nothing, is named as one', () => {
  const learner = ok({ ...status(), isLearner: true })
  const listed = ok(members.map((member, index) => ({ ...member, isLearner: index === 2 })))
  const health = [ok({}), ok({}), no('rpc not supported for learner')]
  assert.is(
    named({ health, statuses: [ok(status()), ok(status()), learner], members: listed }),
    'learner-left master03',
  )
})

test('where data is damaged that is named, though nobody answers a read', () => {
  const corrupt = ok([{ memberId: 'a1', alarm: 'CORRUPT' }])
  assert.is(named({ health: hosts.map(() => no('etcdserver: corrupt cluster')), alarms: corrupt }), 'corrupt master02')
})

test('a full database stops neither its cure nor a backup, but a restart', () => {
  assert.is(named({ alarms: full }), 'no-space master03')
  assert.is(named({ alarms: full }, { verb: 'defrag --disarm' }), 'nothing')
  assert.is(named({ alarms: full }, { allow: ['no-space'] }), 'nothing')
  assert.is(named({ alarms: full }, { allowDown: ['master03'] }), 'no-space master03')
})

test('a host that the operation is about may be out of the cluster; it may not be called otherwise', () => {
  assert.is(named({ members: without(1) }, { allowDown: ['master02'] }), 'nothing')
  const other = ok(members.map((member, index) => (index === 1 ? { ...member, clientURLs: ['https://x'] } : member)))
  assert.is(named({ members: other }, { allowDown: ['master02'] }), 'other-client-url master02')
})

test('a lost member and a full database: replace goes first, defrag names it, none names the other in a circle', () => {
  const both = { members: without(1), alarms: full }
  assert.is(named(both, { verb: 'replace', allowDown: ['master02'] }), 'nothing')
  assert.is(named(both, { verb: 'defrag --disarm' }), 'member-missing master02')
})

test('a downgrade that is enabled is ended though a member is lost, which could not be replaced before', () => {
  assert.is(named({ members: without(1) }, { verb: 'downgrade --cancel', allowDown: [] }), 'nothing')
})

test('two lost members: each may be replaced by itself', () => {
  for (const host of ['master02', 'master03'])
    assert.is(named({ members: without(1, 2) }, { verb: 'replace', allowDown: [host] }), 'nothing')
})

test('damaged data stops a replacement and a growth, which would copy it, until the alarm is lowered', () => {
  const corrupt = { alarms: ok([{ memberId: 'a1', alarm: 'CORRUPT' }]) }
  assert.is(named(corrupt, { verb: 'replace', allowDown: ['master03'] }), 'corrupt master02')
  assert.is(named(corrupt, { verb: 'replace', allowDown: ['master02'] }), 'corrupt master02')
  assert.is(named(corrupt, { verb: 'scale', allowDown: ['master04'] }), 'corrupt master02')
})

/** The options with which a verb asks the guard; undefined: it asks none. */
function asked(verb: string, words: string[]): GuardOptions | undefined {
  const allowDown = words.filter((word) => !word.startsWith('-'))
  if (verb === 'replace' || verb === 'scale') return { verb, allowDown }
  if (verb === 'defrag' || words.includes('--cancel')) return { verb: [verb, ...words].join(' ') }
  if (verb === 'backup') return { allow: ['no-space'] }
  return ['restart', 'rotate-certs'].includes(verb) ? { allowDown } : undefined
}

test('no verb refuses because of what its remedy sends a person to it for', () => {
  // No guard looks for what the role finds, or a move that was begun; where data is damaged the alarm is lowered first.
  const guarded = codes.filter((code) => !said[code] && code !== 'corrupt' && code !== 'move-begun')
  for (const code of guarded)
    for (const action of actionsOf(cluster, sample(code))) {
      const options = 'verb' in action && asked(action.verb, action.words)
      if (options) assert.is(firstOf([sample(code)], options), undefined, `${code}: ${JSON.stringify(action)}`)
    }
})

test('a verb tolerates all that ranks below what it cures', () => {
  for (const [verb, cured] of [
    ['replace', 'other-data'],
    ['downgrade --cancel', 'downgrade-enabled'],
    ['scale', 'member-missing'],
    ['defrag --disarm', 'no-space'],
  ] as const)
    for (const code of codes.slice(rankOf(cured)))
      assert.is(firstOf([sample(code)], { verb, allowDown: ['HOST'] }), undefined, `${verb}: ${code}`)
})

test.run()
