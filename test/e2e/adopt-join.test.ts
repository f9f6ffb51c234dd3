// Servers join, over ssh, a cluster that other servers run, and are killed at each step, while clients write and read.
// It takes minutes, so only when asked for: E2E_LONG=1 npm run test:e2e -- adopt-join (3.4: of etcd 3.4)
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { clientsOf, setUpByHand } from '../support/foreign.ts'
import { listHosts, startHosts, type TestHosts } from '../support/hosts.ts'
import { kinds } from '../support/kinds.ts'
import { underLoad } from '../support/load.ts'
import { isLong, long } from '../support/long.ts'
import { type Home, killedAtEachStep, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const byHand = join(home.path, 'by-hand')
let machines: TestHosts
let theirs: Cluster

test.before(async () => {
  const etcd = isLong ? await etcdOf(process.env.E2E_LONG === '3.4' ? '3.4.23' : '3.5.33') : undefined
  if (!etcd) return
  machines = await startHosts(process.env.TEST_IMAGE ?? '', 6)
  theirs = await setUpByHand(machines, 3, etcd.folder, byHand, kinds.byHand.manner)
  listHosts(home.path, { ...machines, hosts: machines.hosts.slice(3) }, 3, { binaries: etcd.folder })
})
test.after(() => machines?.remove())

/** As clients see the new servers that trust these authorities' files. */
const oursOf = (trusted: string[]): Cluster =>
  clientsOf({ ...machines, hosts: machines.hosts.slice(3) }, 3, byHand, trusted)

async function killed(on: Cluster | Home, least: number, ...words: string[]): Promise<void> {
  const run = (): ReturnType<typeof killedAtEachStep> => killedAtEachStep(home, 'adopt', words, /Start etcd on \S+/)
  const { steps, last } = await underLoad(on, run, `killed ${words.filter((word) => !word.includes('/')).join(' ')}`)
  assert.is(last.exitCode, 0, last.stderr)
  console.log(`measured: killed at ${steps.length} steps: ${steps.join('; ')}`)
  assert.ok(steps.length >= least)
}

long('killed at each step, servers join and the old ones go, and it comes to its end', async () => {
  const file = (name: string): string => join(byHand, name)
  const access = [
    ...['--endpoints', theirs.hosts.map(({ clientURL }) => clientURL).join(',')],
    ...['--ca-cert', file('clients-ca.crt'), '--ca-key', file('clients-ca.key')],
    ...['--peer-ca-cert', file('peers-ca.crt'), '--peer-ca-key', file('peers-ca.key'), '--yes'],
  ]
  await killed(theirs, 20, ...access, '--keep-old')
  await killed(oursOf(['clients-ca.crt']), 8, ...access)
  const both = oursOf(['clients-ca.crt', join(home.path, 'certs/etcd-cluster-1/ca.crt')])
  await underLoad(both, async () => assert.is((await home.verb('adopt', '--finish', '--yes')).exitCode, 0))
  assert.is((await home.verb('adopt', '--drop-old', '--yes')).exitCode, 0)
  assert.match((await home.verb('verify')).stdout, 'All 16 checks pass')
})

test.run()
