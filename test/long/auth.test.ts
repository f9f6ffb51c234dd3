// Every verb of the README on a cluster whose authentication is on: our client certificate's user has the role root,
// and that is all that any of them needs.
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { call, etcdctl, keepsUsOut } from '../../tasks/etcd/etcdctl.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { isOff } from '../../tasks/etcd/through-etcdctl.ts'
import { etcdctlView } from '../support/disasters.ts'
import { accessTo, leaf, startForeign } from '../support/foreign.ts'
import { folderOf, forReal, must, runs, v36, v37 } from '../support/ladder.ts'
import { clientsView, loseHosts } from '../support/load.ts'
import { testHome } from '../support/verbs.ts'

const home = testHome()
const other = testHome()
const does = async (version: string, ...lines: string[]): Promise<void> => {
  for (const line of lines) {
    const [verb = '', ...words] = line.split(' ')
    const began = Date.now()
    await must(home, version, verb, ...words, ...(asks.has(verb) ? ['--yes'] : []))
    console.log(`measured: ${line}: ${Math.round((Date.now() - began) / 1000)} s`)
  }
}
const asks = new Set(['up', 'down', 'rotate-ca', 'restore', 'recover', 'auth', 'pack'])

forReal('every verb works while authentication is on, and a restored or recovered cluster has it on', async () => {
  await does(v36, 'up', 'auth on', 'doctor', 'pki', 'vms', 'etcd-role', 'verify', 'up', 'status', 'env', 'certs')
  await does(v36, 'load --seconds 2', 'rotate-certs --all', 'restart', 'defrag', 'rotate-ca', 'replace master02')
  await does(v36, 'scale --masters 5', 'scale --masters 3')
  const { folder } = JSON.parse(await must(home, v36, 'backup', '--json')) as { folder: string }
  await does(v37, `upgrade --etcd-version ${v37}`)
  await runs(home, v37)
  await does(v36, `downgrade --etcd-version ${v36}`, `restore ${folder}`)
  await stillOn()
  loseHosts(home, ['master01', 'master03'])
  await does(v36, 'recover')
  await stillOn()
  await does(v36, 'auth off', 'verify', 'down')
})

/** Whoever is no user is refused, and we are not. */
async function stillOn(): Promise<void> {
  const gateway = openGateway(clientsView(home), 1)
  const refused = await gateway.read(gateway.endpoints[0] ?? '', 'any').then(() => false, isOff)
  gateway.close()
  assert.ok(refused)
  assert.not(await keepsUsOut(etcdctlView(home, undefined, folderOf(v36))))
}

forReal('hosts join a cluster whose authentication is on, with the certificate of its root', async () => {
  const [theirs, members] = await startForeign(1)
  try {
    const { certs } = theirs.paths
    leaf(certs, 'root', 'clients', [])
    for (const words of ['role add root', 'user add root --no-password', 'user grant-role root root'])
      await call(theirs, words.split(' '), {})
    await etcdctl(theirs, ['auth', 'enable'], {})
    const run = async (...words: string[]): Promise<void> => {
      const outcome = await other.verb('adopt', ...words, '--yes')
      assert.is(outcome.exitCode, 0, outcome.stderr)
    }
    const { stderr } = await other.verb('adopt', ...accessTo(theirs), '--masters', '1', '--yes')
    assert.match(stderr, "etcd's authentication is on")
    const root = ['--client-cert', join(certs, 'root.crt'), '--client-key', join(certs, 'root.key')]
    await run(...accessTo(theirs), ...root, '--masters', '1')
    await run('--finish')
    await run('--drop-old')
    assert.match((await other.verb('verify')).stdout, 'All 16 checks pass')
  } finally {
    await members.stopAll()
  }
})

test.after(async () => {
  await home.downAll()
  await other.downAll()
})
test.run()
