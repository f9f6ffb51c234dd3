// The role's plan: what it does and what it refuses, decided from all hosts' looks at once. The real filter, in Python.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { python } from '../../support/python.ts'

interface Look {
  drift?: string[]
  running?: boolean
  has_data?: boolean
  remnants?: string
  strange?: string
  state?: string
  restart?: boolean
  healthy?: boolean
  leader?: boolean
  neighbours?: string[]
  listener?: boolean
  endpoint?: string
  version?: string
  unreadable?: { code: string; detail: string; remedy: string }
}

interface Plan {
  /** What is refused and what helps, in one text; '' for nothing. */
  refusal: string
  code: string | undefined
  hosts: string[] | undefined
  state: string
  converge: string[]
  settle: string[]
  turns: { tasks: string; host?: string; hosts?: string[]; leads?: boolean }[]
  restart: string[]
  left: { code: string; host: string }[]
}

const program = `
import json
from etcd_plan import etcd_plan
looks, urls, answers, witnesses, at_once, formed = json.loads(sys.argv[1])
for look, answer in zip(looks.values(), answers):
    look["members"] = answer
print(json.dumps(etcd_plan(looks, urls, witnesses, at_once, formed)))`

const hosts = ['master01', 'master02', 'master03']
const url = (name: string): string => `https://10.0.0.${name.slice(-2)}:2380`
const urls = Object.fromEntries(hosts.map((name) => [name, url(name)]))
const good: Look = { drift: [], running: true, has_data: true, state: 'existing', restart: false }
const fresh: Look = { drift: ['ca.crt: missing'], running: false, has_data: false, state: '', neighbours: [] }
const three = (look: Look, others: Record<string, Look> = {}): Record<string, Look> => ({
  ...Object.fromEntries(hosts.map((name) => [name, look])),
  ...others,
})

/** etcdctl's member list: every host a started member, but for the changes. */
function members(changes: Record<string, { name?: string; clientURLs?: string[] } | undefined> = {}): string {
  const all = { ...Object.fromEntries(hosts.map((name) => [name, {}])), ...changes }
  const listed = Object.entries(all).flatMap(([name, change], index) =>
    change ? [{ ID: index + 10, name, peerURLs: [url(name)], clientURLs: ['https://up'], ...change }] : [],
  )
  return JSON.stringify({ members: listed })
}

function plan(
  looks: Record<string, Look>,
  answers: string[] = [],
  witnesses: string[] = [],
  known: Record<string, string> = urls,
  atOnce = true,
  formed = false,
): { changes: boolean; plan: Plan } {
  const { changes, ...decided } = JSON.parse(
    python(program, JSON.stringify([looks, known, answers, witnesses, atOnce, formed])),
  )
  const [refused] = decided.refusals as { code: string; hosts?: string[]; detail: string; remedy: string }[]
  const refusal = refused ? `${refused.detail} ${refused.remedy}` : ''
  const restart = (decided.turns as Plan['turns']).flatMap(({ host }) => host ?? [])
  return { changes, plan: { ...decided, restart, refusal, code: refused?.code, hosts: refused?.hosts } }
}

test('witnesses are only asked: though they differ, or would not start, nothing is done there', () => {
  const unreadable = { code: 'ends', detail: 'it ends', remedy: 'x' }
  const other: Look = { ...good, drift: ['etcd: content'], restart: true, version: '3.7.1', unreadable }
  const looks = three(other, { master03: fresh })
  const awaited = members({ master03: { name: '', clientURLs: [] } })
  assert.match(plan(looks, [awaited]).plan.refusal, 'would not start on etcd 3.7.1')
  const { refusal, converge, restart } = plan(looks, [awaited], ['master01', 'master02']).plan
  assert.equal([refusal, converge, restart], ['', ['master03'], []])
})

test('nothing differs: nothing is done', () => {
  const decided = plan(three(good))
  assert.is(decided.changes, false)
  assert.equal(
    [decided.plan.converge, decided.plan.settle, decided.plan.restart, decided.plan.refusal],
    [[], [], [], ''],
  )
})

