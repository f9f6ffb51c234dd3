// A client that speaks as kube-apiserver does lives on a cluster by what `connect kubernetes` gave it, through every
// verb; it restarts when that is announced, and one that does not is the proof that it must.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Apiserver,
  apiserverProgram,
  besideApiserver,
  requireClean,
  settled,
  startApiserver,
} from '../support/apiserver.ts'
import { folderOf, forReal, go, use, v35, v36 } from '../support/ladder.ts'
import { loseHosts } from '../support/load.ts'
import { destroyHost, done, testHome } from '../support/verbs.ts'
import { pause, until } from '../support/wait.ts'

const home = testHome()
const folder = mkdtempSync(join(tmpdir(), 'ha-etcd-apiserver-'))
const [given, givenSecond] = [join(folder, 'kubernetes'), join(folder, 'second')]
const secret = join(folder, 'secret')
writeFileSync(secret, 'a passphrase of the test', { mode: 0o600 })
const program = apiserverProgram() ?? ''
const real = program ? forReal : test.skip
let apiserver: Apiserver
let second: Apiserver | undefined

const does = (line: string): Promise<Record<string, unknown>> =>
  done(home.verb(...(line.split(' ') as [string]), '--yes', '--json'))
const beside = <T>(what: string, work: () => Promise<T>): Promise<T> => besideApiserver(apiserver, what, work)
const besideEach = async (...lines: string[]): Promise<void> => {
  for (const line of lines) await beside(line, () => does(line))
}
const restarted = async (what: string): Promise<void> => {
  await settled(what, apiserver)
  apiserver = await startApiserver(program, given, 'kept')
}

test.after(async () => {
  await apiserver?.stop()
  await second?.stop()
  await home.downAll()
  rmSync(folder, { recursive: true, force: true })
})

real('no event is lost or doubled by any verb', async () => {
  use(home, folderOf(v35))
  await does('up')
  await does(`connect kubernetes --output ${given}`)
  apiserver = await startApiserver(program, given, 'kept')
  await beside(`upgrade to ${v36}`, () => go(home, 'upgrade', v36))
  await besideEach('up', 'pki', 'vms', 'etcd-role', 'verify', 'doctor', 'status', 'env', 'certs', 'metrics')
  await besideEach('connect json', `pack ${folder}/pack.age --passphrase-file ${secret}`, 'schedule --list')
  await besideEach('rotate-certs --all', 'backup', 'defrag', 'load --seconds 2', 'restart')
  await beside('a lost disk, and replace', async () => {
    destroyHost(home, 'master02')
    await does('replace master02')
  })
  await besideEach('fleet')
  const faults = '--only leader,freeze,all'
  await beside(`drill ${faults}`, () => does(`drill --cluster etcd-cluster-1 ${faults} --report ${folder}/drill.html`))
  await besideEach('scale --masters 5', 'scale --masters 3')
  await besideEach('rotate-ca --step', 'rotate-ca --back') // who keeps trusting the old authority loses nothing
  await beside(`downgrade to ${v35}`, () => go(home, 'downgrade', v35))
  await beside(`upgrade to ${v36} again`, () => go(home, 'upgrade', v36))
})

real('with authentication on its user may do all that it does, and so may one that is connected then', async () => {
  await besideEach('auth on')
  await does(`connect kubernetes --name second --output ${givenSecond}`)
  second = await startApiserver(program, givenSecond, 'second')
  await besideEach('restart') // new connections and new watches
  const before = apiserver.now().compactions + second.now().compactions
  await until('they compact', () => apiserver.now().compactions + (second?.now().compactions ?? 0) > before + 1)
  requireClean('auth on', apiserver)
  requireClean('auth on', second)
  await besideEach('auth off')
})

real('a restart for another authority is announced before it is needed, and it is needed', async () => {
  const { clients, warnings } = (await beside('rotate-ca --step: trust both', () =>
    does('rotate-ca --step'),
  )) as unknown as Said
  assert.match(clients, /of those connected, kubernetes: restart each kube-apiserver.*; second: restart each/)
  assert.match(warnings.join('\n'), 'kubernetes: restart each kube-apiserver, one after the other')
  requireClean('who ignores it has lost nothing yet', second as Apiserver)
  await restarted('restarted for the new authority')
  const ignoring = second as Apiserver
  const before = ignoring.now().acknowledged
  await besideEach('rotate-ca --step')
  const onOldConnections = ignoring.now().acknowledged - before
  await besideEach('rotate-ca --step')
  await until('who ignores it is refused', () => /unknown authority|certificate/.test(ignoring.now().handshake))
  const { acknowledged } = ignoring.now()
  await pause(2000)
  assert.is(ignoring.now().acknowledged, acknowledged)
  console.log(
    `measured: who ignored it: ${onOldConnections} writes on old connections, then ${ignoring.now().handshake}`,
  )
  const cutOff = ignoring.stop()
  second = await startApiserver(program, givenSecond, 'second')
  await cutOff
  requireClean('after its restart', second)
})

interface Said {
  clients: string
  warnings: string[]
}

real('around restore and recover it stands still as announced; one that goes on holds what is gone', async () => {
  const { folder: backup } = await does('backup')
  const { plan } = (await done(home.verb('restore', String(backup), '--plan', '--json'))) as { plan: string[] }
  assert.match(plan.join('\n'), /you: stop every client .*kubernetes: stop each kube-apiserver before/)
  await settled('stopped before', apiserver)
  const ignoring = second as Apiserver
  const before = ignoring.now()
  await does(`restore ${backup}`)
  apiserver = await startApiserver(program, given, 'kept')
  await until('who went on is told', () => ignoring.now().relists > before.relists)
  await until('its objects are gone', () => ignoring.now().ghosts > 0 && ignoring.now().vanished > 0)
  const { ghosts, vanished } = ignoring.now()
  console.log(
    `measured: restore: who went on had ${ghosts} objects that were gone, and wrote on to ${vanished} of them`,
  )
  await ignoring.stop()
  second = undefined
  await besideEach('up')
  await settled('stopped before recover', apiserver)
  loseHosts(home, ['master01', 'master03'])
  await does('recover')
  apiserver = await startApiserver(program, given, 'kept')
  await besideEach('verify')
  await restarted('in the end')
})

test.run()
