// What the role makes of the hosts' checks: inventory mistakes, clocks, certificates, the programs. The real filters,
// in Python.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { canListen } from '../../../tasks/core/addresses.ts'
import { ansiblePython } from '../../../tasks/core/ansible.ts'
import { projectFolder } from '../../../tasks/core/environment.ts'
import { ensureCertificates } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { python as pythonOfRole } from '../../support/python.ts'

interface Row {
  check: string
  ok: boolean
  warning: boolean
  detail: string
  remedy: string
}

const filters = join(projectFolder, 'templates/ansible/roles/etcd/filter_plugins')
const program = `
import importlib, json, sys
sys.path.insert(0, ${JSON.stringify(filters)})
sys.dont_write_bytecode = True
module, name, args = json.load(sys.stdin)
print(json.dumps(getattr(importlib.import_module(module), name)(*args)))`

/** Ansible's own Python, which has what the filters import. */
const python = await ansiblePython()

/** What a filter makes of these; it is the one in the file of that name, or one of etcd_doctor.py. */
function call<T>(name: string, ...args: unknown[]): T {
  const module = name.startsWith('etcd_doctor_') ? 'etcd_doctor' : name
  const input = JSON.stringify([module, name, args])
  return JSON.parse(execFileSync(python, ['-c', program], { input, encoding: 'utf8' }))
}

const cluster = testCluster({ masters: 2 })
const addresses = Object.fromEntries(cluster.hosts.map(({ name, address }) => [name, address]))
test.before(async () => void (await ensureCertificates(cluster)))

/** The report for two hosts whose clocks are so many seconds ahead; each look took `tookS` there and back. */
function report(ahead: [number, number], tookS = 1, measured: Record<string, number> = {}): Record<string, Row[]> {
  const sent = Date.now() / 1000
  const look = (seconds: number): object => ({
    checks: [],
    clock: { sent, began: sent + tookS / 2 + seconds, ended: sent + tookS / 2 + seconds },
  })
  return call(
    'etcd_doctor_report',
    { master01: look(ahead[0]), master02: look(ahead[1]) },
    { master01: { offsets: measured } },
    addresses,
    cluster.paths.certs,
    sent + tookS,
  )
}
const row = (rows: Row[] | undefined, check: string): Row | undefined => rows?.find((one) => one.check === check)

test('clocks that may differ by no more than the way there and back are right', () => {
  const { master01, master02 } = report([0.4, -0.4], 3)
  assert.equal(
    [row(master01, 'clock')?.ok, row(master01, 'clock')?.warning, row(master02, 'clock')?.warning],
    [true, false, false],
  )
})

test('a clock that is certainly more than a second off is a warning, five seconds stop the run', () => {
  assert.equal(row(report([0, 3]).master02, 'clock')?.warning, true)
  const late = row(report([0, -30]).master02, 'clock')
  assert.is(late?.ok, false)
  assert.match(late?.detail ?? '', /^The clock is (29\.5|30\.0|29\.0) s behind /)
  assert.match(late?.remedy ?? '', 'timedatectl')
})

test('what hosts measured of each other counts where the way to the controller is too long to tell', () => {
  const told = row(report([0, 0], 30, { master02: 2.5 }).master01, 'clock')
  assert.is(told?.warning, true)
  assert.is(told?.detail, "The clock is 2.5 s behind master02's.")
})

test('certificates that name the host pass; one that does not, or is not there, is named with its path', () => {
  assert.is(row(report([0, 0]).master01, 'certificates')?.ok, true)
  const rows = call<Record<string, Row[]>>(
    'etcd_doctor_report',
    { master01: { checks: [], clock: { sent: 0, began: 0, ended: 0 } } },
    {},
    { master01: '10.9.9.9' },
    cluster.paths.certs,
    0,
  )
  assert.match(row(rows.master01, 'certificates')?.detail ?? '', /master01\/server\.crt does not name 10\.9\.9\.9/)
  const none = call<Record<string, Row[]>>(
    'etcd_doctor_report',
    { master01: { checks: [], clock: { sent: 0, began: 0, ended: 0 } } },
    {},
    addresses,
    '/nowhere',
    0,
  )
  assert.match(row(none.master01, 'certificates')?.detail ?? '', '/nowhere/master01/server.crt')
})

