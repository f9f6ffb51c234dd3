// What answers show: who is missing, unknown, unstarted or a learner; who commits, and follows whom; what alarms mean.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { inRanking } from '../../../tasks/etcd/findings.ts'
import { atTheDoor, judge } from '../../../tasks/etcd/judge.ts'
import type { Probe } from '../../../tasks/etcd/probe.ts'
import { answersOf, behind, type Changes, memberOn, no, ok, statusWith } from '../../support/answers.ts'
import { testCluster } from '../../support/cluster.ts'

const test = suite('judge')
const { hosts } = testCluster()
const [first] = hosts as [(typeof hosts)[0]]

const stranger = {
  id: 'bad',
  name: 'stranger',
  peerURLs: ['https://127.9.9.9:2380'],
  clientURLs: [],
  isLearner: false,
}
const found = (changes: Changes, about: keyof ReturnType<typeof judge>): string[] =>
  judge(answersOf(hosts, changes))[about].map((finding) =>
    [finding.code, finding.host ?? ('id' in finding && finding.id)].filter(Boolean).join(' '),
  )
const withHash = (hash: number) => ok({ hash, compactRevision: 0 })
const told = (members: Changes['members'], more: (typeof stranger)[] = [], from = 0): string[] => {
  const listed = hosts.map((host, index) => ({ ...memberOn(host, index), ...members?.[index] }))
  return found({ listed: ok([...listed.slice(from), ...more]) }, 'members')
}
const following = (...leaders: string[]): string[] =>
  found({ hosts: leaders.map((leaderId) => ({ status: statusWith({ leaderId }) })) }, 'leader')
const down = (host: string) => behind({ code: 'member-down', host, at: '', reason: '' })

test('of a cluster that is well nothing is found', () => {
  for (const some of Object.values(judge(answersOf(hosts)))) assert.equal(some, [])
})

test('the members that the hosts should have differ in nothing, in whatever order they are listed', () => {
  assert.equal(found({ listed: ok(hosts.map(memberOn).reverse()) }, 'members'), [])
})

test('a host without a member is missing', () => assert.equal(told({}, [], 1), ['member-missing master01']))

test('hosts without a member are missing together: one command makes all of them members again', () => {
  const { members } = judge({ ...answersOf(hosts), members: ok(hosts.slice(2).map(memberOn)) })
  assert.equal(
    members.map((finding) => ('hosts' in finding ? finding.hosts : [])),
    [
      ['master01', 'master02'],
      ['master01', 'master02'],
    ],
  )
})

test('a member of no host is a stranger', () => assert.equal(told({}, [stranger]), ['stranger-member bad']))

test('a member that never started is known by its peer URL', () =>
  assert.equal(told({ 1: { name: '', clientURLs: [] } }), ['unstarted-member master02']))

test('beside a host of another authority those that do not answer are named; not where nobody answers', () => {
  const foreign = (host: string) => behind({ code: 'other-authority', host, port: 2379, is: '' })
  const named = (...doors: NonNullable<Changes['hosts']>[number][]) =>
    judge(answersOf(hosts, { hosts: doors })).health.map((finding) => ('hosts' in finding ? finding.hosts : 'none'))
  assert.equal(named(foreign('master01')), [['master01']])
  assert.equal(named(foreign('master01'), down('master02')), [
    ['master01', 'master02'],
    ['master02', 'master01'],
  ])
  assert.equal(named(...hosts.map(({ name }) => foreign(name))), [undefined, undefined, undefined])
})

test('a learner is named', () => assert.equal(told({ 2: { isLearner: true } }), ['learner-left master03']))

test('a disk on which no log file fits is full; one that nobody knows is not', () => {
  const free = (bytes: number) => found({ hosts: { 0: { free: bytes }, 1: { free: undefined } } }, 'disks')
  assert.equal([free(0), free(2 ** 26 - 1), free(2 ** 26)], [['disk-full master01'], ['disk-full master01'], []])
})

test('another name or URL is named', () => {
  assert.equal(told({ 0: { name: 'other' } }), ['other-name master01'])
  assert.equal(told({ 0: { peerURLs: ['https://127.9.9.9:2380'] } }), ['other-peer-url master01'])
  assert.equal(told({ 0: { clientURLs: ['http://127.77.0.101:2379'] } }), ['other-client-url master01'])
})