test('all hosts fresh: all start at once as a new cluster', () => {
  const { plan: decided } = plan(three(fresh))
  assert.equal(decided.converge, hosts)
  assert.equal(decided.settle, hosts)
  assert.is(decided.state, 'new')
})

test('where not all hosts are worked on at once, all start before anybody is waited for', () => {
  const { converge, settle, turns } = plan(three(fresh), [], [], urls, false).plan
  assert.equal([converge, settle, turns], [hosts, [], [{ tasks: 'settle.yml', hosts }]])
})

test('a first start that was cut short goes on as a new cluster', () => {
  // Without a quorum its port is open, but it answers no question.
  const begun: Look = {
    drift: ['conf: content'],
    running: true,
    has_data: true,
    state: 'new',
    restart: false,
    endpoint: 'https://10.0.0.01:2379',
  }
  const { plan: decided } = plan(three({ ...fresh, neighbours: ['https://10.0.0.01:2379'] }, { master01: begun }))
  assert.is(decided.refusal, '')
  assert.is(decided.state, 'new')
})

test('a stopped member of a formed cluster is started again as that', () => {
  const { plan: decided } = plan(three(good, { master02: { ...good, running: false } }), [members()])
  assert.equal(decided.converge, ['master02'])
  assert.is(decided.state, 'existing')
})

test('all members stopped, with their data: all start again', () => {
  const { plan: decided } = plan(three({ ...good, running: false }))
  assert.is(decided.refusal, '')
  assert.equal(decided.converge, hosts)
  assert.is(decided.state, 'existing')
})

test('a known member with an empty data directory is refused, with the commands that replace it', () => {
  const { refusal, code } = plan(three(good, { master03: fresh }), [members()]).plan
  assert.match(refusal, 'master03 is a member of the running cluster (c), but its data directory is empty')
  assert.is(code, 'data-lost')
  assert.match(refusal, 'etcdctl member remove c, then etcdctl member add master03 --peer-urls=https://10.0.0.03:2380')
})

test('several members with empty data directories are named together: no one of them is replaced alone', () => {
  const five = { master04: {}, master05: {} }
  const looks = three(good, { master02: fresh, master03: fresh, master04: good, master05: good })
  const known = Object.fromEntries(Object.keys(looks).map((name) => [name, url(name)]))
  const { refusal, code, hosts: lost } = plan(looks, [members(five)], [], known).plan
  assert.is(code, 'data-lost')
  assert.equal(lost, ['master02', 'master03'])
  assert.match(refusal, 'master02 and master03 are members of the running cluster, but their data')
})

test('a member that lost its data is named before members that differ: it is to be replaced first', () => {
  const { code } = plan(three(good, { master02: fresh }), [members({ master03: undefined })]).plan
  assert.is(code, 'data-lost')
})

test('where the emptied members leave no quorum, all of them are named, and what helps then', () => {
  const { refusal, code } = plan(three(good, { master02: { ...fresh }, master03: fresh }), [members()]).plan
  assert.match(
    refusal,
    'master02 and master03 are members of the cluster, but their data directories are empty, ' +
      'and the others are no quorum',
  )
  assert.is(code, 'quorum-lost')
  assert.match(refusal, 'Restore a snapshot on all hosts')
})

test('a host without data that was added to the live cluster joins it', () => {
  const { plan: decided } = plan(three(good, { master03: fresh }), [
    members({ master03: { name: '', clientURLs: [] } }),
  ])
  assert.is(decided.refusal, '')
  assert.is(decided.state, 'existing')
})

test('a host that is to start afresh beside a part of older data is refused, with the command that helps', () => {
  const left = { ...fresh, remnants: '/var/lib/etcd/member' }
  const { refusal } = plan(three(good, { master03: left }), [members({ master03: { name: '', clientURLs: [] } })]).plan
  assert.match(refusal, 'mv /var/lib/etcd/member /var/lib/etcd/member.old')
})