test('a certificate that has expired, or is not valid yet by the clock here, stops the run', () => {
  const day = 86_400
  const at = (seconds: number): string => {
    const now = Date.now() / 1000 + seconds
    const look = { checks: [], clock: { sent: now, began: now, ended: now } }
    const rows = call<Record<string, Row[]>>(
      'etcd_doctor_report',
      { master01: look },
      {},
      addresses,
      cluster.paths.certs,
      now,
    )
    return row(rows.master01, 'certificates')?.detail ?? ''
  }
  const days = cluster.pki.leafDays
  assert.match(at(0), 'name 127.77.0.101')
  assert.match(at((days + 1) * day), /master01\/server\.crt expired on \d{4}-\d\d-\d\d\./)
  assert.match(at(-day), /master01\/server\.crt is not valid before \d{4}-\d\d-\d\d\./)
})

test('a host that calls the others from an address that its certificate does not name is warned of', () => {
  const from = (source: string): Row | undefined => {
    const now = Date.now() / 1000
    const looks = { master01: { checks: [], clock: { sent: now, began: now, ended: now } } }
    const reaches = { master01: { checks: [], offsets: {}, sources: [source] } }
    const rows = call<Record<string, Row[]>>('etcd_doctor_report', looks, reaches, addresses, cluster.paths.certs, now)
    return row(rows.master01, 'certificates')
  }
  const [named, other] = [from('127.77.0.101'), from('fd00::99')]
  assert.equal([named?.ok, named?.warning, other?.ok, other?.warning], [true, false, true, true])
  assert.match(other?.detail ?? '', /^This host calls the others from fd00::99, which .*master01\.crt does not/)
})

test('a running etcd with another authority is refused, unless some host has ours: then only that one is wrong', () => {
  const now = Date.now() / 1000
  const checks = [{ check: 'cluster', ok: true, warning: false, detail: 'test-cluster', remedy: '' }]
  const isLeft = (authority: string, running: boolean, other: string): boolean => {
    const look = { checks, running, authority, clock: { sent: now, began: now, ended: now } }
    const looks = { master01: look, master02: { ...look, authority: other, running: false } }
    const rows = call<Record<string, Row[]>>('etcd_doctor_report', looks, {}, addresses, cluster.paths.certs, now)
    return row(rows.master01, 'cluster')?.ok === true
  }
  assert.equal(
    [
      isLeft('another', true, 'another'),
      isLeft('another', true, 'none'),
      isLeft('another', true, 'ours'),
      isLeft('another', false, 'none'),
      isLeft('ours', true, 'another'),
      isLeft('none', true, 'none'),
    ],
    [false, false, true, true, true, true],
  )
})

const ifIPv6 = (await canListen('::1', 0)) === true ? test : test.skip

test('who listens at a port is told for each address: hosts may share a machine', () => {
  const told = pythonOfRole(`
import socket
from ansible.module_utils.etcd_checks import holder
one, every = socket.create_server(("127.77.0.101", 0)), socket.create_server(("0.0.0.0", 0))
places = [("127.77.0.101", one), ("127.77.0.102", one), ("::1", one), ("127.77.0.102", every)]
print([holder(address, server.getsockname()[1])[2] is not None for address, server in places])`)
  assert.is(told, '[True, False, False, True]')
})

ifIPv6('a listener on an IPv6 address answers who calls it, who learns from which address', () => {
  const said = pythonOfRole(`
from ansible.module_utils import etcd_listener
server = etcd_listener._listen("::1", 0)
import threading
threading.Thread(target=etcd_listener._serve, args=([server], "m1", {("m2", server.getsockname()[1])})).start()
print(*etcd_listener.call("::1", server.getsockname()[1], "m2", True))`)
  assert.match(said, /^-?[\d.e-]+ ::1$/)
})

