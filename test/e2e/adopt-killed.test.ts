// An adoption of each kind killed (-9) at each of its steps, while clients write and read: the next run goes on. It
// takes minutes, so only when asked for: E2E_LONG=1 npm run test:e2e -- adopt-killed (plain,pods: these kinds)
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { clientsOf } from '../support/foreign.ts'
import { startHosts, type TestHosts } from '../support/hosts.ts'
import { folderOf, type Kind, kinds, setUpKind } from '../support/kinds.ts'
import { underLoad } from '../support/load.ts'
import { isLong, long } from '../support/long.ts'
import { type Home, killedAtEachStep, testHome } from '../support/verbs.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const asked = (process.env.E2E_LONG ?? '').split(',')
let machines: TestHosts

test.before(async () => {
  if (isLong) machines = await startHosts(process.env.TEST_IMAGE ?? '', 3)
})
test.after(() => machines?.remove())

/** What the role does to a host, besides the steps of ours. */
const ofRole =
  /Keep what is there|Put the role's files in place|End the old service|Start etcd, and wait|Give the member/

async function killed(on: Cluster | Home, least: number, ...words: string[]): Promise<void> {
  const run = (): ReturnType<typeof killedAtEachStep> => killedAtEachStep(home, 'adopt', words, ofRole)
  const { steps, last } = await underLoad(on, run, `killed ${words.join(' ')}`)
  console.log(`measured: killed at ${steps.length} steps: ${steps.join('; ')}`)
  // one that was killed once its last file was gone had done all
  const hadDoneAll = /No adoption of \S+ is under way|has no old authority to drop/.test(last.stderr)
  if (!hadDoneAll) assert.is(last.exitCode, 0, last.stderr)
  assert.ok(steps.length >= least)
}

/** What etcd runs on a host with which settings, and under what; and what was kept. */
const runs = (name: string): Promise<string> =>
  machines.on(
    name,
    'for file in $(grep -lx etcd /proc/[0-9]*/comm 2>/dev/null); do cd "$(dirname "$file")"; tr "\\0" " " <cmdline; ' +
      'tr "\\0" "\\n" <environ | grep ^ETCD_ | sort; done; ' +
      '(systemctl is-active my-etcd etcd-member etcd kubelet; ls -d /etc/kubernetes/manifests/* /var/lib/etcd.*) ' +
      '2>/dev/null || true',
  )

/** To where it can still be taken back, and back: each host runs what it ran before. */
async function thereAndBack(kind: Kind): Promise<Cluster> {
  const clients = await setUpKind(home, machines, kind)
  const names = machines.hosts.map(({ name }) => name)
  const before = await Promise.all(names.map(runs))
  await killed(clients, 8, '--yes')
  await killed(clients, 3, '--back', '--yes')
  assert.equal(await Promise.all(names.map(runs)), before)
  return clients
}

/** Once more, and to its end. */
async function toTheEnd(clients: Cluster): Promise<void> {
  assert.is((await home.verb('adopt', '--yes')).exitCode, 0)
  await killed(clients, 6, '--finish', '--yes')
  await killed(home, 3, '--drop-old', '--yes')
  assert.match((await home.verb('verify')).stdout, 'All 16 checks pass')
}

for (const [name, kind] of Object.entries(kinds)) {
  if (asked.some((kind) => kind in kinds) && !asked.includes(name)) continue
  long(`killed at each step, an adoption is taken back: ${kind.title}`, async () => {
    const clients = await thereAndBack(kind)
    // taken over, the others are as those made by hand
    if (kind === kinds.plain) await toTheEnd(clients)
    if (kind !== kinds.byHand) return
    const trusted = ['clients-ca.crt', join(home.path, 'certs/etcd-cluster-1/ca.crt')]
    await toTheEnd(clientsOf(machines, 3, folderOf(home, kind), trusted))
  })
}

test.run()
