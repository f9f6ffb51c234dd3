// An adoption killed (-9) at each of its steps, while clients write and read: the next run goes on. It takes minutes,
// so only when asked for: E2E_LONG=1 npm run test:e2e -- adopt-killed
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { clientsOf, setUpByHand } from '../support/foreign.ts'
import { listHosts, startHosts, type TestHosts } from '../support/hosts.ts'
import { underLoad } from '../support/load.ts'
import { isLong, long } from '../support/long.ts'
import { type Home, killedAtEachStep, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const byHand = join(home.path, 'by-hand')
let machines: TestHosts
let clients: Cluster

test.before(async () => {
  const older = isLong ? await etcdOf('3.5.33') : undefined
  if (!older) return
  machines = await startHosts(process.env.TEST_IMAGE ?? '', 3)
  const manner = { unit: 'my-etcd', data: '/srv/etcd/data', certs: '/srv/etcd/pki', user: 'keeper', apart: true }
  clients = await setUpByHand(machines, 3, older.folder, byHand, manner)
  const extraSans = ['etcd-0.example', 'etcd-1.example', 'etcd-2.example']
  listHosts(home.path, machines, 3, { binaries: older.folder }, { pki: { extraSans } })
})
test.after(() => machines?.remove())

/** What the role does to a host, besides the steps of ours. */
const ofRole =
  /Keep what is there|Put the role's files in place|End the old service|Start etcd, and wait|Give the member/

async function killed(on: Cluster | Home, least: number, ...words: string[]): Promise<void> {
  const run = (): ReturnType<typeof killedAtEachStep> => killedAtEachStep(home, 'adopt', words, ofRole)
  const { steps, last } = await underLoad(on, run, `killed ${words.join(' ')}`)
  // one that was killed once the record was gone had done all
  if (!/No adoption of \S+ is under way/.test(last.stderr)) assert.is(last.exitCode, 0, last.stderr)
  console.log(`measured: killed at ${steps.length} steps: ${steps.join('; ')}`)
  assert.ok(steps.length >= least)
}

long('killed at each step, an adoption is taken back, and begun again, and comes to its end', async () => {
  await killed(clients, 8, '--yes')
  await killed(clients, 3, '--back', '--yes')
  assert.is((await home.verb('adopt', '--yes')).exitCode, 0)
  const both = clientsOf(machines, 3, byHand, ['clients-ca.crt', join(home.path, 'certs/etcd-cluster-1/ca.crt')])
  await killed(both, 6, '--finish', '--yes')
  await killed(home, 3, '--drop-old', '--yes')
  assert.match((await home.verb('verify')).stdout, 'All 16 checks pass')
})

test.run()