test('hosts call each port on which something listens, and speak to listeners only', () => {
  const looks = {
    master01: { listens: { 2380: 'etcd' } },
    master02: { listens: { 2379: 'listener', 2380: 'listener' } },
    master03: { listens: {} },
  }
  const targets = call(
    'etcd_doctor_targets',
    looks,
    { master01: '10.0.0.1', master02: '10.0.0.2', master03: '10.0.0.3' },
    'master03',
  )
  assert.equal(targets, [
    { name: 'master01', address: '10.0.0.1', port: 2380, greets: false },
    { name: 'master02', address: '10.0.0.2', port: 2379, greets: true },
    { name: 'master02', address: '10.0.0.2', port: 2380, greets: true },
  ])
})

test('the complaint names each host with its first failure and what helps; warnings do not stop a run', () => {
  const good: Row = { check: 'memory', ok: true, warning: true, detail: 'little', remedy: 'more' }
  const bad: Row = { check: 'ports', ok: false, warning: false, detail: 'Port 2380 is taken.', remedy: 'Stop it.' }
  assert.equal(call('etcd_doctor_refusals', { master01: [good] }), [])
  assert.equal(call('etcd_doctor_refusals', { master02: [good, bad, bad], master01: [good] }), [
    { code: 'ports', host: 'master02', detail: 'master02: Port 2380 is taken.', remedy: 'Stop it.' },
  ])
})

test('mistakes in the inventory and in etcd_environment are named, all of them', () => {
  const mistakes = (addresses: object, environment = {}, ports = {}): string =>
    call<{ detail: string }[]>(
      'etcd_mistakes',
      addresses,
      environment,
      { ETCD_NAME: '' },
      { ETCD_PROXY: 'reasons' },
      ports,
    )
      .map(({ detail }) => detail)
      .join('\n')
  assert.is(mistakes({ a: '10.0.0.1', b: '10.0.0.2' }, { ETCD_A: 5 }), '')
  assert.match(mistakes({ a: '10.0.0.1', b: '' }), 'b has no private_ipv4 or private_ipv6')
  assert.match(mistakes({ a: '10.0.0.1', b: '10.0.0.1' }), 'a and b have the same address')
  assert.match(mistakes({ a: '10.0.0.300', ca: '10.0.0.1' }), /is no IP address.*\nA host cannot be named ca/)
  assert.match(mistakes({ a: 'fe80::1' }), "a's address in the inventory, fe80::1, is link-local")
  assert.match(mistakes({}), 'has no host')
  const said = mistakes({ a: '10.0.0.1' }, { ETCD_NAME: 'x', ETCD_PROXY: 'on', ETCD_A: 'a\nb' })
  assert.match(said, 'ETCD_A must be on one line')
  assert.match(said, 'ETCD_NAME is derived and cannot be set.')
  assert.match(said, 'ETCD_PROXY cannot be set: reasons.')
  const [client, peer] = [{ etcd_client_port: 2379 }, { etcd_peer_port: 0 }]
  assert.is(mistakes({ a: '10.0.0.1' }, {}, { ...client, ...peer, etcd_metrics_port: '0' }), '')
  assert.match(
    mistakes({ a: '10.0.0.1' }, {}, { ...client, ...peer, etcd_metrics_port: '2379' }),
    'etcd_client_port and etcd_metrics_port are the same port, 2379.',
  )
})

