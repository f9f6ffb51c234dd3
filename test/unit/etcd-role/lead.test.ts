// A leader hands leadership over before it is restarted: where it is only stopped, more of its clients' writes fail
// (docs/operations.md, "The order"). The role's own modules, with an etcdctl that answers from a list.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { python } from '../../support/python.ts'

const program = `
import json, etcd_host
from ansible.module_utils.etcd_cluster import Etcdctl
from ansible.module_utils.etcd_refusal import Refusal
leader, takes = json.loads(sys.argv[1])
ids, acts = {"one": 1, "two": 2, "three": 3}, []
def run_command(args, environ_update, handle_exceptions):
    global leader
    url = environ_update["ETCDCTL_ENDPOINTS"]
    if args[1] == "move-leader":
        acts.append("%s hands over to %s" % (url, args[2]))
        leader = int(args[2], 16) if takes else leader
        return (0 if takes else 1), "", ""
    status = {"header": {"member_id": ids[url]}, "leader": leader, "raftIndex": 7}
    return 0, json.dumps([{"Status": status}]), ""
class Fake:
    check_mode = False
    def restart(self):
        acts.append("etcd restarts")
host = object.__new__(etcd_host.Host)
host.module = host.service = Fake()
host.drift, host.write, host.get_image = lambda state: ([], True, []), lambda *a, **b: None, lambda: None
host.etcdctl = Etcdctl(run_command, "etcdctl", "/ssl", "one", list(ids), 1)
host.etcdctl.wait_until_healthy = lambda *a, **b: None
host.data = ""
try:
    etcd_host.restart(host)
except Refusal as error:
    acts.append(str(error))
print(json.dumps(acts))`

/** What a restart of member 1 does. `takes`: whether another one takes the lead over. */
const restarted = (leader: number, takes = true): string[] =>
  JSON.parse(python(program, JSON.stringify([leader, takes]))) as string[]

test('the leader hands over first, then it is restarted', () => {
  assert.equal(restarted(1), ['one hands over to 2', 'etcd restarts'])
})

test('a follower has nothing to hand over', () => {
  assert.equal(restarted(2), ['etcd restarts'])
})

test('where nobody takes the lead over, the leader goes on', () => {
  const acts = restarted(1, false)
  assert.ok(!acts.includes('etcd restarts'))
  assert.match(acts.at(-1) ?? '', /^Not restarted: this member leads the cluster and no other took the lead over/)
})

test.run()
