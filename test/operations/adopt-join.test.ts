// Hosts of ours join a cluster that something else runs, with authorities of its own, and take its place under load.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { memberList } from '../../tasks/etcd/etcdctl.ts'
import type { Members } from '../support/etcd.ts'
import { accessTo, startForeign } from '../support/foreign.ts'
import { underLoad } from '../support/load.ts'
import { killedAt, type Outcome, testHome } from '../support/verbs.ts'

const home = testHome()
const own = join(home.path, 'certs/etcd-cluster-1')
let theirs: Cluster
let members: Members

test.before(async () => {
  ;[theirs, members] = await startForeign(3)
})
test.after(async () => {
  await home.downAll()
  await members?.stopAll()
})

const file = (name: string): string => join(theirs.paths.certs, name)
const access = (): string[] => accessTo(theirs)
const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}
const names = async (): Promise<string[]> => (await memberList(theirs)).map(({ name }) => name).sort()
const infra = ['infra0', 'infra1', 'infra2']

/** As clients see our hosts that have their old certificate, and trust what is given. */
function clientsOfOurs(trusted: string[]): Cluster {
  const record = JSON.parse(readFileSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'), 'utf8'))
  const ours = (record.begun?.hosts ?? record.members) as Host[]
  const certs = join(theirs.paths.certs, `of-ours-${trusted.length}`)
  mkdirSync(certs)
  for (const end of ['crt', 'key']) copyFileSync(file(`etcd-client.${end}`), join(certs, `etcd-client.${end}`))
  writeFileSync(join(certs, 'ca.crt'), trusted.map((path) => readFileSync(path, 'utf8')).join(''))
  const hosts = ours.map((host) => ({ ...host, clientURL: `https://${host.address}:2379` }))
  return { ...theirs, hosts, paths: { ...theirs.paths, certs } }
}

test('the plan says who comes and who goes; with another key for peers it says what would fail', async () => {
  const { stdout } = await passed('adopt', ...access(), '--plan')
  assert.match(stdout, /add master03 as a learner[\s\S]*remove member \w+ of infra2[\s\S]*forget infra2/)
  const other = access().map((word) => word.replace('peers.', 'clients.'))
  const { exitCode, stderr } = await home.verb('adopt', ...other, '--yes')
  assert.is(exitCode, 1)
  assert.match(stderr, 'infra0: its peer port lets no certificate of the given authority in')
  const mixed = access().map((word) => word.replace('peers.key', 'clients.key'))
  assert.match((await home.verb('adopt', ...mixed)).stderr, /clients\.key is not the key of .*peers\.crt/)
  const [url = ''] = theirs.hosts.map(({ clientURL }) => clientURL)
  const nowhere = url.replace(/\d+$/, '1')
  const more = access().map((word) => (word.includes(url) ? `${word},${nowhere}` : word))
  const said = (await home.verb('adopt', ...more, '--plan')).stderr
  assert.match(said, `may be of another cluster: ${nowhere}: nothing listens there`)
  assert.equal(await names(), infra)
})

test('a host joins while clients write; killed on the way, it goes on; and it can be taken out again', async () => {
  await underLoad(theirs, async () => {
    await killedAt(home, '[STARTED] Let master01 vote', 'adopt', ...access(), '--masters', '1', '--keep-old', '--yes')
    const { stdout } = await passed('adopt', '--keep-old')
    assert.match(stdout, 'master01 is a member of etcd-cluster-1, beside the old ones')
  })
  assert.equal(await names(), [...infra, 'master01'])
  assert.match((await passed('status')).stdout, /4 of 4 members up[\s\S]*The adoption of etcd-cluster-1 is half done/)
  assert.match((await home.verb('up', '--yes')).stderr, 'The adoption of etcd-cluster-1 is half done')
  assert.match((await home.verb('adopt', '--finish', '--yes')).stderr, /what is left: infra., infra. and infra./)
  await underLoad(theirs, () => passed('adopt', '--back', '--yes'))
  assert.equal(await names(), infra)
})

test('the old members retire one by one, then the new authority issues, and the old one goes', async () => {
  await passed('adopt', ...access(), '--masters', '1', '--keep-old', '--yes')
  await underLoad(clientsOfOurs([file('clients.crt')]), () => passed('adopt', '--yes'))
  assert.match((await home.verb('adopt', '--back')).stderr, 'There is no way back: old members are gone')
  await underLoad(clientsOfOurs([file('clients.crt'), join(own, 'ca.crt')]), () => passed('adopt', '--finish', '--yes'))
  assert.match((await passed('status')).stdout, /still lets in clients of its old authority\.\s.*adopt\.ts --drop-old/)
  await underLoad(home, () => passed('adopt', '--drop-old', '--yes'))
  assert.not.match((await passed('status')).stdout, 'old authority')
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
  assert.match((await passed('up')).stdout, 'nothing had to be changed')
  assert.match((await passed('adopt')).stdout, "is ha-etcd's already")
})

test.run()
