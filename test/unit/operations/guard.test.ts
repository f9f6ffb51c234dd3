// Which of all that is wrong an operation names, and what it tolerates.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Finding, rankOf, waysOf } from '../../../tasks/etcd/findings.ts'
import { seenIn } from '../../../tasks/observe/seen.ts'
import {
  curable,
  firstOf,
  type GuardOptions,
  obstacle,
  obstacleToMove,
  ofReplace,
  ofScale,
} from '../../../tasks/operations/guard.ts'
import { answersOf, behind, type Changes, memberOn, no, ok, statusWith } from '../../support/answers.ts'
import { testCluster } from '../../support/cluster.ts'
import { cluster, codes, said, sample } from '../../support/findings.ts'

const { hosts } = testCluster()
const names = hosts.map(({ name }) => name)
const named = (changes: Changes, options: GuardOptions = {}): string => {
  const { answers, findings } = seenIn(answersOf(hosts, changes), names)
  const seen = names.map((name) => [name, { ready: true, empty: false, answer: answers[name] }])
  const { code, host } = obstacle({ findings, hosts: Object.fromEntries(seen), recorded: names }, options) ?? {}
  return code ? [code, host].filter(Boolean).join(' ') : 'nothing'
}

const down = (host: string) => behind({ code: 'member-down', host, at: '', reason: '' })
const full = ok([{ memberId: 'a2', alarm: 'NOSPACE' }])
const without = (...gone: number[]): Changes['listed'] =>
  ok(hosts.map(memberOn).filter((_, index) => !gone.includes(index)))

test('a cluster that is well is refused nothing', () => assert.is(named({}), 'nothing'))

test('of all that is wrong the first in the ranking is named, whoever asks', () => {
  const ill = { listed: without(1), alarms: full }
  for (const verb of ['', 'restart', 'defrag --disarm']) assert.is(named(ill, { verb }), 'member-missing master02')
  const worse = { ...ill, hosts: { 1: { status: statusWith({ leaderId: '' }) } } }
  assert.is(named(worse), 'no-leader master02')
  assert.is(named({ ...worse, alarms: no('timed out') }), 'call-fails master01')
})

test('a member that does not commit is named; a full database alone keeps none from that', () => {
  assert.is(named({ hosts: { 1: { health: no('timed out') } } }), 'commits-nothing master02')
  const noSpace = hosts.map(() => ({ health: no('mvcc: database space exceeded') }))
  assert.is(named({ hosts: noSpace, alarms: full }), 'no-space master03')
  assert.is(named({ hosts: noSpace, alarms: full }, { allow: ['no-space', 'takes-no-writes'] }), 'nothing')
})

test('a learner, which commits nothing, is named as one', () => {
  const learner = { status: statusWith({ isLearner: true }), health: no('rpc not supported for learner') }
  assert.is(named({ hosts: { 2: learner }, members: { 2: { isLearner: true } } }), 'learner-left master03')
})

test('where data is damaged that is named, though nobody answers a read', () => {
  const corrupt = ok([{ memberId: 'a1', alarm: 'CORRUPT' }])
  const ill = hosts.map(() => ({ health: no('etcdserver: corrupt cluster') }))
  assert.is(named({ hosts: ill, alarms: corrupt }), 'corrupt master02')
})

test('a member that is down stops all but what is about it; without a quorum nothing begins', () => {
  const one = { hosts: { 1: down('master02') } }
  assert.is(named(one), 'member-down master02')
  assert.is(named(one, { allowDown: ['master02'] }), 'nothing')
  const most = { hosts: { 0: { health: no('timed out') }, 1: down('master02'), 2: down('master03') } }
  assert.is(named(most, ofReplace(['master02', 'master03'])), 'no-quorum master01')
  assert.is(named(most, ofReplace(['master01'])), 'no-quorum master01')
})

test('a stranger is named before a member that is down: as long as it is there none is started', () => {
  const stranger = {
    id: 'bad',
    name: 'stranger',
    peerURLs: ['https://127.9.9.9:2380'],
    clientURLs: [],
    isLearner: true,
  }
  const listed = ok([...hosts.map(memberOn), stranger])
  assert.is(named({ hosts: { 1: down('master02') }, listed }), 'stranger-member')
})

test('authentication that keeps us out stops whoever changes members', () => {
  const off: Finding = { code: 'auth-enabled', name: 'etcd-client' }
  for (const options of [ofReplace(['master02']), ofScale({ coming: [], leaving: ['master03'] }), {}])
    assert.is(firstOf([off], options)?.code, 'auth-enabled')
})

test('a frozen member is named before the quorum that is lost by it', () => {
  const frozen = (host: string) => behind({ code: 'member-frozen', host, reason: '' })
  const most = { hosts: { 0: { health: no('timed out') }, 1: frozen('master02'), 2: frozen('master03') } }
  assert.is(named(most), 'member-frozen master02')
})

test('what is about all hosts is refused for what is wrong with those that are up', () => {
  const one = { hosts: { 1: down('master02') } }
  assert.is(named(one, { allowDown: names }), 'nothing')
  assert.is(
    named({ hosts: { ...one.hosts, 2: { health: no('timed out') } } }, { allowDown: names }),
    'commits-nothing master03',
  )
  assert.is(named({ hosts: names.map(down) }, { allowDown: names }), 'no-quorum')
})