test('a program is known by its sum, its size and the machine in its header; a script is for any', () => {
  const folder = temporaryFolder()
  const elf = Buffer.alloc(64)
  elf.write('\x7fELF', 'latin1')
  elf[5] = 1
  elf.writeUInt16LE(183, 18)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'etcd'), elf)
  writeFileSync(join(folder, 'etcdctl'), '#!/bin/sh\n')
  const rows = call<{ path: string; machine: string; size: number }[]>('etcd_programs', folder, '/opt/bin')
  assert.equal(
    rows.map(({ path, machine, size }) => [path, machine, size]),
    [
      ['/opt/bin/etcd', 'aarch64', 64],
      ['/opt/bin/etcdctl', '', 10],
    ],
  )
  // Go notes in a program which modules it has; a script, which runs here, is asked.
  writeFileSync(join(folder, 'etcd'), Buffer.concat([elf, Buffer.from('dep\tgo.etcd.io/etcd/api/v3\tv3.7.1\th1:x\n')]))
  const versionNow = (): string => call<{ version: string }[]>('etcd_programs', folder, '/opt/bin')[0]?.version ?? ''
  assert.is(versionNow(), '3.7.1')
  rmSync(join(folder, 'etcd'))
  writeFileSync(join(folder, 'etcd'), '#!/bin/sh\necho etcd Version: 3.6.14\n', { mode: 0o755 })
  assert.is(versionNow(), '3.6.14')
  writeFileSync(join(folder, 'etcd'), Buffer.from('cffaedfe0c000001', 'hex')) // a program of macOS
  assert.is(call<{ machine: string }[]>('etcd_programs', folder, '/opt/bin')[0]?.machine, 'another system')
  assert.equal(call('etcd_programs', '', '/opt/bin'), [])
})

test(
  'hosts of several machines each get the programs that are made for them; one that has ' +
    'none is told so, by its name',
  () => {
    const folder = temporaryFolder()
    const source = { [machine]: join(folder, 'here'), aarch99: join(folder, 'there') }
    for (const path of Object.values(source)) {
      mkdirSync(path)
      for (const name of ['etcd', 'etcdctl']) writeFileSync(join(path, name), '#!/bin/sh\n')
    }
    const rows = call<{ source: string; machine: string }[]>('etcd_programs', source, '/opt/bin')
    assert.equal(
      rows.map((one) => one.machine),
      [machine, machine, 'aarch99', 'aarch99'],
    )
    const mine = chosen(rows)
    assert.equal(
      mine.rows.map((one) => one.source),
      ['etcd', 'etcdctl'].map((name) => join(folder, 'here', name)),
    )
    assert.ok(mine.check.ok)
    const none = chosen(rows.slice(2))
    assert.not.ok(none.check.ok)
    assert.is(none.check.detail, `etcd is made for aarch99, but this host is ${machine}.`)
    assert.is(none.check.machine, machine)
  },
)

/** What uname calls this machine. */
const machine = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim()

/** The rows that this machine takes, and what the check of its architecture says. */
const chosen = (rows: object[]): { rows: { source: string }[]; check: Row & { machine: string } } =>
  JSON.parse(
    pythonOfRole(
      `import json
from ansible.module_utils import etcd_checks, etcd_files
rows = etcd_files.fitting(json.loads(sys.argv[1]))
print(json.dumps({"rows": rows, "check": etcd_checks.architecture(rows)}))`,
      JSON.stringify(rows),
    ),
  )

test("a disk needs room to begin with, under a running member none; but room for others' data that come", () => {
  const rows = JSON.parse(
    pythonOfRole(
      `
import json
from ansible.module_utils import etcd_checks
etcd_checks.free_bytes = lambda path: 300 << 20
print(json.dumps([etcd_checks.disk("/", [], running, needed << 20) for running, needed in json.loads(sys.argv[1])]))`,
      JSON.stringify([
        [false, 0],
        [true, 0],
        [true, 44],
        [true, 45],
        [false, 45],
      ]),
    ),
  ) as Row[]
  assert.equal(
    rows.map(({ ok }) => ok),
    [true, true, true, false, false],
  )
  assert.match(rows[3]?.detail ?? '', '300 MiB are free for /; etcd needs 301 MiB to begin with.')
})

test('a disk without free inodes has no room; a file system without a fixed number of them has', () => {
  const room = (bytes: number, inodes: number, free: number): unknown =>
    JSON.parse(
      pythonOfRole(
        `
import collections, json
from ansible.module_utils import etcd_checks
Status = collections.namedtuple("Status", "f_bavail f_frsize f_files f_favail")
print(json.dumps(etcd_checks.room_in(Status(*json.loads(sys.argv[1])))))`,
        JSON.stringify([bytes, 1, inodes, free]),
      ),
    )
  assert.equal([room(5, 100, 32), room(5, 100, 31), room(5, 0, 0)], [5, 0, 5])
})

test.run()
