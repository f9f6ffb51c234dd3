// What root does in a folder of etcd's user: links and pipes that this user put there lead it nowhere.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../../support/folder.ts'
import { python } from '../../support/python.ts'

const isRoot = process.getuid?.() === 0
/** etcd's user, where we may become it. */
const [uid, gid] = isRoot ? [65534, 65534] : [process.getuid?.() ?? 0, process.getgid?.() ?? 0]

/** One of the module's actions on this data directory, with this tool. */
const act = (action: string, folder: string, tool = '', certificates = '/nowhere', own = ''): string =>
  python(
    `
import subprocess, etcd_data
class Service:
    def stop(self): pass
    def status(self): return False, "", False
class Module:
    check_mode = False
    params = {"tool": sys.argv[3], "snapshot": "snapshot.db", "flags": [], "own": bool(sys.argv[5])}
    def run_command(self, command, environ_update=None, handle_exceptions=True):
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr
data = object.__new__(etcd_data.Data)
data.module, data.service, data.token, data.ids, data.user = Module(), Service(), "token-1", (${uid}, ${gid}), "etcd"
data.folder, data.member, data.staged = sys.argv[2], sys.argv[2] + "/member", sys.argv[2] + "/restored"
data.foreign, data.ours = False, True
data.certificates = [sys.argv[4] + '/' + name for name in ('ca.crt', 'server.key')]
try:
    print(getattr(etcd_data, sys.argv[1])(data))
except (etcd_data.Refusal, OSError) as error:
    print("refused:", error)`,
    action,
    folder,
    tool,
    certificates,
    own,
  )

/** A data directory, and beside it a folder that only root may enter. */
function hostFolder(): { data: string; closed: string } {
  const folder = temporaryFolder()
  chmodSync(folder, 0o755)
  const [data, closed] = [join(folder, 'etcd'), join(folder, 'root')]
  mkdirSync(data, { mode: 0o700 })
  mkdirSync(closed, { mode: 0o700 })
  writeFileSync(join(closed, 'id_ed25519'), 'secret')
  chownSync(data, uid, gid)
  return { data, closed }
}

test('a copy has all that the data has, and belongs to etcd', () => {
  const { data } = hostFolder()
  mkdirSync(join(data, 'member/wal'), { recursive: true, mode: 0o700 })
  writeFileSync(join(data, 'member/wal/0.wal'), 'log', { mode: 0o600 })
  if (isRoot) execFileSync('chown', ['-R', `${uid}:${gid}`, data])
  assert.match(act('copy', data), "'changed': True")
  const copy = readdirSync(data).find((name) => /^member\.\d{8}T\d{6}Z$/.test(name)) ?? ''
  assert.is(readFileSync(join(data, copy, 'wal/0.wal'), 'utf8'), 'log')
  const { uid: owner, mode } = statSync(join(data, copy))
  assert.equal([owner, mode & 0o777], [uid, 0o700])
})

if (isRoot)
  test("a link in the data's place opens nothing of root's to etcd", () => {
    const { data, closed } = hostFolder()
    symlinkSync(closed, join(data, 'member'))
    assert.match(act('copy', data), /^refused: The data could not be copied:.*Permission denied/)
    assert.equal(readdirSync(data), ['member'])
  })

test('a snapshot is restored where nobody but root may enter, and is then of etcd', () => {
  const { data, closed } = hostFolder()
  const tool = join(closed, 'etcdutl')
  writeFileSync(
    tool,
    `#!/bin/sh\nstat --format="%u %a" . > ${closed}/seen\nmkdir -p restored/member/snap\necho x > ` +
      'restored/member/snap/db\n',
    { mode: 0o755 },
  )
  assert.match(act('stage', data, tool), "'changed': True")
  assert.is(readFileSync(join(closed, 'seen'), 'utf8'), `${process.getuid?.()} 700\n`)
  assert.equal(readdirSync(data), ['restored'])
  for (const [name, mode] of Object.entries({
    '': 0o700,
    member: 0o700,
    'member/snap/db': 0o600,
    'member/restored-as': 0o600,
  })) {
    const there = statSync(join(data, 'restored', name))
    assert.equal([there.uid, there.mode & 0o777], [uid, mode], name)
  }
  assert.match(act('stage', data, tool), "'changed': False")
})