test('members of two versions stop nobody; an enabled downgrade stops who brings a member', () => {
  assert.is(named({ hosts: { 1: { status: statusWith({ version: '3.7.1' }) } } }), 'nothing')
  const enabled = { hosts: hosts.map(() => ({ status: statusWith({ downgradingTo: '3.5.0' }) })) }
  assert.is(named(enabled), 'nothing')
  assert.is(named(enabled, ofReplace(['master01'])), 'downgrade-enabled')
  assert.is(named(enabled, ofScale({ coming: ['master04'], leaving: [] })), 'downgrade-enabled')
})

test('a full database stops neither its cure nor a backup, but a restart', () => {
  assert.is(named({ alarms: full }), 'no-space master03')
  assert.is(named({ alarms: full }, { verb: 'defrag --disarm' }), 'nothing')
  assert.is(named({ alarms: full }, { allow: ['no-space'] }), 'nothing')
  assert.is(named({ alarms: full }, { allowDown: ['master03'] }), 'no-space master03')
})

test('a host that the operation is about may be out of the cluster; it may not be called otherwise', () => {
  assert.is(named({ listed: without(1) }, { allowDown: ['master02'] }), 'nothing')
  assert.is(
    named({ members: { 1: { clientURLs: ['https://x'] } } }, { allowDown: ['master02'] }),
    'other-client-url master02',
  )
})

test('a lost member and a full database: replace goes first, defrag names it, none names the other in a circle', () => {
  const both = { listed: without(1), alarms: full }
  assert.is(named(both, ofReplace(['master02'])), 'nothing')
  assert.is(named(both, { verb: 'defrag --disarm' }), 'member-missing master02')
})

test('a downgrade that is enabled is ended though a member is lost, which could not be replaced before', () => {
  assert.is(named({ listed: without(1) }, { verb: 'downgrade --cancel', allowDown: [] }), 'nothing')
})

test('two lost members: each may be replaced by itself', () => {
  for (const host of ['master02', 'master03']) assert.is(named({ listed: without(1, 2) }, ofReplace([host])), 'nothing')
})

test('damaged data stops a replacement and a growth, which would copy it, until the alarm is lowered', () => {
  const corrupt = { alarms: ok([{ memberId: 'a1', alarm: 'CORRUPT' }]) }
  assert.is(named(corrupt, ofReplace(['master03'])), 'corrupt master02')
  assert.is(named(corrupt, ofReplace(['master02'])), 'corrupt master02')
  assert.is(named(corrupt, ofScale({ coming: ['master04'], leaving: [] })), 'corrupt master02')
})

test('recover is refused where data is damaged, and where members hang that would be a quorum', () => {
  const corrupt: Finding = { code: 'corrupt', host: 'master02', id: 'a1' }
  const hung: Finding = { code: 'member-frozen', host: 'master02', reason: '' }
  const codeOf = (findings: Finding[], from?: string): string | undefined => curable(findings, from)?.code
  assert.equal([codeOf([corrupt]), codeOf([corrupt], 'master01')], ['corrupt', 'corrupt'])
  assert.equal([codeOf([hung]), codeOf([hung], 'master01')], ['member-frozen', undefined])
  assert.is(codeOf([hung, { code: 'no-quorum' }]), undefined)
})

test('a move that is half done goes on without a quorum; not beside damaged data, nor where nobody is asked', () => {
  const told = (changes: Changes, missing?: Finding): string | undefined => {
    const { answers, ...seen } = seenIn({ ...answersOf(hosts, changes), missing }, names)
    const there = names.map((name) => [name, { ready: true, empty: false, answer: answers[name] }])
    const rest = { recorded: names, replacing: {}, backups: [], uncovered: {}, done: [], upgradingTo: '3.7.1' }
    return obstacleToMove({ ...seen, ...rest, hosts: Object.fromEntries(there) }, 'upgrade').found?.code
  }
  const silent = { hosts: names.map(down), listed: no('timed out') }
  assert.is(told(silent), undefined)
  const expired: Finding = { code: 'no-client-certificate', at: 'certs', reason: 'expired' }
  assert.is(told(silent, expired), 'no-client-certificate')
  const damaged = ok([{ memberId: 'a1', alarm: 'CORRUPT' }])
  const ill = hosts.map(() => ({ health: no('etcdserver: corrupt cluster') }))
  assert.is(told({ hosts: ill, alarms: damaged }), 'corrupt', 'not beside damaged data')
  assert.is(told({ hosts: { 0: down('master01') }, alarms: full }), undefined, 'a full database does not keep it')
  assert.is(told({ alarms: full }), 'no-space', 'which is cured first where all run')
})

/** The options with which a verb asks the guard; undefined: it asks none. */
function asked(verb: string, words: string[]): GuardOptions | undefined {
  const allowDown = words.filter((word) => !word.startsWith('-'))
  if (verb === 'replace') return ofReplace(allowDown)
  if (verb === 'scale') return ofScale({ coming: allowDown, leaving: [] })
  if (verb === 'defrag' || words.includes('--cancel')) return { verb: [verb, ...words].join(' ') }
  if (verb === 'backup') return { allow: ['no-space', 'takes-no-writes'] }
  return ['restart', 'rotate-certs'].includes(verb) ? { allowDown } : undefined
}

test('no verb refuses because of what its remedy sends a person to it for', () => {
  // No guard looks for what the role finds, a move that was begun, or how the database grows; where data is damaged the
  // alarm is lowered first.
  const others = ['corrupt', 'move-begun', 'quota-near']
  const guarded = codes.filter((code) => !said[code] && !others.includes(code))
  for (const code of guarded)
    for (const action of waysOf(cluster, sample(code)).flat()) {
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
