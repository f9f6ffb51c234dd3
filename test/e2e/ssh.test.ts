// Servers that a person already has: listed in the configuration, then by an Ansible inventory of the person's own.
// The servers are containers with systemd and sshd; nothing but ssh, sudo and Python is asked of them.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import { startHosts, type TestHost, type TestHosts, untilListens } from '../support/hosts.ts'
import { clientsView, underLoad } from '../support/load.ts'
import { long } from '../support/long.ts'
import { type Outcome, snapshotOf, testHome } from '../support/verbs.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'auto' })
const configFile = join(home.path, 'cluster.yaml')
let machines: TestHosts
let knownHosts: string
let key: string

test.before(async () => {
  const image = process.env.TEST_IMAGE
  if (!image) throw new Error('TEST_IMAGE names no image: run this with npm run test:e2e.')
  machines = await startHosts(image, 5)
  key = machines.ssh.ansible_ssh_private_key_file ?? ''
  knownHosts = /UserKnownHostsFile=(\S+)/.exec(machines.ssh.ansible_ssh_common_args ?? '')?.[1] ?? ''
})
test.after(() => machines?.remove())

/** Writes the configuration: three of the servers, as a person lists them. */
function listHosts(change: (host: TestHost) => object = () => ({}), more: object = {}): void {
  const listed = machines.hosts.slice(0, 3).map((host) => ({
    name: host.name,
    address: host.address,
    ssh: { user: 'vagrant', identityFile: key, knownHosts, ...change(host) },
  }))
  writeFileSync(configFile, stringify({ cluster: 'servers', hosts: listed, ...more }))
}

const failed = async (...words: [string, ...string[]]): Promise<string> => {
  const { exitCode, stderr } = await home.verb(...words)
  assert.is(exitCode, 1, stderr)
  return stderr
}

const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}

/** Ends the connections that Ansible keeps open. */
const hangUp = (name: string): Promise<string> => machines.on(name, 'kill $(pgrep -u vagrant) 2>/dev/null || true')

test('doctor looks at the servers before anything is on them, and leaves nothing there', async () => {
  listHosts()
  const { stdout } = await passed('doctor', '--json')
  const { hosts } = JSON.parse(stdout) as { hosts: Record<string, { check: string; ok: boolean }[]> }
  assert.equal(Object.keys(hosts), ['master01', 'master02', 'master03'])
  for (const rows of Object.values(hosts)) {
    assert.ok(rows.length >= 12)
    assert.ok(
      rows.every(({ ok }) => ok),
      JSON.stringify(rows),
    )
  }
  assert.is(await machines.on('master01', 'ls -d /etc/ssl/etcd /var/lib/etcd 2>/dev/null || true'), '')
})

test('a server that lacks what etcd needs is named, with what helps, before anything is changed', async () => {
  await machines.on(
    'master02',
    'ip address add 192.168.99.1/32 dev lo; python3 -m http.server --bind 0.0.0.0 2379 >/dev/null 2>&1 & ' +
      `echo $! > /tmp/pid; ${untilListens(2379)}`,
  )
  const stderr = await failed('up')
  assert.match(stderr, /master02: .*2379/)
  assert.match(stderr, 'Next: ')
  assert.is(await machines.on('master01', 'ls -d /etc/ssl/etcd 2>/dev/null || true'), '')
  await machines.on('master02', 'kill $(cat /tmp/pid); ip address del 192.168.99.1/32 dev lo')
})

test("an address that is not the server's is refused before anything is changed, and may be corrected", async () => {
  const right = machines.hosts[1]?.address ?? ''
  listHosts(({ address }) => ({ host: address }))
  const wrong = readFileSync(configFile, 'utf8').replace(
    `address: ${right}`,
    `address: ${right.replace(/102$/, '250')}`,
  )
  writeFileSync(configFile, wrong)
  assert.match(await failed('up'), /master02: This host does not have the address \S+250/)
  listHosts() // corrected: the next test's refusal is another one
})

test(
  "another cluster's data, which etcd has left on a server, is neither started " + 'by up nor removed by down',
  async () => {
    const theirs = 'find /usr/local/bin/etcd /var/lib/etcd -exec stat -c "%n %U %a" {} + | sort'
    await machines.on(
      'master02',
      'mkdir -p /var/lib/etcd/member/wal; touch /var/lib/etcd/member/wal/0.wal /usr/local/bin/etcd',
    )
    const before = await machines.on('master02', theirs)
    assert.match(
      await failed('up'),
      "master02 has a member's data in /var/lib/etcd/member, but nothing says that it is of this cluster.",
    )
    await passed('down', '--yes')
    assert.is(await machines.on('master02', theirs), before)
    await machines.on('master02', 'rm -r /usr/local/bin/etcd /var/lib/etcd')
  },
)

