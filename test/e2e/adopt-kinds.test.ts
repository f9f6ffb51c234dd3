// Kinds of clusters that other tools set up, adopted and given back while clients write and read. It takes minutes, so
// only when asked for: E2E_LONG=1 npm run test:e2e -- adopt-kinds
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import { setUpByHand } from '../support/foreign.ts'
import { listHosts, startHosts, type TestHosts } from '../support/hosts.ts'
import { underLoad } from '../support/load.ts'
import { isLong, long } from '../support/long.ts'
import { type Outcome, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const older = isLong ? await etcdOf('3.5.33') : undefined
const names = { pki: { extraSans: ['etcd-0.example', 'etcd-1.example', 'etcd-2.example'] } }
let machines: TestHosts

test.before(async () => {
  if (isLong) machines = await startHosts(process.env.TEST_IMAGE ?? '', 3)
})
test.after(() => machines?.remove())

const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}
long("the original write-up's role left a unit and a drop-in of the very names that ours have", async () => {
  const latest = await etcdOf('3.6.14')
  if (!latest) throw new Error('etcd 3.6.14 cannot be had here.')
  const theirs = { unit: 'etcd-member', data: '/var/lib/etcd', certs: '/etc/ssl/etcd', user: 'root', apart: false }
  const folder = join(home.path, 'original')
  const dropIn = '40-cluster-ips.conf'
  const clients = await setUpByHand(machines, 3, latest.folder, folder, {
    ...theirs,
    dropIn,
    more: { 'ssl-dir': theirs.certs },
  })
  listHosts(home.path, machines, 3, {}, names)
  await underLoad(clients, () => passed('adopt', '--yes'), 'adopted, same names')
  await underLoad(clients, () => passed('adopt', '--back', '--yes'), 'taken back, same names')
  assert.match(await machines.on('master01', 'systemctl cat etcd-member'), 'etcd by hand')
})

long("kubeadm's static pods end as their manifests go, and come back with them", async () => {
  const gone = 'systemctl disable --now etcd-member; rm -rf /var/lib/etcd /etc/systemd/system/etcd-member*'
  await Promise.all(machines.hosts.map(({ name }) => machines.on(name, gone)))
  const programs = (await etcdOf('3.4.23')) ?? older
  const certs = '/etc/kubernetes/pki/etcd'
  const theirs = { unit: 'kubelet', data: '/var/lib/etcd', certs, user: 'root', apart: false, pod: true }
  const clients = await setUpByHand(machines, 3, programs?.folder ?? '', join(home.path, 'pods'), theirs)
  listHosts(home.path, machines, 3, { binaries: programs?.folder }, names)
  const pods = 'ls /etc/kubernetes/manifests; systemctl is-active etcd-member || true'
  await underLoad(clients, () => passed('adopt', '--yes'), 'adopted, static pods')
  assert.is(await machines.on('master03', pods), 'active')
  await underLoad(clients, () => passed('adopt', '--back', '--yes'), 'taken back, static pods')
  assert.is(await machines.on('master03', pods), 'etcd.yaml\ninactive')
})

long('from plain HTTP members go over to TLS, and clients in their own time', async () => {
  const ended = 'while ss -Hltn | grep -q ":2379 "; do sleep 0.1; done'
  const gone = `rm -r /etc/kubernetes/manifests; ${ended}; systemctl disable --now kubelet; rm -rf /var/lib/etcd`
  await Promise.all(machines.hosts.map(({ name }) => machines.on(name, gone)))
  const theirs = {
    unit: 'etcd',
    data: '/var/lib/etcd/default',
    certs: '/unused',
    user: 'etcd',
    apart: false,
    plain: true,
  }
  const folder = older?.folder ?? ''
  const clients = await setUpByHand(machines, 3, folder, join(home.path, 'plain'), {
    ...theirs,
    dropIn: 'default.conf',
  })
  listHosts(home.path, machines, 3, { binaries: folder })
  await underLoad(clients, () => passed('adopt', '--yes'), 'adopted, plain HTTP')
  await underLoad(clients, () => passed('adopt', '--back', '--yes'), 'taken back, plain HTTP')
  await passed('adopt', '--yes')
  await underLoad(clients, () => passed('adopt', '--finish', '--yes'), 'finished, plain HTTP')
  await underLoad(home, () => passed('adopt', '--drop-old', '--yes'), 'plain HTTP ended')
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
  assert.match((await passed('up')).stdout, 'nothing had to be changed')
})

test.run()
