// A running cluster's operations on real hosts over SSH, one after the other, while others write and read: nothing is
// lost, nothing fails twice, no read goes back in time. The hosts are containers with systemd and sshd. What asks only
// the members (backup, defrag) is proven by test/integration/operations-upkeep.test.ts, a change of the authority by
// operations-rotate-ca.test.ts there, and on hosts by test/e2e/stories.test.ts; an exchange of hosts by ssh.test.ts.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import { listHosts as listThem, startHosts, type TestHosts } from '../support/hosts.ts'
import { underLoad } from '../support/load.ts'
import { snapshotOf, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const newer = await etcdOf('3.7.1')
let machines: TestHosts

test.before(async () => {
  const image = process.env.TEST_IMAGE
  if (!image) throw new Error('TEST_IMAGE names no image: run this with npm run test:e2e.')
  machines = await startHosts(image, 3)
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
  assert.match(((await passes('backup')).warnings as string[]).join(), 'master03 is down')
  await machines.boot('master03')
  const verified = await home.verb('verify', '--timeout', '60')
  assert.is(verified.exitCode, 0, verified.stderr)
})

test('while a host lets nobody in, though its member runs, each says so, and changes nothing', async () => {
  const { folder } = await passes('backup')
  // Ansible keeps its connections open
  await machines.on('master03', 'systemctl stop ssh.socket ssh.service; kill $(pgrep -u vagrant) 2>/dev/null || true')
  const files = (): object => ({
    ...snapshotOf(join(home.path, 'certs')),
    record: readFileSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'), 'utf8'),
  })
  const started = await startTimes()
  const before = [started, await memberIds(), files()]
  const verbs: [string, ...string[]][] = [
    ['restart'],
    ['rotate-ca', '--yes'],
    ['replace', 'master01'],
    ['restore', folder as string, '--yes'],
    ...(newer ? [['upgrade', '--etcd-version', newer.version] as [string, ...string[]]] : []),
  ]
  for (const words of verbs) {
    listHosts(words[0] === 'upgrade' ? { binaries: newer?.folder } : {})
    const { exitCode, stderr } = await home.verb(...words)
    listHosts()
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

test.run()