test('up ends with a verified cluster on the servers; again, it changes nothing', async () => {
  const { stdout } = await passed('up')
  assert.match(stdout, 'The cluster is up and verified')
  assert.match(stdout, /Hosts +3 ssh/)
  const again = await passed('up')
  assert.match(again.stdout, 'nothing had to be changed')
})

test('a consumer gets its files on a server, and the key is for the user alone that is named', async () => {
  await passed('connect', 'json', '--name', 'billing', '--to', 'master02:/etc/billing', '--owner', 'vagrant')
  const found = await machines.on(
    'master02',
    'stat -c "%U %a %n" /etc/billing/*; for who in vagrant sshd; do ' +
      'runuser -u $who -- cat /etc/billing/client.key >/dev/null 2>&1 && echo $who reads it; done; true',
  )
  const files = ['644 ca.crt', '644 client.crt', '600 client.key', '644 etcd.json']
  const owned = files.map((file) => `vagrant ${file.replace(' ', ' /etc/billing/')}`)
  assert.is(found, [...owned, 'vagrant reads it'].join('\n'))
  await passed('connect', '--remove', 'billing', '--yes')
  assert.is(await machines.on('master02', 'ls -d /etc/billing 2>/dev/null || true'), '')
})

test('a plan shows the difference on each server, and touches none', async () => {
  listHosts(() => ({}), { etcd: { environment: { ETCD_SNAPSHOT_COUNT: 5000 } } })
  const before = await machines.on(
    'master01',
    'find /etc/ssl/etcd /etc/systemd/system -type f -exec stat -c "%n %Y %i" {} + | sort',
  )
  const files = snapshotOf(join(home.path, 'certs'))
  const { stdout } = await passed('etcd-role', '--plan')
  for (const name of ['master01', 'master02', 'master03']) assert.match(stdout, new RegExp(`${name}: restart etcd`))
  assert.match(stdout, /\+ *Environment="ETCD_SNAPSHOT_COUNT=5000"/)
  assert.is(
    await machines.on(
      'master01',
      'find /etc/ssl/etcd /etc/systemd/system -type f -exec stat -c "%n %Y %i" {} + | sort',
    ),
    before,
  )
  assert.equal(snapshotOf(join(home.path, 'certs')), files)
  listHosts()
})

test('a changed host key is refused', async () => {
  const kept = readFileSync(knownHosts, 'utf8')
  const [, second] = machines.hosts
  await hangUp('master02')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home.path, 'other'), '-C', ''])
  const other = readFileSync(join(home.path, 'other.pub'), 'utf8').trim()
  writeFileSync(knownHosts, kept.replace(new RegExp(`^${second?.address} .*$`, 'm'), `${second?.address} ${other}`))
  const said = await failed('etcd-role').finally(() => writeFileSync(knownHosts, kept))
  assert.match(said, /master02.*: its SSH host key is not the one that was known/)
})

test(
  'where only ssh to the first can be reached from here, and the others through it, all ' +
    'goes that way, and says so',
  async () => {
    const [first, ...others] = machines.hosts.slice(0, 3)
    const refused = [
      ...others.map(({ address }) => ['-d', address, '-p', 'tcp']),
      ...['2379', '2380'].map((port) => ['-d', first?.address ?? '', '-p', 'tcp', '--dport', port]),
    ]
    for (const rule of refused) execFileSync('iptables', ['-I', 'OUTPUT', ...rule, '-j', 'REJECT'])
    for (const { name } of others) await hangUp(name)
    try {
      listHosts((host) => (host === first ? {} : { jump: 'master01' }))
      assert.match((await passed('up')).stdout, 'nothing had to be changed')
      const { stdout } = await passed('verify')
      assert.match(stdout, 'through ssh')
      assert.match(stdout, 'All 16 checks pass')
      assert.match((await passed('status')).stdout, '3 of 3 members up')
      assert.is(JSON.parse((await passed('load', '--seconds', '2', '--json')).stdout).missing, 0)
      await machines.on('master02', 'systemctl stop etcd-member')
      assert.match(await failed('verify', '--timeout', '3'), 'master02 does not answer')
    } finally {
      for (const rule of refused) execFileSync('iptables', ['-D', 'OUTPUT', ...rule, '-j', 'REJECT'])
      await machines.on('master02', 'systemctl start etcd-member')
      listHosts()
    }
  },
)

long('servers are restored from a backup; then two of them lose all, and the third brings them back', async () => {
  const { folder } = JSON.parse((await passed('backup', '--json')).stdout) as { folder: string }
  await passed('restore', folder, '--yes')
  for (const { name } of machines.hosts.slice(0, 3)) {
    const owners = await machines.on(
      name,
      'find /var/lib/etcd/member -exec stat -c "%U %a" {} + | sort -u; ls /var/lib/etcd',
    )
    assert.match(owners, /^etcd 600\netcd 700\nmember\nmember\.\S+$/)
  }
  for (const name of ['master01', 'master03'])
    await machines.on(name, 'systemctl kill -s KILL etcd-member; rm -rf /var/lib/etcd')
  // as anybody would try; without a quorum it answers nobody
  await machines.on('master02', 'systemctl restart --no-block etcd-member')
  await machines.on('master03', 'systemctl stop ssh; kill $(pgrep -u vagrant) 2>/dev/null || true')
  // what is out of sight may be a living quorum
  assert.match(await failed('recover', '--yes'), /master03: nothing answers SSH/)
  assert.is(await machines.on('master02', 'ls /var/lib/etcd | wc -l'), '2') // no copy was made
  await machines.on('master03', 'systemctl start ssh')
  assert.is(JSON.parse((await passed('recover', '--yes', '--json')).stdout).from, 'master02')
  assert.match((await passed('up')).stdout, 'nothing had to be changed')
})