test("a member's own database is restored without a checksum, and read with the rights of etcd's user", () => {
  const { data, closed } = hostFolder()
  const tool = join(closed, 'etcdutl')
  const says = `echo "$@" > ${closed}/said; mkdir -p restored/member/snap; cp "$3" restored/member/snap/db`
  writeFileSync(tool, `#!/bin/sh\n${says}\n`, { mode: 0o755 })
  mkdirSync(join(data, 'member/snap'), { recursive: true })
  for (const folder of ['', 'member', 'member/snap']) chownSync(join(data, folder), uid, gid)
  writeFileSync(join(data, 'member/snap/db'), 'pages')
  chownSync(join(data, 'member/snap/db'), uid, gid)
  assert.match(act('stage', data, tool, '/nowhere', 'own'), "'changed': True")
  assert.is(readFileSync(join(data, 'restored/member/snap/db'), 'utf8'), 'pages')
  assert.is(
    readFileSync(join(closed, 'said'), 'utf8'),
    'snapshot restore database --skip-hash-check --data-dir restored\n',
  )
  if (!isRoot) return
  rmSync(join(data, 'restored'), { recursive: true })
  rmSync(join(data, 'member/snap/db'))
  symlinkSync(join(closed, 'id_ed25519'), join(data, 'member/snap/db'))
  assert.match(act('stage', data, tool, '/nowhere', 'own'), /^refused: .*Permission denied/)
})

test('a restore that fails leaves nothing, and says why', () => {
  const { data } = hostFolder()
  assert.match(act('stage', data, '/bin/false'), /^refused: The snapshot could not be restored here/)
  assert.equal(readdirSync(data), [])
})

test('what others have put beside the data and the certificates stays, and is named', () => {
  const { data, closed } = hostFolder()
  for (const path of ['member/wal', 'member.20260101T000000Z']) mkdirSync(join(data, path), { recursive: true })
  for (const name of ['ca.crt', '.etcd-role-x']) writeFileSync(join(closed, name), '')
  assert.is(act('remove', data, '', closed), `{'changed': True, 'left': ['${closed}']}`)
  assert.equal([existsSync(data), readdirSync(closed)], [false, ['id_ed25519']])
  assert.is(act('remove', data, '', join(closed, 'gone')), "{'changed': False, 'left': []}")
})

test('neither a pipe is waited for, nor a link followed, where a file of etcd should be', () => {
  const { data, closed } = hostFolder()
  mkdirSync(join(data, 'member/wal'), { recursive: true })
  python('import os; os.mkfifo(sys.argv[1])', join(data, 'member/restored-as'))
  assert.match(act('inspect', data), /^refused: .*it is no file/)
  writeFileSync(join(closed, 'token'), 'secret')
  execFileSync('ln', ['-sf', join(closed, 'token'), join(data, 'member/restored-as')])
  assert.match(act('inspect', data), /^refused: .*symbolic links/)
  execFileSync('rm', [join(data, 'member/restored-as')])
  symlinkSync('/dev/zero', join(data, 'member/wal/0.wal'))
  assert.match(act('inspect', data), /^refused: .*symbolic links/)
  assert.ok(existsSync(join(closed, 'token')))
})

test('where Ansible unpacked a module that was killed is removed by the next one; nothing else is', () => {
  const folder = temporaryFolder()
  const notes = {
    left: '2147483646',
    used: String(process.pid),
    new: '',
    own: '',
    unnoted: '',
    reused: String(process.pid),
  }
  const path = (name: string): string => join(folder, `ansible_etcd_data_payload_${name}`)
  for (const [name, pid] of Object.entries(notes)) {
    mkdirSync(path(name))
    if (pid) writeFileSync(join(path(name), 'pid'), pid)
  }
  const minutesAgo = (minutes: number): number => Date.now() / 1000 - minutes * 60
  utimesSync(path('unnoted'), minutesAgo(11), minutesAgo(11))
  utimesSync(path('used'), minutesAgo(11), minutesAgo(11))
  utimesSync(path('reused'), minutesAgo(1500), minutesAgo(1500))
  mkdirSync(join(folder, 'ansible_other_payload_x'))
  python(
    `
import tempfile, time
from ansible.module_utils import etcd_payloads
tempfile.tempdir = sys.argv[1]
ahead = time.time() + 11 * 60
time.time = lambda: ahead # the file system's clock counts: else all that is new would go
etcd_payloads.clear(sys.argv[2])`,
    folder,
    path('own'),
  )
  assert.equal(
    readdirSync(folder).sort(),
    ['new', 'own', 'used'].map((name) => `ansible_etcd_data_payload_${name}`).concat('ansible_other_payload_x'),
  )
  assert.match(readFileSync(join(path('own'), 'pid'), 'utf8'), /^\d+$/)
})

test('of users only the one that the role made is removed', () => {
  const said = python(`
import types
from ansible.module_utils import etcd_files
asked = []
def run_command(command):
    asked.append(command)
    return 0, "", ""
for comment in (etcd_files.MADE, "etcd of the distribution"):
    entry = types.SimpleNamespace(pw_gecos=comment, pw_uid=1, pw_gid=1)
    etcd_files.pwd = types.SimpleNamespace(getpwnam=lambda user: entry)
    etcd_files.remove_user(run_command, "etcd")
etcd_files.remove_user(run_command, "")
print(asked)`)
  assert.is(said.trim(), "[['userdel', 'etcd']]")
})

test.run()
