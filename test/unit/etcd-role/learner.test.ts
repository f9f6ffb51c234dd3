// What the role takes for a healthy member, a learner among them. The real module, in Python, with an etcdctl that
// answers from a list.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pythonIn } from '../../support/python.ts'

interface Status {
  learner?: boolean
  leader?: number
  index?: number
  applied?: number
  full?: boolean
  damaged?: boolean
}

/** What a member answers, time after time; the last answer stays. Null: nothing. */
type Members = Record<string, (Status | null)[]>

const program = `
import json
from ansible.module_utils import etcd_cluster
from ansible.module_utils.etcd_cluster import Etcdctl
from ansible.module_utils.etcd_refusal import Refusal
etcd_cluster.listens = lambda url: True
members, endpoint, question = json.loads(sys.argv[1])
asked, given = [], []
def run_command(args, environ_update, handle_exceptions):
    url = environ_update["ETCDCTL_ENDPOINTS"]
    asked.append(" ".join([url, *args[1:]]))
    given.append(environ_update.get("ETCDCTL_API"))
    answers = members[url]
    now = answers.pop(0) if len(answers) > 1 and args[1:] == ["endpoint", "status"] else answers[0]
    if now is None or (args[1:] == ["endpoint", "health"] and now.get("learner")):
        return 1, "", "no"
    if args[1:] == ["endpoint", "health"] and now.get("full"):
        return 1, '[{"health": false, "error": "Active Alarm(s): NOSPACE "}]', "unhealthy cluster"
    if args[1:] == ["endpoint", "health"] and now.get("damaged"):
        return 1, '[{"health": false, "error": "Active Alarm(s): CORRUPT "}]', "unhealthy cluster"
    status = {"header": {"member_id": 1}, "leader": now.get("leader", 2), "isLearner": now.get("learner", False)}
    status["raftIndex"] = now.get("index", 0)
    status["raftAppliedIndex"] = now.get("applied", status["raftIndex"])
    return 0, json.dumps([{"Status": status}]), ""
class Service:
    def last_words(self):
        return ""
etcdctl = Etcdctl(run_command, "etcdctl", "/ssl", endpoint, list(members), 1, question == "restored")
try:
    wait = lambda: etcdctl.wait_until_healthy(Service(), question == "restarted", question == "joins")
    healthy = lambda: etcdctl.healthy(endpoint, etcdctl.status(endpoint))
    ways = {"healthy": healthy, "restored": healthy, "restart": etcdctl.require_others_healthy}
    answer = ways.get(question, wait)()
except Refusal as error:
    answer = str(error)
print(json.dumps([answer, asked, given]))`

function role(
  members: Members,
  question: 'healthy' | 'restored' | 'restart' | 'started' | 'restarted' | 'joins',
  env = process.env,
): { answer: unknown; asked: string[]; given: unknown[] } {
  const printed = pythonIn(env, program, JSON.stringify([members, 'new', question]))
  const [answer, asked, given] = JSON.parse(printed) as [unknown, string[], unknown[]]
  return { answer, asked, given }
}

test("etcdctl is told no ETCDCTL_API, and the host's own is emptied", () => {
  const { ETCDCTL_API: _, ...env } = process.env
  assert.equal(role({ new: [{ learner: true }] }, 'healthy', env).given, [null])
  assert.equal(role({ new: [{ learner: true }] }, 'healthy', { ...env, ETCDCTL_API: '2' }).given, [''])
})

test('a learner that follows a leader is healthy, and is asked for no proposal, which it would not answer', () => {
  const { answer, asked } = role({ new: [{ learner: true }] }, 'healthy')
  assert.is(answer, true)
  assert.equal(asked, ['new endpoint status'])
})

test('a learner without a leader is not healthy', () => {
  assert.is(role({ new: [{ learner: true, leader: 0 }] }, 'healthy').answer, false)
})

test('a member whose database is full commits all the same: it is healthy', () => {
  assert.is(role({ new: [{ full: true }] }, 'healthy').answer, true)
})

test('damaged data are not healthy; but where all were restored, the alarm came with the snapshot', () => {
  const members = { new: [{ damaged: true }], other: [{}] }
  assert.is(role(members, 'healthy').answer, false)
  assert.is(role(members, 'restored').answer, true)
})

test('while the alarm CORRUPT is raised, a member that was started is not waited for', () => {
  const { answer } = role({ new: [{ damaged: true }], other: [{}] }, 'started')
  assert.match(String(answer), /^The member at new runs, but the alarm CORRUPT is raised/)
})

test('a member that has missed much is waited for as long as it gets further', () => {
  const behind = Array.from({ length: 60 }, (_, applied) => ({ applied, index: 60 }))
  assert.is(role({ old: [{ index: 60 }], new: [...behind, { applied: 60 }] }, 'restarted').answer, null)
  const stuck = role({ old: [{ index: 60 }], new: [{ applied: 7, index: 60 }] }, 'restarted')
  assert.match(String(stuck.answer), /new did not become healthy within [12] s/)
})

test('no voter is restarted while another member learns or is missing; a learner may be', () => {
  const restart = (members: Members): unknown => role(members, 'restart').answer
  assert.is(restart({ new: [{}], other: [{}] }), null)
  for (const other of [{ learner: true }, null])
    assert.match(
      String(restart({ new: [{}], other: [other] })),
      /^Not restarted: other is not healthy or does not vote/,
    )
  assert.is(restart({ new: [{ learner: true }], other: [{}] }), null)
})

test('a learner that was started is waited for until it has applied what the others had', () => {
  const { answer, asked } = role(
    {
      old: [{ index: 50 }, { index: 900 }],
      new: [null, { learner: true, applied: 0 }, { learner: true, applied: 40 }, { learner: true, applied: 50 }],
    },
    'started',
  )
  assert.is(answer, null)
  assert.is(asked.filter((line) => line === 'old endpoint status').length, 1, 'what the others had is asked once')
})

test('a learner that does not catch up in time is not taken for healthy', () => {
  assert.match(
    role({ old: [{ index: 50 }], new: [{ learner: true, applied: 10 }] }, 'started').answer as string,
    'did not become healthy',
  )
})

test('a voter that was restarted is waited for until it has applied what the others had', () => {
  const { answer } = role(
    { old: [{ index: 50 }], new: [{ applied: 10 }, { applied: 10 }, { applied: 50 }] },
    'restarted',
  )
  assert.is(answer, null)
})

test('a member that joins gets ten times as long: it has all data to get before it answers anybody', () => {
  const members: Members = { new: [...Array.from({ length: 40 }, () => null), { index: 10 }] }
  assert.match(String(role(members, 'started').answer), 'did not become healthy within 1 s')
  assert.is(role(members, 'joins').answer, null)
})

test.run()
