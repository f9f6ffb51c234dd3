// A running cluster's operations on real hosts over SSH, one after the other, while others write and read: nothing is
// lost, nothing fails twice, no read goes back in time. The hosts are containers with systemd and sshd. What asks only
// the members (backup, defrag) is proven by test/operations/upkeep.test.ts, a change of the authority by
// connect.test.ts there, and on hosts by test/e2e/stories.test.ts; an exchange of hosts by ssh.test.ts. At
// the end a member goes on at another address of its host, and in the long tests (E2E_LONG=1) all three; then one at an
// IPv6 address, and at last there is nothing else.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse, stringify } from 'yaml'
import { addAddresses, listHosts as listThem, relist, shifted, startHosts, type TestHosts } from '../support/hosts.ts'
import { clientsView, underLoad } from '../support/load.ts'
import { long } from '../support/long.ts'
import { killedAtEachStep, type Outcome, snapshotOf, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const newer = await etcdOf('3.7.1')
let machines: TestHosts
/** The folder of the last backup. */
let kept: string

test.before(async () => {
  const image = process.env.TEST_IMAGE
  if (!image) throw new Error('TEST_IMAGE names no image: run this with npm run test:e2e.')
  machines = await startHosts(image, 3, true)
  listHosts()
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
})
test.after(() => machines?.remove())

const listHosts = (etcd: object = {}): void => listThem(home.path, machines, 3, etcd)

/** Runs a verb to its good end under load; returns what it says with --json. */
async function passes(...words: [string, ...string[]]): Promise<Record<string, unknown>> {
  const result = await underLoad(
    home,
    async () => {
      const outcome = await home.verb(...words, '--json')
      assert.is(outcome.exitCode, 0, outcome.stderr)
      return outcome
    },
    words.join(' '),
  )
  return JSON.parse(result.stdout)
}

interface Member {
  id: string
  name: string
  address: string
  state: string
  version: string
}
const members = async (): Promise<Member[]> => JSON.parse((await home.verb('status', '--json')).stdout).members
const memberIds = async (): Promise<string[]> => (await members()).map(({ id }) => id)
const startTimes = (names = ['master01', 'master02', 'master03']): Promise<string[]> =>
  Promise.all(
    names.map((name) =>
      machines.on(name, 'systemctl show etcd-member --property=ExecMainStartTimestampMonotonic --value'),
    ),
  )

test('rotate-certs --all gives every member new certificates, and restarts none', async () => {
  const before = await startTimes()
  const { served } = (await passes('rotate-certs', '--all')) as { served: { serial: string; serialBefore: string }[] }
  assert.is(served.length, 6)
  for (const { serial, serialBefore } of served) assert.is.not(serial, serialBefore)
  assert.equal(await startTimes(), before)
})

test('replace gives the host of the leader a new member; its old data is moved aside', async () => {
  const leader = (await members()).find(({ state }) => state === 'leader')?.name ?? ''
  assert.equal((await passes('replace', leader)).replaced, [leader])
  assert.match(await machines.on(leader, 'ls /var/lib/etcd'), /member\.\d{8}T/)
})

test('while a host is off, no other is taken down; backup goes on, and all of it once the host is back', async () => {
  await machines.kill('master03')
  const before = await startTimes(['master01', 'master02'])
  const { exitCode, stderr } = await home.verb('restart')
  assert.is(exitCode, 1)
  assert.match(stderr, /nothing was changed: master03 does not answer.*\n.*Next: .*scripts\/up\.ts/)
  assert.equal(await startTimes(['master01', 'master02']), before)
  const backup = await passes('backup')
  assert.match((backup.warnings as string[]).join(), 'master03 is down')
  kept = backup.folder as string
  await machines.boot('master03')
  const verified = await home.verb('verify', '--timeout', '60')
  assert.is(verified.exitCode, 0, verified.stderr)
})

test('while a host lets nobody in, though its member runs, each says so, and changes nothing', async () => {
  // Ansible keeps its connections open
  await machines.on('master03', 'systemctl stop ssh.socket ssh.service; kill $(pgrep -u vagrant) 2>/dev/null || true')
  const files = (): object => ({
    ...snapshotOf(join(home.path, 'certs')),
    record: readFileSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'), 'utf8'),
  })
  const started = await startTimes()
  const before = [started, await memberIds(), files()]
  const verbs: [string, ...string[]][] = [['restart'], ['restore', kept, '--yes']]
  for (const words of verbs) {
    const { exitCode, stderr } = await home.verb(...words)
    assert.is(exitCode, 1, words.join(' '))
    assert.match(stderr, /master03: nothing answers SSH at [\s\S]*Next: Start sshd there/, words.join(' '))
    assert.equal([await startTimes(), await memberIds(), files()], before, words.join(' '))
  }
  await machines.on('master03', 'systemctl start ssh')
  await passes('restart')
  for (const [index, time] of (await startTimes()).entries()) assert.is.not(time, started[index])
})

const whereNewer = newer ? test : test.skip
whereNewer('upgrade brings a newer etcd to every host', async () => {
  listHosts({ binaries: newer?.folder })
  assert.is((await passes('upgrade', '--etcd-version', newer?.version ?? '')).upgraded, true)
  assert.equal(
    (await members()).map(({ version }) => version),
    [newer?.version, newer?.version, newer?.version],
  )
})

const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}

