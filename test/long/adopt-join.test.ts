// Hosts of ours take the place of another tool's members, while members of both are lost: only what is named is done.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { memberList } from '../../tasks/etcd/etcdctl.ts'
import { befall } from '../support/by-hand.ts'
import type { Members } from '../support/etcd.ts'
import { accessTo, startForeign } from '../support/foreign.ts'
import { type Outcome, testHome } from '../support/verbs.ts'

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

const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}
const names = async (): Promise<string[]> => (await memberList(theirs)).map(({ name }) => name).sort()

test('a full database is defragmented, and one of ours that stopped is started', async () => {
  await passed('adopt', ...accessTo(theirs), '--keep-old', '--yes')
  await befall(home, 'raise NOSPACE on', 'master01')
  const { stderr } = await home.verb('verify')
  assert.match(stderr, /NOSPACE[\s\S]*defrag\.ts --disarm/)
  assert.match((await passed('defrag', '--disarm')).stdout, 'No alarm is raised, and writes go on')
  await befall(home, 'stop', 'master02')
  await passed('adopt', '--keep-old')
  assert.equal(await names(), ['infra0', 'infra1', 'infra2', 'master01', 'master02', 'master03'])
})

test('an old member that is down goes first; then one of ours that lost its data is replaced', async () => {
  await members.stop('infra2')
  await befall(home, 'wipe', 'master01')
  const { exitCode, stderr } = await home.verb('adopt', '--yes')
  assert.is(exitCode, 1, stderr)
  assert.match(stderr, /master01 lost the member's data[\s\S]*replace\.ts master01/)
  assert.equal(await names(), ['infra0', 'infra1', 'master01', 'master02', 'master03'])
  assert.match((await home.verb('adopt', '--back', '--yes')).stderr, 'There is no way back: old members are gone')
  await passed('replace', 'master01', '--yes')
  await passed('adopt', '--yes')
})

test('once the old members have gone, one that lost its data is replaced before it goes on', async () => {
  await befall(home, 'wipe', 'master03')
  const { exitCode, stderr } = await home.verb('adopt', '--finish', '--yes')
  assert.is(exitCode, 1, stderr)
  assert.match(stderr, /Nothing was changed: master03 lost the member's data[\s\S]*replace\.ts master03/)
  await passed('replace', 'master03', '--yes')
})

test('what stopped since starts with the certificates of the new authority', async () => {
  await befall(home, 'stop', 'master02')
  assert.match((await home.verb('verify')).stderr, /adopt\.ts/)
  await passed('adopt', '--finish', '--yes')
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
})

test.run()