test('further client URLs are no difference', () => {
  assert.equal(told({ 0: { clientURLs: ['https://127.0.0.1:2379', first.clientURL] } }), [])
})

test('a replaced host is missing, and its new member a stranger', () =>
  assert.equal(told({}, [stranger], 1), ['member-missing master01', 'stranger-member bad']))

test('who belongs to another cluster than most is named', () => {
  const other = { 1: { status: statusWith({ clusterId: 'other' }) } }
  assert.equal(found({ hosts: other }, 'members'), ['other-cluster master02'])
})

test('who knows no leader, or another than most, is named; of a tie all are', () => {
  assert.equal(following('a', 'a', 'a'), [])
  assert.equal(following('a', '', 'a'), ['no-leader master02'])
  assert.equal(following('a', 'b', 'a'), ['other-leader master02'])
  assert.equal(following('a', 'b', 'c'), ['other-leader master01', 'other-leader master02', 'other-leader master03'])
})

test("an alarm is its host's; that of a member of no host keeps its id", () => {
  const alarms = ok([
    { memberId: 'a1', alarm: 'NOSPACE' },
    { memberId: 'bad', alarm: 'CORRUPT' },
  ])
  assert.equal(found({ alarms }, 'alarms'), ['no-space master02', 'corrupt bad'])
})

test('where etcd names no member whose data are damaged, those differ that have not what most have', () => {
  const told = (...hashes: (number | undefined)[]) => {
    const states = hashes.map((hash) =>
      hash === undefined ? behind({ code: 'member-frozen', host: '', reason: '' }) : { hash: withHash(hash) },
    )
    const alarms = ok([{ memberId: '0', alarm: 'CORRUPT' }])
    const [found] = judge(answersOf(hosts, { hosts: { ...states }, alarms })).alarms
    return found?.code === 'corrupt' ? [found.host, found.hosts, found.most !== undefined] : []
  }
  assert.equal(told(1, 2, 1), ['master02', ['master02'], false])
  assert.equal(told(1, 1, 1), [undefined, undefined, true])
  assert.equal(told(1, 2, 3), [undefined, undefined, false])
  assert.equal(told(1, 2, undefined), [undefined, undefined, false])
})

test('beside damaged data that etcd names, and those that it does not, all are to be replaced at once', () => {
  const alarms = ok(['a0', '0'].map((memberId) => ({ memberId, alarm: 'CORRUPT' })))
  const states = [1, 2, 1].map((hash) => ({ hash: withHash(hash) }))
  const { alarms: all } = judge(answersOf(hosts, { hosts: { ...states }, alarms }))
  assert.equal(
    all.map((one) => ('hosts' in one ? one.hosts : [])),
    [
      ['master01', 'master02'],
      ['master02', 'master01'],
    ],
  )
})

test('a lost key, without which nobody can be replaced, comes before an alarm that could be lowered', () => {
  const keyless = { code: 'no-authority-key', at: 'ca.key', reason: 'is missing' } as const
  const raised = answersOf(hosts, { alarms: ok([{ memberId: 'a0', alarm: 'CORRUPT' }]) })
  const [first] = inRanking(Object.values(judge({ ...raised, keyless })).flat())
  assert.is(first?.code, 'no-authority-key')
})

test('a host that is no member, or whose member never started, is not down besides', () => {
  const silent = { hosts: { 2: down('master03') } }
  const listed = hosts.slice(0, 2).map(memberOn)
  assert.equal(found({ ...silent, listed: ok(listed) }, 'health'), [])
  assert.equal(found({ ...silent, listed: ok(listed) }, 'members'), ['member-missing master03'])
  assert.equal(found({ ...silent, members: { 2: { name: '' } } }, 'health'), [])
  assert.equal(found(silent, 'health'), ['member-down master03'])
})

test('another version than most run, and a downgrade that is enabled, are found', () => {
  assert.equal(found({ hosts: { 1: { status: statusWith({ version: '3.7.1' }) } } }, 'version'), [
    'mixed-versions master02',
  ])
  const enabled = hosts.map(() => ({ status: statusWith({ downgradingTo: '3.5.0' }) }))
  assert.equal(found({ hosts: enabled }, 'version'), ['downgrade-enabled'])
})

