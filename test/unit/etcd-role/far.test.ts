// How long the role waits for members that are far away, and how often it asks them. The real module, in Python, with
// an etcdctl whose first answers are lost.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pythonIn } from '../../support/python.ts'

const program = `
import json
from ansible.module_utils import etcd_cluster
from ansible.module_utils.etcd_refusal import Refusal
trip, lost = json.loads(sys.argv[1])
etcd_cluster.round_trip = lambda url: trip
limits, calls = [], {}
def run_command(args, environ_update, handle_exceptions):
    url = environ_update["ETCDCTL_ENDPOINTS"]
    limits.append([environ_update["ETCDCTL_DIAL_TIMEOUT"], environ_update["ETCDCTL_COMMAND_TIMEOUT"]])
    calls[url] = calls.get(url, 0) + 1
    status = {"header": {"member_id": 1}, "leader": 2, "raftIndex": 1}
    return (1, "", "timeout") if calls[url] <= lost.get(url, 0) else (0, json.dumps([{"Status": status}]), "")
etcdctl = etcd_cluster.Etcdctl(run_command, "etcdctl", "/ssl", "mine", ["mine", "other"], 1)
try:
    etcdctl.require_others_healthy()
    print(json.dumps(["", limits[0]]))
except Refusal as error:
    print(json.dumps([str(error), limits[0]]))`

/** `lost`: how many of each one's first answers are. */
const role = (trip: number | null, lost: Record<string, number> = {}): [refused: string, limits: string[]] =>
  JSON.parse(pythonIn(process.env, program, JSON.stringify([trip, lost])))

test('a call gets a dozen round trips more than near by, where a connection shows how long one takes', () => {
  assert.equal(role(0)[1], ['1000ms', '2000ms'])
  assert.equal(role(0.2)[1], ['3400ms', '4400ms'])
  assert.equal(role(null)[1], ['1000ms', '2000ms'])
})

test('a member whose answer was lost is asked again; one that never answers is not well', () => {
  assert.is(role(0.2, { mine: 2, other: 2 })[0], '')
  assert.match(role(0.2, { other: 9 })[0], 'other is not healthy')
})

test.run()
