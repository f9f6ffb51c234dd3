// The fire drill on five servers over ssh; killed, the next one, or the servers by themselves, take back what it did.
// It takes minutes, so only when asked for: E2E_LONG=1 npm run test:e2e -- drill
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import { listHosts, startHosts, type TestHosts } from '../support/hosts.ts'
import { isLong, long } from '../support/long.ts'
import { killedAt, testHome } from '../support/verbs.ts'
import { until } from '../support/wait.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const drill = ['drill', '--cluster', 'etcd-cluster-1', '--yes', '--report', join(home.path, 'drill.html')] as [
  string,
  ...string[],
]
let machines: TestHosts

test.before(async () => {
  if (!isLong) return
  machines = await startHosts(process.env.TEST_IMAGE ?? '', 5)
  for (const { name } of machines.hosts)
    await machines.on(name, 'mkdir -p /var/lib/etcd; mount -t tmpfs -o size=400m tmpfs /var/lib/etcd')
  listHosts(home.path, machines, 5)
  const { exitCode, stderr } = await home.verb('up')
  assert.is(exitCode, 0, stderr)
})
test.after(() => machines?.remove())

/** The hosts that lack a route to another. */
async function cutOff(): Promise<string[]> {
  const looks = machines.hosts.map(async ({ name }) =>
    (await machines.on(name, 'ip route')).includes('blackhole') ? [name] : [],
  )
  return (await Promise.all(looks)).flat()
}

long('every fault that these hosts allow is healed, and no write is lost', async () => {
  const { exitCode, stdout, stderr } = await home.verb(...drill, '--json')
  assert.is(exitCode, 0, stderr)
  const { results, leftOut, broken } = JSON.parse(stdout) as { results: Row[]; leftOut: string[][]; broken: string[] }
  assert.equal(broken, [])
  console.log(`measured: ${results.map(({ name, tookMs }) => `${name} ${tookMs} ms`).join(', ')}`)
  console.log(`left out: ${leftOut.map((one) => one.join(': ')).join('; ')}`)
  const names = results.map(({ name }) => name)
  for (const name of [
    'a member is cut off',
    'the leader is cut off',
    'the leader hangs',
    'a disk is full',
    'a disk is lost',
  ])
    assert.ok(names.includes(name), name)
})

long('killed while a member is cut off, the next drill gives it its routes back', async () => {
  await killedAt(home, 'off from the other members', ...drill, '--only', 'cut')
  assert.is((await cutOff()).length, 1)
  const { exitCode, stderr } = await home.verb(...drill, '--only', 'member')
  assert.is(exitCode, 0, stderr)
  assert.equal(await cutOff(), [])
})

long('killed for good, the host gives itself its routes back, and up finds all well', async () => {
  await killedAt(home, 'off from the other members', ...drill, '--only', 'cut')
  assert.is((await cutOff()).length, 1)
  await until('the host has its routes back', async () => (await cutOff()).length === 0, 240_000)
  // after three minutes without an answer etcd takes some twenty seconds to be heard again
  await until('the member commits again', async () => (await home.verb('verify')).exitCode === 0)
  const { exitCode, stderr } = await home.verb('up')
  assert.is(exitCode, 0, stderr)
})

interface Row {
  name: string
  tookMs: number
}

test.run()