/** The last number of each member's address. */
const addresses = async (): Promise<string[]> => (await members()).map(({ address }) => address.split('.').at(-1) ?? '')

test('an address that a host does not have is refused, and nothing is touched', async () => {
  relist(home.path, machines, '2', 1)
  const up = await home.verb('up', '--yes')
  assert.is(up.exitCode, 2)
  assert.match(up.stderr, 'scripts/move.ts')
  const { exitCode, stderr } = await home.verb('move', '--yes')
  assert.is(exitCode, 1, stderr)
  assert.match(stderr, /master01 could not be asked over ssh for its addresses. Nothing was changed/)
  listHosts({ binaries: newer?.folder })
  assert.match((await passed('up', '--yes')).stdout, 'nothing had to be changed')
})

test('a member moves to another address of its host; its certificate names the old one until it is lost', async () => {
  await addAddresses(machines, '2')
  relist(home.path, machines, '2', 1)
  const plan = await passed('move', '--plan')
  assert.match(plan.stdout, /move master01 to \S+\.21: its peer URL first, then restart it there/)
  const before = clientsView(home)
  const { stdout } = await underLoad(
    { ...before, hosts: [...before.hosts, ...before.hosts.slice(0, 1).map(atNew)] },
    () => passed('move', '--yes'),
    'moved',
  )
  assert.match(stdout, /the old address .*master01/)
  assert.equal(await addresses(), ['21', '102', '103'])
  await leaveOld('master01')
  const again = await passed('move', '--yes')
  assert.not.match(again.stdout, 'the old address')
  assert.match((await passed('up', '--yes')).stdout, 'nothing had to be changed')
})

async function leaveOld(name: string): Promise<void> {
  const old = machines.hosts.find((host) => host.name === name)?.address ?? ''
  const fresh = `ip -4 address flush dev eth0; ip address add ${shifted(old, '2')}/24 dev eth0`
  await machines.on(name, `${fresh}; ip route add default via ${old.replace(/\d+$/, '1')}`)
}

const atNew = <T extends { address: string; clientURL: string }>(host: T): T => {
  const address = shifted(host.address, '2')
  return { ...host, address, clientURL: host.clientURL.replace(host.address, address) }
}

long('killed (-9) at each step, a move comes to its end', async () => {
  await addAddresses(machines, '3')
  relist(home.path, machines, '3')
  const { steps, last } = await killedAtEachStep(home, 'move', ['--yes'], /Compare the host|Restart etcd on \S+/)
  assert.is(last.exitCode, 0, last.stderr)
  console.log(`measured: killed at ${steps.length} steps: ${steps.join('; ')}`)
  assert.equal(await addresses(), ['31', '32', '33'])
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
})

/** Lists these hosts, of all three, at their IPv6 addresses. */
function listAt6(...names: string[]): void {
  const file = join(home.path, 'cluster.yaml')
  const { hosts, ...more } = parse(readFileSync(file, 'utf8')) as { hosts: { name: string }[] }
  const address6 = (name: string): string => machines.hosts.find((host) => host.name === name)?.address6 ?? ''
  const moved = hosts.map((host) => (names.includes(host.name) ? { ...host, address: address6(host.name) } : host))
  writeFileSync(file, stringify({ hosts: moved, ...more }))
}

long('a member goes on at an IPv6 address of its host, beside others at IPv4 ones', async () => {
  listAt6('master02')
  const before = clientsView(home)
  const others = before.hosts.filter(({ name }) => name !== 'master02')
  await underLoad({ ...before, hosts: others }, () => passed('move', '--yes'), 'moved to IPv6')
  assert.is((await members())[1]?.address, machines.hosts[1]?.address6)
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
  assert.match((await passed('up', '--yes')).stdout, 'nothing had to be changed')
})

long('hosts that have IPv6 alone are a cluster like any other', async () => {
  await passed('down', '--yes', '--purge')
  for (const { name } of machines.hosts) await machines.on(name, 'ip -4 address flush dev eth0')
  listAt6('master01', 'master02', 'master03')
  await passed('up', '--yes')
  await underLoad(home, async () => {
    await passed('backup')
    await passed('replace', 'master02')
    await passed('rotate-certs', '--all')
  })
  await passed('rotate-ca', '--yes')
  const { stdout } = await passed('verify')
  for (const words of ['All 16 checks pass', 'peerURLs=https://[fd00:']) assert.match(stdout, words)
})

test.run()
