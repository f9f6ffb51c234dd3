// While hosts of ours join a cluster that something else runs, and after its old members have gone, one of ours stops
// or loses its data: what is named brings it back, and the adoption comes to its end.
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { memberList } from '../../tasks/etcd/etcdctl.ts'
import type { Members } from '../support/etcd.ts'
import { accessTo, startForeign } from '../support/foreign.ts'
import { underLoad } from '../support/load.ts'
import { destroyHost, killedAt, processesWith, testHome } from '../support/verbs.ts'

const home = testHome()
let theirs: Cluster
let members: Members

test.before(async () => {
  ;[theirs, members] = await startForeign(3)
})
test.after(async () => {
  await home.downAll()
  await members?.stopAll()
})

function stop(host: string): void {
  const own = processesWith(join(home.path, '.cluster/etcd-cluster-1/hosts', host))
  assert.is(own.length, 2, 'etcd and its keeper')
  for (const { pid } of own) process.kill(pid, 'SIGKILL')
}
function lose(host: string): void {
  stop(host)
  destroyHost(home, host)
}
const passed = async (...words: [string, ...string[]]): Promise<string> => {
  const { exitCode, stdout, stderr } = await home.verb(...words)
  assert.is(exitCode, 0, stderr + stdout)
  return stdout
}
const refused = async (why: RegExp, ...words: [string, ...string[]]): Promise<void> => {
  const { exitCode, stderr } = await home.verb(...words)
  assert.is(exitCode, 1, words.join(' '))
  assert.match(stderr, why)
}
const lost = (host: string): RegExp => new RegExp(`${host} lost the member's data\\.\\n.*scripts/replace\\.ts ${host}`)
const names = async (): Promise<string[]> => (await memberList(theirs)).map(({ name }) => name).sort()

test('one that has joined is lost, and then only stopped, while others join', async () => {
  await underLoad(theirs, async () => {
    await killedAt(home, '[STARTED] Let master02 vote', 'adopt', ...accessTo(theirs), '--keep-old', '--yes')
    lose('master01')
    await refused(lost('master01'), 'adopt', '--keep-old')
    await refused(/The adoption of etcd-cluster-1 is half done/, 'replace', 'infra0')
    await passed('replace', 'master01')
    stop('master01')
    assert.match(await passed('adopt', '--plan'), 'start master01 again')
    await passed('adopt', '--keep-old')
  })
  assert.equal(await names(), ['infra0', 'infra1', 'infra2', 'master01', 'master02', 'master03'])
})

test('one is lost once the old members have gone', async () => {
  await passed('adopt', '--yes')
  lose('master03')
  await refused(lost('master03'), 'adopt', '--finish', '--yes')
  await passed('replace', 'master03')
  await passed('adopt', '--finish', '--yes')
  await passed('adopt', '--drop-old', '--yes')
  assert.match(await passed('verify'), 'All 16 checks pass')
})

test.run()