test('down takes etcd, its certificates and its data from the servers, and leaves the servers', async () => {
  await machines.on('master03', 'mkdir /var/lib/etcd/default') // a package's, say
  await passed('down', '--yes')
  assert.is(await machines.on('master03', 'ls /var/lib/etcd; rmdir /var/lib/etcd/default /var/lib/etcd'), 'default')
  for (const { name } of machines.hosts.slice(0, 3)) {
    const left = await machines.on(
      name,
      'ls -d /etc/ssl/etcd /var/lib/etcd /usr/local/bin/etcd* /etc/systemd/system/etcd-member.service ' +
        '2>/dev/null || true; systemctl is-active etcd-member || true',
    )
    assert.is(left, 'inactive')
  }
})

const inventory = join(home.path, 'inventory.ini')
/** Writes an inventory of the person's own, of all servers but these. */
function list(...without: string[]): void {
  const { ansible_ssh_common_args: args = '' } = machines.ssh
  const lines = machines.hosts
    .filter(({ name }) => !without.includes(name))
    .map(({ name, address }, index) => (index === 0 ? address : `${name}.example ansible_host=${address}`))
  const vars = `ansible_user=vagrant\nansible_ssh_private_key_file=${key}\nansible_ssh_common_args=${args}\n`
  writeFileSync(inventory, `[role=master]\n${lines.join('\n')}\n\n[role=master:vars]\n${vars}`)
}
const there = (name: string): Promise<string> =>
  machines.on(
    name,
    'ls -d /etc/ssl/etcd /var/lib/etcd/member 2>/dev/null || true; systemctl is-active etcd-member || true',
  )

test("servers by a person's own inventory, by its own names for them", async () => {
  list('master04', 'master05')
  writeFileSync(configFile, stringify({ cluster: 'inventory', inventory: 'inventory.ini' }))
  assert.match((await passed('up')).stdout, /Hosts +3 ssh/)
  const ours = readFileSync(join(home.path, '.cluster/inventory/inventory.yml'), 'utf8')
  assert.not.match(ours, 'ansible_ssh_private_key_file') // how they are reached stays where the person wrote it
  list('master05')
  assert.match((await home.verb('up')).stderr, /must name 1, 3, 5, 7 or 9 hosts, not 4/)
  list('master02', 'master03')
  const unasked = await home.verb('scale')
  assert.is(unasked.exitCode, 2)
  assert.match(unasked.stderr, 'Move inventory from master03.example and master02.example to master04.example and')
})

long("one of these servers takes another's place under load", async () => {
  list('master02', 'master05')
  const clients = clientsView(home, 'inventory')
  const moved = await underLoad(clients, () => passed('scale', '--yes', '--json'), 'one of three servers exchanged')
  const { added, removed } = JSON.parse(moved.stdout)
  assert.equal([added, removed], [['master04.example'], ['master02.example']])
  assert.is(await there('master02'), 'inactive')
  assert.equal(Object.values(JSON.parse((await passed('etcd-role', '--json')).stdout).changed), [0, 0, 0])
})

test('down removes a member by its own authority alone, and leaves others that the inventory lists alone', async () => {
  list()
  const kept = await machines.on('master03', 'cat /etc/ssl/etcd/ca.crt')
  await machines.copy('master03', join(home.path, 'certs/servers/ca.crt'), '/etc/ssl/etcd/ca.crt')
  assert.match(
    await failed('down', '--yes'),
    /master03.example: its certificates are of another authority: .* another cluster, and nothing was removed/,
  )
  await machines.on('master03', `echo '${kept}' > /etc/ssl/etcd/ca.crt`)
  await machines.on('master05', 'mkdir -p /etc/ssl/etcd /var/lib/etcd/member') // somebody else's
  await passed('down', '--yes', '--purge')
  assert.is(await there('master05'), '/etc/ssl/etcd\n/var/lib/etcd/member\ninactive')
  assert.is(await there('master01'), 'inactive')
  const anything =
    '(getent passwd etcd; getent group etcd; ls -d /etc/systemd/system/etcd-member.service.d ~vagrant/.ansible ' +
    '~root/.ansible /tmp/ansible_etcd_*) 2>/dev/null || true'
  assert.is(await machines.on('master01', anything), '')
})

test.run()
