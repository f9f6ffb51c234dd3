// Members that go on at other addresses of their hosts, while clients write and read.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse, stringify } from 'yaml'
import '../support/own-ansible.ts'
import { listHosts, startHosts, type TestHosts } from '../support/hosts.ts'
import { clientsView, underLoad } from '../support/load.ts'
import { killedAtEachStep, type Outcome, testHome } from '../support/verbs.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
let machines: TestHosts

test.before(async () => {
  machines = await startHosts(process.env.TEST_IMAGE ?? '', 3)
  listHosts(home.path, machines, 3)
  await passed('up', '--yes')
})
test.after(() => machines?.remove())

const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}

/** 192.168.70.101 becomes 192.168.70.<first>1, and so on. */
const shifted = (address: string, first: string): string =>
  address.replace(/\d+$/, (last) => `${first}${last.slice(-1)}`)

/** Lists the first hosts at other addresses of theirs. */
function relist(first: string, count = 3): void {
  const file = join(home.path, 'cluster.yaml')
  const { hosts, ...more } = parse(readFileSync(file, 'utf8')) as { hosts: { address: string }[] }
  const moved = hosts.map((host, index) => (index < count ? { ...host, address: shifted(host.address, first) } : host))
  writeFileSync(file, stringify({ hosts: moved, ...more }))
  const known = /UserKnownHostsFile=(\S+)/.exec(machines.ssh.ansible_ssh_common_args ?? '')?.[1] ?? ''
  const lines = readFileSync(known, 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => [line, line.replace(/^\S+/, (address) => shifted(address, first))])
  writeFileSync(known, `${[...new Set(lines)].join('\n')}\n`)
}

const add = async (first: string): Promise<void> => {
  for (const { name, address } of machines.hosts)
    await machines.on(name, `ip address add ${shifted(address, first)}/24 dev eth0`)
}
const members = async (): Promise<string[]> =>
  JSON.parse((await passed('status', '--json')).stdout).members.map(({ address }: { address: string }) => address)

test('an address that a host does not have is refused, and nothing is touched', async () => {
  relist('2', 1)
  const up = await home.verb('up', '--yes')
  assert.is(up.exitCode, 2)
  assert.match(up.stderr, 'scripts/move.ts')
  const { exitCode, stderr } = await home.verb('move', '--yes')
  assert.is(exitCode, 1, stderr)
  assert.match(stderr, /master01 could not be asked over ssh for its addresses. Nothing was changed/)
  listHosts(home.path, machines, 3)
  assert.match((await passed('up', '--yes')).stdout, 'nothing had to be changed')
})

test('three members move one after the other; certificates name the old addresses until hosts lose them', async () => {
  await add('2')
  relist('2')
  const plan = await passed('move', '--plan')
  assert.match(plan.stdout, /move master0\d to \S+\.2\d: its peer URL first, then restart it there/)
  const before = clientsView(home)
  const { stdout } = await underLoad(
    { ...before, hosts: [...before.hosts, ...before.hosts.map(atNew)] },
    () => passed('move', '--yes'),
    'moved',
  )
  assert.match(stdout, 'the old address from one host after the other (master01, master02 and master03)')
  assert.equal(
    (await members()).map((address) => address.split('.').at(-1)),
    ['21', '22', '23'],
  )
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
  await leaveOld('master01')
  await passed('restart', 'master01')
  await leaveOld('master02')
  await leaveOld('master03') // too early: the members do not hear each other any more
  const again = await passed('move', '--yes')
  assert.not.match(again.stdout, 'the old address')
  assert.match((await passed('up', '--yes')).stdout, 'nothing had to be changed')
})

async function leaveOld(name: string): Promise<void> {
  const old = machines.hosts.find((host) => host.name === name)?.address ?? ''
  const fresh = `ip address flush dev eth0; ip address add ${shifted(old, '2')}/24 dev eth0`
  await machines.on(name, `${fresh}; ip route add default via ${old.replace(/\d+$/, '1')}`)
}

const atNew = <T extends { address: string; clientURL: string }>(host: T): T => {
  const address = shifted(host.address, '2')
  return { ...host, address, clientURL: host.clientURL.replace(host.address, address) }
}

const title = 'killed (-9) at each step, a move comes to its end (only with E2E_KILLED=1)'
if (!process.env.E2E_KILLED) test.skip(title, () => {})
else
  test(title, async () => {
    await add('3')
    relist('3')
    const { steps, last } = await killedAtEachStep(home, 'move', ['--yes'], /Compare the host|Restart etcd on \S+/)
    assert.is(last.exitCode, 0, last.stderr)
    console.log(`measured: killed at ${steps.length} steps: ${steps.join('; ')}`)
    assert.equal(
      (await members()).map((address) => address.split('.').at(-1)),
      ['31', '32', '33'],
    )
    assert.match((await passed('verify')).stdout, 'All 16 checks pass')
  })

test.run()
