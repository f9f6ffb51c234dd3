// A cluster whose local member supervisord ran, as older releases had it: the next up moves it to a keeper.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { birthOf } from '../../tasks/core/processes.ts'
import { type Gateway, openGateway } from '../../tasks/etcd/gateway.ts'
import { clientsView, memberPids, signalMember } from '../support/load.ts'
import { putUnderSupervisord, supervisedFiles, supervisorPackage } from '../support/supervisord.ts'
import { killedAt, processesWith, testHome } from '../support/verbs.ts'
import { until } from '../support/wait.ts'

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const site = await supervisorPackage()
const whereSupervised = site ? test : test.skip

async function done(verb: string, ...words: string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await home.verb(verb, ...words, '--json')
  assert.is(exitCode, 0, stderr)
  return JSON.parse(stdout)
}

async function gateway<T>(ask: (gate: Gateway, endpoint: string) => Promise<T>): Promise<T> {
  const gate = openGateway(clientsView(home), 1)
  return ask(gate, gate.endpoints[0] ?? '').finally(() => gate.close())
}

/** A member below supervisord, which serves. */
async function supervised(): Promise<{ supervisord: number; pids: Record<string, number> }> {
  await putUnderSupervisord(home, site ?? '')
  const supervisord = Number(readFileSync(join(state, 'supervisord.pid'), 'utf8'))
  await done('verify', '--timeout', '60')
  const pids = memberPids(home)
  assert.ok(Object.values(pids).every((pid) => pid > 0))
  return { supervisord, pids }
}

async function requireKept(before: { supervisord: number; pids: Record<string, number> }): Promise<void> {
  assert.is(await birthOf(before.supervisord), undefined, 'supervisord has ended')
  assert.equal(supervisedFiles(home), [])
  const pids = memberPids(home)
  for (const [host, pid] of Object.entries(pids)) {
    assert.ok(pid > 0 && pid !== before.pids[host], host)
    assert.ok(existsSync(join(state, 'hosts', host, 'etc/keeper/keeper.json')), host)
  }
  const etcds = processesWith(`ETCD_DATA_DIR=${state}/`).filter(({ command }) => command.endsWith('/etcd'))
  assert.is(etcds.length, 1, 'one etcd for the host')
  assert.equal((await done('up')).changes, [])
  assert.equal(memberPids(home), pids, 'the second up restarts nobody')
  assert.is((await done('verify')).healthy, true)
}

whereSupervised('up moves its member to a keeper, once, with its data', async () => {
  await done('up', '--yes', '--masters', '1')
  await gateway((gate, endpoint) => gate.put(endpoint, 'greeting', 'hello'))
  const before = await supervised()
  const { changes } = await done('up', '--yes')
  assert.match((changes as string[]).join('\n'), 'moved master01 from supervisord to keepers')
  await requireKept(before)
  assert.is((await gateway((gate, endpoint) => gate.read(endpoint, 'greeting'))).found, true)
})

whereSupervised('so does an up after one that was killed in the middle of it', async () => {
  const before = await supervised()
  await killedAt(home, '[STARTED] Start the hosts', 'up', '--yes')
  await done('up', '--yes')
  await requireKept(before)
})

whereSupervised('its keeper starts the member again, as any keeper does', async () => {
  const pid = signalMember(home, 'master01', 'SIGKILL')
  await until('it is back', () => ![0, pid].includes(memberPids(home).master01 ?? 0))
})

whereSupervised('down ends supervisord with its members', async () => {
  const { supervisord } = await supervised()
  await done('down', '--yes')
  assert.is(await birthOf(supervisord), undefined)
  assert.equal(processesWith(`ETCD_DATA_DIR=${state}/`), [])
})

test.after(() => home.downAll())

test.run()
