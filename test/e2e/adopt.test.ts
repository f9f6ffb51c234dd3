// Clusters that other people set up go on as ours, on hosts under systemd and over ssh, while clients write and read.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse, stringify } from 'yaml'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { clientsOf, setUpByHand } from '../support/foreign.ts'
import { listHosts, startHosts, type TestHosts, untilListens } from '../support/hosts.ts'
import { kinds } from '../support/kinds.ts'
import { underLoad } from '../support/load.ts'
import { long } from '../support/long.ts'
import { type Outcome, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const older = await etcdOf('3.5.33')
const byHand = join(home.path, 'by-hand')
let machines: TestHosts
let clients: Cluster

test.before(async () => {
  const image = process.env.TEST_IMAGE
  if (!image || !older) throw new Error('TEST_IMAGE names no image: run this with npm run test:e2e.')
  machines = await startHosts(image, 3)
  const more = { 'quota-backend-bytes': '4294967296' }
  clients = await setUpByHand(machines, 3, older.folder, byHand, { ...kinds.byHand.manner, more })
  listHosts(home.path, machines, 3, { binaries: older.folder })
})
test.after(() => machines?.remove())

const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}
const failed = async (...words: [string, ...string[]]): Promise<string> => {
  const { exitCode, stderr } = await home.verb(...words)
  assert.is(exitCode, 1, stderr)
  return stderr
}
/** Of each host whether the old unit is active, and ours. */
const units = (): Promise<string[]> =>
  Promise.all(
    machines.hosts.map(async ({ name }) =>
      (await machines.on(name, 'systemctl is-active my-etcd etcd-member || true')).replace('\n', ' '),
    ),
  )

test('what the configuration lacks of the members settings is named at once, and nothing is touched', async () => {
  const stderr = await failed('adopt', '--plan')
  assert.match(stderr, 'The configuration lacks what the members have')
  assert.match(stderr, 'ETCD_QUOTA_BACKEND_BYTES: "4294967296"')
  assert.match(stderr, 'etcd-0.example')
  const config = parse(readFileSync(join(home.path, 'cluster.yaml'), 'utf8'))
  const etcd = { ...config.etcd, environment: { ETCD_QUOTA_BACKEND_BYTES: 4294967296 } }
  const pki = { extraSans: ['etcd-0.example', 'etcd-1.example', 'etcd-2.example'] }
  writeFileSync(join(home.path, 'cluster.yaml'), stringify({ ...config, etcd, pki }))
  assert.match(await failed('doctor'), 'If it is to be a member of this cluster, adopt it')
  const { stdout } = await passed('adopt', '--plan')
  assert.match(stdout, 'take master01 over: end my-etcd.service')
  assert.equal(await units(), ['active inactive', 'active inactive', 'active inactive'])
})

long('a member that does not start as ours is given back, and all goes on', async () => {
  // the role's etcd listens there, too
  await machines.on(
    'master02',
    `python3 -m http.server --bind 127.0.0.1 4001 >/dev/null 2>&1 & echo $! > /tmp/pid; ${untilListens(4001)}`,
  )
  const stderr = await underLoad(clients, () => failed('adopt', '--yes'), 'given back')
  assert.match(stderr, /master02: etcd does not stay up here/)
  assert.is((await units())[1], 'active inactive')
  assert.match(await failed('up', '--yes'), 'The adoption of etcd-cluster-1 is half done')
  await machines.on('master02', 'kill $(cat /tmp/pid)')
})

long('adopt --back gives every member back to its old service, as it was', async () => {
  await underLoad(clients, () => passed('adopt', '--back', '--yes'), 'taken back')
  assert.equal(await units(), ['active inactive', 'active inactive', 'active inactive'])
  const left = 'ls -d /etc/ssl/etcd /etc/systemd/system/etcd-member* /var/lib/etcd/member /var/lib/etcd.adopted || true'
  assert.is(await machines.on('master01', `(${left}) 2>/dev/null; stat -c %U /srv/etcd/data/member`), 'keeper')
})

test('adopt takes one member after the other, and clients notice nothing', async () => {
  await underLoad(clients, () => passed('adopt', '--yes'), 'adopted')
  assert.equal(await units(), ['inactive active', 'inactive active', 'inactive active'])
  assert.match(await failed('up', '--yes'), /half done[\s\S]*adopt\.ts --finish/)
  const { exitCode, stderr } = await home.verb('adopt', '--drop-old', '--yes')
  assert.is(exitCode, 2)
  assert.match(stderr, /would lose each other[\s\S]*adopt\.ts --finish/)
})

long('one that was taken over and then lost its data is replaced on the way', async () => {
  await machines.on('master03', 'systemctl stop etcd-member; rm -rf /var/lib/etcd/member')
  for (const words of [['--yes'], ['--finish', '--yes']])
    assert.match(await failed('adopt', ...words), /master03[\s\S]*replace\.ts master03/)
  await underLoad(clients, () => passed('replace', 'master03'), 'replaced on the way')
})

test('finish has every certificate issued by our authority, while clients have their old ones', async () => {
  const both = clientsOf(machines, 3, byHand, ['clients-ca.crt', join(home.path, 'certs/etcd-cluster-1/ca.crt')])
  await underLoad(both, () => passed('adopt', '--finish', '--yes'), 'finished')
  const again = await passed('up')
  assert.match(again.stdout, 'nothing had to be changed')
})

test('the old authority goes, and with it its clients', async () => {
  await underLoad(home, () => passed('adopt', '--drop-old', '--yes'), 'old authority dropped')
})

test('a machine that has nothing but the list of hosts takes the cluster up again', async () => {
  const forget = (): void => {
    for (const folder of ['certs', '.cluster']) rmSync(join(home.path, folder), { recursive: true })
  }
  forget()
  await failed('up')
  assert.match(await failed('adopt', '--yes'), /do not trust the authority in [\s\S]*Move .* aside/)
  forget()
  assert.match((await passed('adopt', '--yes')).stdout, 'bring a new authority in')
  assert.match((await passed('up')).stdout, 'nothing had to be changed')
})

long('with the record alone lost and a member down, adopt is named and takes the cluster up; up heals', async () => {
  rmSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'))
  await machines.on('master02', 'systemctl stop etcd-member')
  for (const verb of ['up', 'verify']) assert.match(await failed(verb), /its record .* is missing[\s\S]*adopt\.ts/)
  assert.match(await failed('adopt', '--yes'), /master02[\s\S]*up\.ts/)
  await passed('up')
  await passed('verify')
})

test.run()