test('a host without data, while the formed cluster does not answer and cannot be a quorum, is refused', () => {
  const { refusal } = plan(three(fresh, { master02: { ...good, running: false } })).plan
  assert.match(refusal, 'master01 has no data, but master02 belonged to a formed cluster')
})

test('a cluster that had data is not started afresh where no host has any left, though all were made again', () => {
  const decided = (looks: Record<string, Look>, answers: string[], formed: boolean): string | undefined =>
    plan(looks, answers, [], urls, true, formed).plan.code
  assert.is(decided(three(fresh), [], true), 'all-data-lost')
  assert.is(decided(three(fresh), [], false), undefined)
  assert.is(decided(three(fresh, { master02: { ...good, running: false } }), [], true), 'others-silent')
  assert.is(decided(three(good, { master03: fresh }), [members()], true), 'data-lost')
})

test('stopped members that are a quorum with their data are started first, and the host without data is left', () => {
  const down = { ...good, running: false }
  for (const [other, started] of [
    [down, ['master02', 'master03']],
    [good, ['master02']],
  ] as const) {
    const neighbours = other.running ? ['https://10.0.0.03:2379'] : []
    const looks = { master01: { ...fresh, neighbours }, master02: down, master03: other }
    const { plan: decided } = plan(looks)
    assert.equal([decided.refusal, decided.converge, decided.settle, decided.restart], ['', started, started, []])
    assert.is(decided.state, 'existing')
    assert.equal(
      decided.left.map(({ code, host }) => [code, host]),
      [['data-lost', 'master01']],
    )
  }
})

test('the only member is started first, though a host that was added to it has never started', () => {
  const two = Object.fromEntries(hosts.slice(0, 2).map((name) => [name, url(name)]))
  const looks = { master01: { ...good, running: false }, master02: fresh }
  const { plan: decided } = plan(looks, [], [], two)
  assert.equal([decided.refusal, decided.converge, decided.settle], ['', ['master01'], ['master01']])
})

test('running members get renewed certificates though other hosts are in the way, which is told then', () => {
  const renewed = { ...good, drift: ['/etc/ssl/etcd/server.crt: content'] }
  const all: [Record<string, Look>, string[]][] = [
    [{ master01: { ...fresh, running: false }, master02: renewed, master03: { ...good, drift: ['x'] } }, [members()]],
    [{ master01: fresh, master02: renewed, master03: good }, []],
    [three(good, { master02: renewed }), [members({ master03: undefined })]],
  ]
  for (const [looks, answers] of all) {
    const { plan: decided } = plan(looks, answers)
    assert.equal([decided.refusal, decided.converge, decided.settle, decided.restart], ['', ['master02'], [], []])
    assert.is(decided.left.length, 1)
  }
  const foreign = { ...renewed, restart: true }
  assert.match(plan({ master01: fresh, master02: foreign, master03: good }, [members()]).plan.refusal, 'master01')
})

test('a fresh host alone in the play is refused where etcd answers on another host', () => {
  const { refusal } = plan({ master01: { ...fresh, neighbours: ['https://10.0.0.02:2379'] } }).plan
  assert.match(refusal, 'master01 has no data, but etcd already answers at https://10.0.0.02:2379')
})

test('a member that the inventory lacks, and a host that the cluster lacks, are refused by name', () => {
  const { refusal } = plan(three({ ...good, drift: ['x'] }), [
    members({ master03: undefined, master09: { name: 'master09' } }),
  ]).plan
  assert.match(refusal, 'the cluster has master09 (https://10.0.0.09:2380), which the inventory lacks')
  assert.match(refusal, 'the inventory has master03, which the cluster lacks')
  const more = plan(three({ ...good, drift: ['x'] }), [members({ master09: { name: 'master09' } })]).plan
  assert.match(more.refusal, 'the cluster has master09 (https://10.0.0.09:2380), which the inventory lacks')
})

