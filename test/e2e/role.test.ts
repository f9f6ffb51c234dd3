// The role etcd on real hosts over SSH: containers with systemd, as Vagrant's Docker provider has them.
// It needs Docker (DOCKER_HOST) on a network that is reached from here, and TEST_IMAGE, an image with systemd,
// sshd, sudo and python3. Tests go on from each other's hosts, in their order.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { OperationError } from '../../tasks/core/errors.ts'
import { requireEtcd } from '../../tasks/etcd/binaries.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { runPlaybook } from '../../tasks/etcd/playbook.ts'
import { ensureCertificates } from '../../tasks/pki/index.ts'
import { testCluster } from '../support/cluster.ts'
import { temporaryFolder } from '../support/folder.ts'
import { startHosts, type TestHosts, untilListens } from '../support/hosts.ts'
import { underLoad } from '../support/load.ts'
import { long } from '../support/long.ts'
import { pause } from '../support/wait.ts'

interface Row {
  check: string
  ok: boolean
  warning: boolean
  detail: string
  remedy: string
}
type Variables = Record<string, unknown>

const ansible = join(projectFolder, 'templates/ansible')
const names = ['master01', 'master02', 'master03']
let machines: TestHosts
let cluster: Cluster
let binaries: string
/** What a test has changed on all hosts for those after it. */
let changed: Variables = {}

test.before(async () => {
  const image = process.env.TEST_IMAGE
  if (!image) throw new Error('TEST_IMAGE names no image.')
  machines = await startHosts(image, 3)
  cluster = clusterOf(machines)
  binaries = (await requireEtcd(cluster)).folder
  await ensureCertificates(cluster)
  mkdirSync(join(cluster.paths.state, 'lock'), { recursive: true }) // a verb that takes the lock makes it
})
test.after(() => machines?.remove())

function clusterOf({ hosts }: TestHosts): Cluster {
  return testCluster({
    masters: hosts.length,
    hosts: hosts.map(
      ({ name, address }): Host => ({
        name,
        address,
        clientURL: `https://${address}:2379`,
        peerURL: `https://${address}:2380`,
      }),
    ),
  })
}

/** Writes the inventory: what every host has, but for the changes. */
function inventory(
  changes: { all?: Variables; hosts?: Record<string, Variables> } = {},
  on = machines,
  of = cluster,
): void {
  const hosts = Object.fromEntries(
    on.hosts.map(({ name, address }) => [
      name,
      { ansible_host: address, private_ipv4: address, ...changes.hosts?.[name] },
    ]),
  )
  const vars = {
    ...on.ssh,
    etcd_cluster_token: of.name,
    etcd_pki_directory: of.paths.certs,
    etcd_binaries_source: binaries,
    ...changed,
    ...changes.all,
  }
  writeFileSync(
    of.paths.inventory,
    stringify({ all: { children: { 'role=master': { hosts, vars } } } }, { lineWidth: 0 }),
  )
}

/** Runs the role as phase etcd-role does; returns how much changed on each host. */
async function converge(
  changes?: Parameters<typeof inventory>[0],
  onTask: (name: string) => void = () => {},
): Promise<Record<string, number>> {
  inventory(changes)
  return runPlaybook(cluster, { onTask })
}

/** Runs the role where it must fail. */
async function refused(
  changes?: Parameters<typeof inventory>[0],
  onTask?: (name: string) => void,
): Promise<OperationError> {
  try {
    await converge(changes, onTask)
  } catch (error) {
    if (error instanceof OperationError) return error
    throw error
  }
  throw new Error('It was not refused.')
}

