// Hosts that are far away: each verb over a network that takes its time and loses packets, between the hosts as well as
// from here to them. It takes an hour and more, so only when asked for: E2E_FAR=1 npm run test:e2e -- far, or
// E2E_FAR=200,200/5: round trips in ms, and after a slash how many percent of the packets are lost on each way.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findEtcd } from '../../tasks/etcd/binaries.ts'
import { testCluster } from '../support/cluster.ts'
import { listHosts as listThem, startHosts, type TestHosts } from '../support/hosts.ts'
import { type Home, type Outcome, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const asked = process.env.E2E_FAR
const networks = (asked === '1' ? '50,200,400,200/5' : (asked ?? '')).split(',').filter(Boolean)
let machines: TestHosts
let home: Home
let network: ChildProcess

test.before(async () => {
  if (networks.length === 0) return
  machines = await startHosts(process.env.TEST_IMAGE ?? '', 5)
  const pidOf = (container: string): string =>
    execFileSync('docker', ['inspect', '--format', '{{.State.Pid}}', container], { encoding: 'utf8' }).trim()
  const hosts = machines.hosts.map(({ address, container }) => `${address}=${pidOf(container)}`)
  const here = machines.hosts[0]?.address.replace(/\d+$/, '1') ?? ''
  network = spawn('python3', ['test/support/slow-network.py', here, ...hosts], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(network.stdout as NonNullable<ChildProcess['stdout']>, 'data')
})
test.after(() => {
  network?.stdin?.end()
  machines?.remove()
})

const listHosts = (count: number, etcd: object = {}): void => listThem(home.path, machines, count, etcd)

async function passes(...words: [string, ...string[]]): Promise<Outcome> {
  const outcome = await home.verb(...words)
  console.log(`measured: ${words.join(' ')}: ${Math.round(outcome.tookMs / 1000)} s`)
  assert.is(outcome.exitCode, 0, `${words.join(' ')}: ${outcome.stderr}`)
  return outcome
}

const json = async (...words: [string, ...string[]]): Promise<Record<string, unknown>> =>
  JSON.parse((await passes(...words, '--json')).stdout)

/** How long a connection to a host takes, in ms: the middle of some, since a packet may be lost. */
async function roundTrip(): Promise<number> {
  const all: number[] = []
  for (let count = 0; count < 9; count++) {
    const began = Date.now()
    const socket = connect({ host: machines.hosts[0]?.address ?? '', port: 22 })
    await once(socket, 'connect')
    all.push(Date.now() - began)
    socket.destroy()
  }
  return all.sort((a, b) => a - b)[4] ?? 0
}

/** The programs are on the hosts: over a way that loses packets, to send them takes an hour. */
async function putPrograms(): Promise<void> {
  const folder = (await findEtcd(testCluster({ provider: 'ssh' })))?.folder
  for (const { name } of machines.hosts)
    for (const program of ['etcd', 'etcdctl']) await machines.copy(name, `${folder}/${program}`, '/usr/local/bin/')
}

const lose = (name: string): Promise<string> =>
  machines.on(name, 'systemctl kill -s KILL etcd-member; systemctl stop etcd-member; rm -rf /var/lib/etcd')

/** Each verb of the README that asks hosts or members, on a cluster that is well or has lost what the verb is for. */
async function everyVerb(loss: number): Promise<void> {
  listHosts(3)
  if (loss > 0) await putPrograms()
  await passes('up', '--yes')
  for (const verb of ['doctor', 'verify', 'certs', 'env', 'up', 'restart', 'defrag']) await passes(verb)
  const { members, quorum } = (await json('status')) as { members: { state: string }[]; quorum: boolean }
  assert.equal([quorum, members.some(({ state }) => state === 'down')], [true, false])
  assert.is((await json('load', '--seconds', '10')).missing, 0)
  const { folder } = await json('backup')
  await passes('rotate-certs', '--all')
  await passes('rotate-ca', '--yes')
  await lose('master02')
  assert.equal((await json('replace', 'master02')).replaced, ['master02'])
  listHosts(5)
  await passes('scale')
  listHosts(3)
  await passes('scale', '--yes')
  await passes('restore', String(folder), '--yes')
  await Promise.all([lose('master01'), lose('master03')])
  assert.is((await json('recover', '--yes')).from, 'master02')
  const newer = loss === 0 && (await etcdOf('3.7.1'))
  if (newer) {
    listHosts(3, { binaries: newer.folder })
    await passes('upgrade', '--yes')
    listHosts(3)
    await passes('downgrade', '--etcd-version', '3.6.14', '--yes')
  }
  await passes('verify')
}

for (const words of networks) {
  const [trip = 0, loss = 0] = words.split('/').map(Number)
  test(`at ${trip} ms there and back, with ${loss} % of the packets lost, every verb does its work`, async () => {
    home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
    network.stdin?.write(`${trip} ${loss}\n`)
    await once(network.stdout as NonNullable<ChildProcess['stdout']>, 'data')
    const measured = await roundTrip()
    console.log(`measured: a connection takes ${measured} ms`)
    assert.ok(measured >= trip * 0.9, `${measured} ms`)
    try {
      await everyVerb(loss)
    } finally {
      await home.downAll()
    }
  })
}
if (networks.length === 0) test.skip('hosts that are far away, where E2E_FAR asks for them', () => {})

test.run()
