// How an etcd of somebody else's is found on its host.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { python } from '../../support/python.ts'

/** A process that is called etcd, which ends when it is asked for its version. */
const endsMeanwhile = `
import os, subprocess, tempfile
from types import SimpleNamespace
from etcd_adopt import etcd_of

program = os.path.join(tempfile.mkdtemp(), "etcd")
with open(program, "w") as file:
    file.write("#!/bin/sh\\nread line\\n")
os.chmod(program, 0o755)
child = subprocess.Popen([program], stdin=subprocess.PIPE)
while open("/proc/%d/comm" % child.pid).read().strip() != "etcd":
    pass

def run_command(command, handle_exceptions=True):
    child.communicate()
    if handle_exceptions:
        sys.exit("Error executing command.")
    raise FileNotFoundError(2, command[0])

host = SimpleNamespace(module=SimpleNamespace(run_command=run_command), data="/var/lib/etcd")
print(etcd_of(host, child.pid))
`

test('one that ends while it is looked at is none', () => {
  assert.is(python(endsMeanwhile), 'None')
})

/** What keep, and back, say of a member that was ended, by whether a log is in its old folder or in the role's. */
const ended = (where: 'old' | 'new' | ''): string =>
  python(
    `
import os, tempfile
from types import SimpleNamespace
from etcd_adopt import Adoption, keep
from ansible.module_utils.etcd_refusal import Refusal

root = tempfile.mkdtemp()
host = Adoption.__new__(Adoption)
host.data, host.kept = root + "/new", {"stopping": True, "data_directory": root + "/old"}
if sys.argv[1]:
    os.makedirs(os.path.join(root, sys.argv[1], "member/wal"))
    open(os.path.join(root, sys.argv[1], "member/wal/0.wal"), "w").close()
try:
    print(keep(host))
except Refusal as refusal:
    print(refusal.finding["code"])
`,
    where,
  )

test('a member that was ended and whose data is gone since is not started', () => {
  assert.equal([ended('old'), ended('new'), ended('')], ["{'changed': False}", "{'changed': False}", 'data-lost'])
})

test.run()