/** Runs ansible-playbook as a person does by hand. */
function byHand(
  args: string[],
  env: Record<string, string> = { ANSIBLE_CONFIG: join(ansible, 'ansible.cfg') },
): Promise<{ exitCode: number; output: string }> {
  return new Promise((done) => {
    execFile(
      'ansible-playbook',
      ['--inventory', cluster.paths.inventory, ...args],
      { env: { ...process.env, ANSIBLE_NOCOLOR: '1', ...env }, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => done({ exitCode: error ? Number(error.code) : 0, output: stdout + stderr }),
    )
  })
}

/** The rows that playbook doctor prints, by host. */
async function doctor(): Promise<Record<string, Row[]>> {
  const { output } = await byHand([join(ansible, 'playbooks/doctor.yml')])
  return Object.fromEntries(
    [...output.matchAll(/^ok: \[(\S+)\] => (\{\n.*?^\})/gms)].map(([, host, json]) => [
      host,
      (JSON.parse(json ?? '') as { msg: Row[] }).msg,
    ]),
  )
}

const onAll = (script: string): Promise<string[]> => Promise.all(names.map((name) => machines.on(name, script)))
const startTimes = (): Promise<string[]> =>
  onAll('systemctl show etcd-member --property=ExecMainStartTimestampMonotonic --value')
const etcdctl = (name: string, command: string): Promise<string> =>
  machines.on(
    name,
    'ETCDCTL_CACERT=/etc/ssl/etcd/ca.crt ETCDCTL_CERT=/etc/ssl/etcd/etcd-client.crt ' +
      `ETCDCTL_KEY=/etc/ssl/etcd/etcd-client.key etcdctl --command-timeout=30s ${command}`,
  )
const health = (): Promise<string> =>
  machines.on('master01', 'true').then(() => etcdctl('master01', 'endpoint health --cluster 2>&1'))
const addressOf = (name: string): string => machines.hosts.find((host) => host.name === name)?.address ?? ''

/** Why one who shows no certificate is not answered. */
const withoutCertificate = (url: string): Promise<string> =>
  new Promise((done, fail) => {
    const asked = get(url, { ca: readFileSync(join(cluster.paths.certs, 'ca.crt')) }, () => fail(new Error('answered')))
    asked.once('error', (error) => done(error.message))
  })

/** The most members that accepted no client at one moment while `act` ran. */
async function mostDown(act: () => Promise<unknown>): Promise<number> {
  let most = 0
  let ended = false
  const look = async (): Promise<void> => {
    for (; !ended; await pause(30)) {
      const up = await Promise.all(machines.hosts.map(({ address }) => accepts(address)))
      most = Math.max(most, up.filter((answer) => !answer).length)
    }
  }
  await Promise.all([act().finally(() => (ended = true)), look()])
  return most
}

function accepts(address: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: address, port: 2379 })
    socket.once('connect', () => done(true)).once('error', () => done(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Nothing of ours is on the host. */
const untouched =
  'if id etcd || ls -d /etc/ssl/etcd /var/lib/etcd/* /usr/local/bin/etcd* ' +
  '/etc/systemd/system/etcd-member*; then exit 1; fi 2>/dev/null'

async function leaderOf(): Promise<string> {
  const status = JSON.parse(await etcdctl('master01', 'endpoint status --cluster --write-out=json')) as {
    Endpoint: string
    Status: { leader: number; header: { member_id: number } }
  }[]
  const leader = status.find(({ Status }) => Status.leader === Status.header.member_id)
  return machines.hosts.find(({ address }) => leader?.Endpoint.includes(address))?.name ?? ''
}

test('--check --diff on fresh hosts tells what it would do, and touches nothing', async () => {
  inventory()
  const { exitCode, output } = await byHand(['--check', '--diff', join(ansible, 'playbooks/etcd.yml')])
  assert.is(exitCode, 0, output)
  assert.match(output, 'Environment="ETCD_NAME=master02"')
  assert.not.match(output, 'PRIVATE KEY')
  await onAll(untouched)
})

test('doctor finds nothing wrong with fresh hosts, touches nothing, and leaves nobody listening', async () => {
  inventory()
  const rows = await doctor()
  assert.equal(Object.keys(rows).sort(), names)
  const checks = [
    'Python',
    'rights',
    'architecture',
    'address',
    'ports',
    'cluster',
    'disk space',
    'memory',
    'disk speed',
    'peers',
    'clock',
    'certificates',
  ]
  for (const name of names) {
    assert.equal(
      rows[name]?.map(({ check }) => check),
      checks,
    )
    assert.equal(
      rows[name]?.filter(({ ok }) => !ok),
      [],
    )
  }
  await onAll(`${untouched}; ! ss -Hltn | grep -qE ':(2379|2380) '`)
})

interface Fault {
  what: string
  on: string
  before?: string
  after?: string
  variables?: Variables
  says: RegExp
  helps?: RegExp
}

/** ssh may say that the far end takes no more before it says why: on a busy machine that is what Ansible hears. */
const orEndedAtOnce = (words: string): RegExp =>
  new RegExp(`${words.replaceAll('.', '\\.')}|${words.split(':')[0]}: what Ansible started there ended`)

/**
 * What hosts lack, on each another fault; those that stand together are met, and told of, in one run. Of what the hosts
 * offer, the first one's remedy alone is told.
 */
const lacking: Fault[][] = [
  [
    {
      what: 'a port that another program holds',
      on: 'master01',
      before:
        'python3 -c \'import socket,time; s=socket.create_server(("0.0.0.0",2380)); time.sleep(600)\' ' +
        `>/dev/null 2>&1 & echo $! > /tmp/holder; ${untilListens(2380)}`,
      after: 'kill $(cat /tmp/holder)',
      says: /^master01: Port 2380 of [\d.]+ is taken by python3 \(process \d+\)\.$/m,
      helps: /Stop it/,
    },
    {
      what: 'a disk that is full',
      on: 'master02',
      before: 'mkdir -p /var/lib/etcd; mount -t tmpfs -o size=16m tmpfs /var/lib/etcd',
      after: 'umount /var/lib/etcd; rmdir /var/lib/etcd',
      says: /^master02: Only 16 MiB are free for \/var\/lib\/etcd; etcd needs 256 MiB to begin with\.$/m,
    },
    {
      what: 'an address that the host does not have',
      on: 'master03',
      variables: { private_ipv4: '192.168.79.9' },
      says: /^master03: This host does not have the address 192\.168\.79\.9\.$/m,
    },
  ],
  [
    {
      what: 'a clock that is off',
      on: 'master02',
      before:
        'mkdir -p /opt/off; printf "import time\\nnow = time.time\\ntime.time = lambda: now() + 30\\n" > ' +
        '/opt/off/sitecustomize.py; printf "#!/bin/sh\\nPYTHONPATH=/opt/off exec /usr/bin/python3 ' +
        '\\"\\$@\\"\\n" > /opt/off/python3; chmod +x /opt/off/python3',
      after: 'rm -r /opt/off',
      variables: { ansible_python_interpreter: '/opt/off/python3' },
      says: /The clock is (29|30)\.\d s (ahead of|behind) /,
      helps: /timedatectl/,
    },
  ],
  [
    {
      what: "a firewall that lets only the peers' port through",
      on: 'master01',
      before: 'ip rule add to $MASTER03 ipproto 6 dport 2379 unreachable',
      after: 'ip rule del to $MASTER03 ipproto 6 dport 2379 unreachable',
      says: /^master01: This host cannot reach master03 at [\d.]+, port 2379 \(Network is unreachable\)\.$/m,
      helps: /client port/,
    },
    {
      what: 'a host that cannot reach another',
      on: 'master02',
      before: 'ip route add unreachable $MASTER03',
      after: 'ip route del unreachable $MASTER03',
      says: /^master02: This host cannot reach master03 at [\d.]+, port 2379 and port 2380 \(No route to host\)\.$/m,
    },
  ],
  [
    {
      what: 'a host that is not there',
      on: 'master01',
      variables: { ansible_host: '$NOBODY' },
      says: /master01: it cannot be reached at [\d.]+ \(No route to host\)\./,
      helps: /Start the host/,
    },
    {
      what: 'a wrong key',
      on: 'master02',
      variables: { ansible_user: 'nobody' },
      says: /master02: SSH does not let the user nobody in\./,
      helps: /ssh\.identityFile/,
    },
    {
      what: 'an unknown host key',
      on: 'master03',
      variables: { ansible_ssh_common_args: '-o UserKnownHostsFile=/dev/null -o ControlPath=none' },
      says: /master03: its SSH host key is not known here\./,
      helps: /by hand/,
    },
  ],
  [
    {
      what: 'a sudo that wants a password',
      on: 'master02',
      before: 'mv /etc/sudoers.d/vagrant /root/',
      after: 'mv /root/vagrant /etc/sudoers.d/',
      says: orEndedAtOnce('master02: sudo wants a password there.'),
      helps: /sudo/,
    },
  ],
  [
    {
      what: 'a host without Python',
      on: 'master03',
      before: 'mv $(readlink -f /usr/bin/python3) /root/python',
      after: 'mv /root/python /usr/bin/$(readlink /usr/bin/python3 | xargs basename)',
      says: orEndedAtOnce('master03: there is no Python.'),
      helps: /python3/,
    },
  ],
]

for (const faults of lacking)
  test(`refused before anything is changed: ${faults.map(({ what }) => what).join('; ')}`, async () => {
    const filled = (text: string): string =>
      text
        .replaceAll('$MASTER03', addressOf('master03'))
        .replaceAll('$NOBODY', addressOf('master03').replace(/\d+$/, '250'))
    const hosts = Object.fromEntries(
      faults.map(({ on, variables = {} }) => [on, JSON.parse(filled(JSON.stringify(variables)))]),
    )
    for (const { on, before } of faults) if (before) await machines.on(on, filled(before))
    const { message, more } = await refused({ hosts }).finally(async () => {
      for (const { on, after } of faults) if (after) await machines.on(on, filled(after))
    })
    const said = [message, more.output, more.hint].join('\n')
    for (const { says, helps } of faults) {
      assert.match(said, says)
      if (helps) assert.match(said, helps)
    }
    await onAll(untouched)
  })

test(
  'a first run leaves exactly the files that it should, each with its owner and mode, and a ' +
    'service that starts at boot',
  async () => {
    await converge()
    const listing = await machines.on(
      'master02',
      'stat --format="%n %a %U:%G" /etc/ssl/etcd /etc/ssl/etcd/* /var/lib/etcd /var/lib/etcd/* ' +
        '/usr/local/bin/* /etc/systemd/system/etcd-member.service /etc/systemd/system/etcd-member.service.d/*',
    )
    assert.equal(listing.split('\n'), [
      '/etc/ssl/etcd 755 etcd:etcd',
      '/etc/ssl/etcd/ca.crt 644 etcd:etcd',
      '/etc/ssl/etcd/etcd-client.crt 644 etcd:etcd',
      '/etc/ssl/etcd/etcd-client.key 600 etcd:etcd',
      '/etc/ssl/etcd/master02.crt 644 etcd:etcd',
      '/etc/ssl/etcd/master02.key 600 etcd:etcd',
      '/etc/ssl/etcd/server.crt 644 etcd:etcd',
      '/etc/ssl/etcd/server.key 600 etcd:etcd',
      '/var/lib/etcd 700 etcd:etcd',
      '/var/lib/etcd/member 700 etcd:etcd',
      '/usr/local/bin/etcd 755 etcd:etcd',
      '/usr/local/bin/etcdctl 755 etcd:etcd',
      '/etc/systemd/system/etcd-member.service 644 etcd:etcd',
      '/etc/systemd/system/etcd-member.service.d/40-cluster-ips.conf 644 etcd:etcd',
    ])
    assert.equal(
      await onAll(
        'systemctl is-enabled etcd-member; systemctl is-system-running; ps -o user= -C etcd || stat ' +
          '--format=%U /proc/$(pidof etcd)',
      ),
      names.map(() => 'enabled\nrunning\netcd'),
    )
    assert.equal(
      await onAll(
        'grep -o "INITIAL_CLUSTER_STATE=[a-z]*" /etc/systemd/system/etcd-member.service.d/40-cluster-ips.conf',
      ),
      names.map(() => 'INITIAL_CLUSTER_STATE=existing'),
    )
    assert.is((await health()).match(/is healthy/g)?.length, 3)
  },
)

test('etcd answers on the loopback ports, too, and can write neither its unit nor its programs', async () => {
  assert.is(
    (await etcdctl('master01', 'endpoint health --endpoints=https://127.0.0.1:2379,https://127.0.0.1:4001 2>&1')).match(
      /is healthy/g,
    )?.length,
    2,
  )
  assert.match(
    await machines.on('master01', 'grep -E " /(usr|etc) " /proc/$(pidof etcd)/mountinfo | cut -d" " -f5,6'),
    /^\/etc ro,.*\n\/usr ro,/,
  )
})

test('a run with nothing to do changes nothing; so does one by hand with a three-line playbook', async () => {
  const before = await startTimes()
  assert.equal(await converge(), { master01: 0, master02: 0, master03: 0 })
  const playbook = join(temporaryFolder(), 'play.yml')
  writeFileSync(playbook, '- hosts: role=master\n  become: true\n  roles: [etcd]\n')
  const { exitCode, output } = await byHand([playbook], {
    ANSIBLE_ROLES_PATH: join(ansible, 'roles'),
    ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS: 'ignore',
  })
  assert.is(exitCode, 0, output)
  assert.is(output.match(/changed=0/g)?.length, 3)
  assert.equal(await startTimes(), before)
  // That was without our ansible.cfg: Ansible has written to the host's log what the module was told.
  const told = await machines.on('master01', "journalctl --no-pager | grep 'Invoked with action=look wanted='")
  assert.not.match(told, /PRIVATE KEY|LS0tLS1CRUdJTiBQUklWQVRFIEtFWS/) // in base64, too
})

test('a host that was rebooted rejoins by itself', async () => {
  await machines.reboot('master02')
  await machines.on(
    'master02',
    'for i in $(seq 1200); do systemctl is-active -q etcd-member && exit 0; sleep 0.1; done; exit 1',
  )
  assert.is((await health()).match(/is healthy/g)?.length, 3)
  assert.equal(await converge(), { master01: 0, master02: 0, master03: 0 })
})

test('a changed setting and etcd restart one member after the other, the leader last; no write fails', async () => {
  const other = temporaryFolder()
  for (const name of ['etcd', 'etcdctl']) copyFileSync(join(binaries, name), join(other, name))
  writeFileSync(join(other, 'etcd'), 'x', { flag: 'a' }) // another sum
  const all = {
    etcd_environment: { ETCD_SNAPSHOT_COUNT: '20000' },
    etcd_binaries_source: other,
    etcd_metrics_port: 2381,
  }
  inventory({ all })
  const [before, leader] = [await startTimes(), await leaderOf()]
  const playbook = async (...words: string[]): Promise<string> => {
    const { exitCode, output } = await byHand([...words, join(ansible, 'playbooks/etcd.yml')])
    assert.is(exitCode, 0, output)
    return output
  }
  assert.match(await playbook('--check', '--diff'), '+Environment="ETCD_SNAPSHOT_COUNT=20000"')
  assert.equal(await startTimes(), before)

  const most = await mostDown(() => underLoad(cluster, playbook, 'another etcd and setting, by ansible-playbook'))
  assert.ok(most <= 1, 'one member at a time')
  const started = await startTimes()
  assert.ok(started.every((time, index) => time !== before[index]))
  assert.is(
    names.toSorted((a, b) => Number(started[names.indexOf(a)]) - Number(started[names.indexOf(b)])).at(-1),
    leader,
  )
  assert.equal(
    await onAll('stat --format="%a %U" /usr/local/bin/etcd'),
    names.map(() => '755 etcd'),
  )
  changed = all
  const gateway = openGateway(cluster, 1)
  for (const { address } of cluster.hosts) {
    assert.match(await gateway.metrics(`https://${address}:2381`, 5000), 'etcd_server_has_leader 1')
    assert.match(await withoutCertificate(`https://${address}:2381/metrics`), 'certificate')
  }
  gateway.close()
})

long(
  'a setting with which etcd does not start stops the run at the first host; put right, the next heals it',
  async () => {
    const before = await startTimes()
    const { message, more } = await refused({ all: { etcd_environment: { ETCD_SNAPSHOT_COUNT: 'many' } } })
    assert.match(message, /^master0\d: etcd does not stay up here/)
    assert.match(more.output ?? '', 'ETCD_SNAPSHOT_COUNT')
    assert.is((await startTimes()).filter((time, index) => time !== before[index]).length, 1)
    await converge()
    assert.is((await health()).match(/is healthy/g)?.length, 3)
  },
)

test('programs, their modes and a service that is not enabled are put right, without a restart', async () => {
  await machines.on(
    'master01',
    'rm /usr/local/bin/etcdctl; chmod 600 /usr/local/bin/etcd; chown root /etc/ssl/etcd/server.key',
  )
  await machines.on('master03', 'systemctl disable -q etcd-member')
  const before = await startTimes()
  assert.equal(await converge(), { master01: 1, master02: 0, master03: 1 })
  assert.equal(await startTimes(), before)
  assert.is(
    await machines.on(
      'master01',
      'stat --format="%a %U" /usr/local/bin/etcd /usr/local/bin/etcdctl /etc/ssl/etcd/server.key',
    ),
    '755 etcd\n755 etcd\n600 etcd',
  )
  assert.is(await machines.on('master03', 'systemctl is-enabled etcd-member'), 'enabled')
})

test('a member that lost its data is not started after a crash, at boot or by hand, and says why', async () => {
  const idle =
    'test "$(systemctl show etcd-member --property=ActiveState --value)" = inactive; test ! -e ' +
    '/var/lib/etcd/member; test "$(systemctl is-system-running)" = running'
  await machines.on('master03', 'rm -r /var/lib/etcd/member; kill -9 $(pidof etcd); sleep 4')
  await machines.on('master03', idle)
  await machines.reboot('master03')
  await machines.on('master03', idle)
  assert.match(
    await machines.on('master03', 'systemctl start etcd-member; systemctl status etcd-member || true'),
    'ConditionPathExists=|/var/lib/etcd/first-start was not met',
  )
  await machines.on('master03', idle)
  const { message, more } = await refused()
  assert.match(message, /^master03 is a member of the running cluster .* but its data directory is empty/)
  assert.match(more.hint ?? '', 'etcdctl member remove')
  await machines.on('master03', idle)
})

test('a member that was replaced as the refusal says joins again', async () => {
  const id = /^(\w+), \w+, master03/m.exec(await etcdctl('master01', 'member list'))?.[1]
  await etcdctl('master01', `member remove ${id}`)
  await etcdctl('master01', `member add master03 --peer-urls=https://${addressOf('master03')}:2380`)
  await converge()
  assert.is((await health()).match(/is healthy/g)?.length, 3)
  await machines.on('master03', 'test ! -e /var/lib/etcd/first-start')
})

test('a host of another cluster is refused, by its name and by its authority', async () => {
  const before = await startTimes()
  const named = await refused({ all: { etcd_cluster_token: 'another' } })
  assert.match(
    named.message,
    'master01: This host belongs to another cluster, test-cluster; the inventory would make it one of another.',
  )
  assert.match(named.more.hint ?? '', 'etcd_cluster_token')
  const stranger = testCluster({ hosts: cluster.hosts })
  await ensureCertificates(stranger)
  const distrusted = await refused({ all: { etcd_pki_directory: stranger.paths.certs } })
  assert.match(distrusted.message, "master01: etcd runs here with another authority's ca.crt")
  assert.equal(await startTimes(), before)
})

test('a disk that is full is named, and the member goes on', async () => {
  await machines.on(
    'master02',
    'mkdir /root/ssl; cp -a /etc/ssl/etcd/. /root/ssl/; mount -t tmpfs -o size=16k,mode=755 tmpfs ' +
      '/etc/ssl/etcd; rm -f /etc/ssl/etcd/*; dd if=/dev/zero of=/etc/ssl/etcd/full bs=1k count=64 2>/dev/null || true',
  )
  const error = await refused().finally(() => machines.on('master02', 'umount /etc/ssl/etcd; rm -r /root/ssl'))
  assert.match(error.message, 'master02: its disk is full.')
  assert.match(error.more.hint ?? '', 'Free some space')
  await converge()
  assert.is((await health()).match(/is healthy/g)?.length, 3)
})

test('a host that is lost in the middle is named; the same run goes on once it is back', async () => {
  const all = { etcd_environment: { ETCD_SNAPSHOT_COUNT: '30000' } }
  let lost: Promise<unknown> | undefined
  const error = await refused({ all }, (task) => {
    if (/^Restart etcd on/.test(task)) lost ??= machines.kill('master02')
  })
  await lost
  // Who is told of, and with which words, is a matter of the instant.
  assert.match(error.message, /\bmaster0\d\b/, error.message)
  await machines.boot('master02')
  await machines.on(
    'master02',
    'for i in $(seq 1200); do systemctl is-active -q etcd-member && exit 0; sleep 0.1; done; exit 1',
  )
  await converge({ all })
  assert.equal(await converge({ all }), { master01: 0, master02: 0, master03: 0 })
  assert.is((await health()).match(/is healthy/g)?.length, 3)
})

test.run()