test('a member that does not commit while another does is named by itself', () => {
  assert.equal(found({ hosts: { 1: { health: no('timed out') } } }, 'health'), ['commits-nothing master02'])
  assert.equal(found({ hosts: { 1: { status: no('timed out') } } }, 'health'), ['call-fails master02'])
  assert.equal(found({ hosts: { 1: { health: no('mvcc: database space exceeded') } } }, 'health'), [
    'takes-no-writes master02',
  ])
  const learner = { status: statusWith({ isLearner: true }), health: no('rpc not supported for learner') }
  assert.equal(found({ hosts: { 2: learner } }, 'health'), ['learner-left master03'])
})

test('where nobody commits the quorum is lost, and each that is down is named, too', () => {
  const lost = { 0: { health: no('timed out') }, 1: down('master02'), 2: down('master03') }
  assert.equal(found({ hosts: lost }, 'health'), ['no-quorum master01', 'member-down master02', 'member-down master03'])
  const all = hosts.map(({ name }) => down(name))
  assert.is(found({ hosts: all }, 'health').at(-1), 'no-quorum')
})

test('where somebody commits, a list that did not come is a call that failed, and no lost quorum', () => {
  const lost = { listed: no('timed out'), alarms: no('timed out') }
  assert.equal(found(lost, 'members'), ['call-fails master01'])
  assert.equal(found({ ...lost, hosts: { 0: { health: no('timed out') } } }, 'alarms'), ['call-fails master02'])
  const nobody = hosts.map(() => ({ health: no('timed out') }))
  assert.equal(found({ ...lost, hosts: { ...nobody } }, 'members'), ['no-quorum'])
})

test('where nobody lets us in nothing is known of a quorum', () => {
  const all = hosts.map(({ name: host }) => behind({ code: 'tls-refused', host, reason: '' }))
  assert.equal(new Set(found({ hosts: all }, 'health').map((one) => one.split(' ')[0])), new Set(['tls-refused']))
})

test('with damaged data somewhere nobody commits: that is named, once, and no lost quorum', () => {
  const alarms = ok([{ memberId: 'a1', alarm: 'CORRUPT' }])
  const ill = hosts.map(() => ({ health: no('etcdserver: corrupt cluster') }))
  assert.equal(found({ hosts: ill, alarms }, 'health'), ['corrupt master02'])
})

test('where a certificate is missing here, that is all that is found', () => {
  const missing = { code: 'no-certificates' as const, at: 'certs' }
  assert.equal(Object.values(judge({ ...answersOf(hosts), missing })).flat(), [missing])
})

test('who hangs is named where with them there would be a quorum; else the quorum is lost', () => {
  const nobody = no('deadline exceeded')
  const lost = (...doors: ('member-frozen' | 'member-down' | undefined)[]): boolean => {
    const silent = doors.map((code, index) => {
      const host = hosts[index]?.name ?? ''
      return code ? behind({ code, host, at: 'x', reason: 'x' }) : { health: nobody }
    })
    const judged = judge(answersOf(hosts, { hosts: { ...silent }, listed: nobody, alarms: nobody }))
    return Object.values(judged).flatMap((found) => found.filter(({ code }) => code === 'no-quorum')).length > 0
  }
  assert.is(lost(undefined, 'member-frozen', 'member-frozen'), false)
  assert.is(lost(undefined, 'member-down', 'member-frozen'), false)
  assert.is(lost(undefined, 'member-down', 'member-down'), true)
  // A survivor that was restarted hangs, too: it waits for the others.
  assert.is(lost('member-down', 'member-down', 'member-frozen'), true)
})

test('a door is open, or says why not', () => {
  const code = (probe: Probe): string | undefined => atTheDoor(first, 2379, probe, [])?.code
  assert.is(code({ kind: 'answered', status: 200, body: '' }), undefined)
  assert.is(code({ kind: 'closed', reason: '' }), 'member-down')
  assert.is(code({ kind: 'silent', reason: '' }), 'member-frozen')
  assert.is(code({ kind: 'plain', reason: '' }), 'plain-http')
  assert.is(code({ kind: 'refused', reason: '', alert: true }), 'tls-refused')
  assert.is(code({ kind: 'refused', reason: '', alert: true, bare: true }), 'certificate-unusable')
  assert.is(code({ kind: 'refused', reason: '' }), 'hangs-up')
})

test.run()
