// Kinds of clusters that other tools set up, adopted and given back while clients write and read. It takes minutes, so
// only when asked for: E2E_LONG=1 npm run test:e2e -- adopt-kinds
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { startHosts, type TestHosts } from '../support/hosts.ts'
import { type Kind, kinds, setUpKind } from '../support/kinds.ts'
import { underLoad } from '../support/load.ts'
import { isLong, long } from '../support/long.ts'
import { type Outcome, testHome } from '../support/verbs.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
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

/** Adopted and given back; `shown`: what a script says of a host after each of the two. */
async function thereAndBack(kind: Kind, script: string, shown: [adopted: string, back: string]): Promise<Cluster> {
  const clients = await setUpKind(home, machines, kind)
  await underLoad(clients, () => passed('adopt', '--yes'), `adopted: ${kind.title}`)
  assert.is(await machines.on('master03', script), shown[0])
  await underLoad(clients, () => passed('adopt', '--back', '--yes'), `taken back: ${kind.title}`)
  assert.is(await machines.on('master03', script), shown[1])
  return clients
}

long("the original write-up's role left a unit and a drop-in of the very names that ours have", async () => {
  const theirs = 'systemctl cat etcd-member | grep -c "etcd by hand" || true'
  await thereAndBack(kinds.original, theirs, ['0', '1'])
})

long("kubeadm's static pods end as their manifests go, and come back with them", async () => {
  const pods = 'ls /etc/kubernetes/manifests; systemctl is-active etcd-member || true'
  await thereAndBack(kinds.pods, pods, ['active', 'etcd.yaml\ninactive'])
})

long('from plain HTTP members go over to TLS, and clients in their own time', async () => {
  const units = 'systemctl is-active etcd etcd-member || true'
  const clients = await thereAndBack(kinds.plain, units, ['inactive\nactive', 'active\ninactive'])
  await passed('adopt', '--yes')
  await underLoad(clients, () => passed('adopt', '--finish', '--yes'), 'finished, plain HTTP')
  await underLoad(home, () => passed('adopt', '--drop-old', '--yes'), 'plain HTTP ended')
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
  assert.match((await passed('up')).stdout, 'nothing had to be changed')
})

test.run()