test('members that do not agree on who the members are: nothing is done', () => {
  const { refusal } = plan(three({ ...good, drift: ['x'] }), [members(), members({ master03: undefined })]).plan
  assert.match(refusal, 'do not agree on who the members are')
})

test('a cluster that was never formed has no restart in turns: a corrected setting reaches all hosts at once', () => {
  const { plan: decided } = plan(three({ ...good, state: 'new', drift: ['conf: content'], restart: true }))
  assert.equal([decided.restart, decided.converge, decided.settle], [[], hosts, hosts])
})

test('restarts: an unhealthy member first, the leader last', () => {
  const changed: Look = { ...good, drift: ['conf: content'], restart: true, healthy: true, leader: false }
  const { plan: decided } = plan(
    three(changed, { master01: { ...changed, leader: true }, master03: { ...changed, healthy: false } }),
    [members()],
  )
  assert.equal(decided.restart, ['master03', 'master02', 'master01'])
  assert.equal([decided.converge, decided.settle], [[], []])
})

test('a leader that is ill has nothing to lose: it restarts first', () => {
  const changed: Look = { ...good, drift: ['conf: content'], restart: true, healthy: true, leader: false }
  const looks = three(changed, { master03: { ...changed, healthy: false, leader: true } })
  assert.is(plan(looks, [members()]).plan.restart[0], 'master03')
})

test('of members that are alike, the inventory says who restarts first', () => {
  const changed: Look = { ...good, drift: ['conf: content'], restart: true, healthy: true, leader: false }
  const looks = Object.fromEntries(['master03', 'master01', 'master02'].map((host) => [host, changed]))
  assert.equal(plan(looks, [members()]).plan.restart, ['master03', 'master01', 'master02'])
})

test(
  'a member without data that was added as a learner joins, and no running member is ' +
    'touched for its initial cluster',
  () => {
    // The initial cluster, which a running etcd does not read.
    const others: Look = { ...good, drift: ['conf: content'] }
    const { plan: decided } = plan(three(others, { master03: fresh }), [
      members({ master03: { name: '', clientURLs: [] } }),
    ])
    assert.equal([decided.refusal, decided.restart, decided.settle], ['', [], ['master03']])
    assert.is(decided.state, 'existing')
  },
)

test('a renewed leaf is put in place without a restart', () => {
  const { plan: decided } = plan(three({ ...good, drift: ['server.crt: content'] }), [members()])
  assert.equal([decided.converge, decided.restart], [hosts, []])
})

test('data of which nothing says that it is ours is started by no first run, but a known member has it back', () => {
  const strange: Look = { ...fresh, has_data: true, strange: '/var/lib/etcd/member' }
  assert.match(
    plan(three(fresh, { master02: strange })).plan.refusal,
    "master02 has a member's data in /var/lib/etcd/member, but nothing says that it is of this cluster.",
  )
  assert.is(plan(three(good, { master02: strange }), [members()]).plan.refusal, '')
})

test('the listener that checks have left on a host is taken for no etcd', () => {
  const looks = three(
    { ...fresh, neighbours: ['https://10.0.0.03:2379'] },
    { master03: { ...fresh, endpoint: 'https://10.0.0.03:2379', listener: true } },
  )
  assert.is(plan(looks).plan.refusal, '')
})

test('an etcd that would not start on what the one before left is not put there: nothing is done on any host', () => {
  const due = { ...good, drift: ['/usr/local/bin/etcd: content'], restart: true, version: '3.7.1' }
  const unreadable = { code: 'no-snapshot', detail: 'why', remedy: 'Run this role with etcd 3.6.' }
  const { refusal, code } = plan(three(due, { master02: { ...due, unreadable } }), [members()]).plan
  assert.is(code, 'no-snapshot')
  assert.is(refusal, 'master02 would not start on etcd 3.7.1: why. Run this role with etcd 3.6.')
  assert.is(plan(three(due), [members()]).plan.refusal, '')
})

test.run()
