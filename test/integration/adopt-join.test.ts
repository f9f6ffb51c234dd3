// Hosts of ours join a cluster that something else runs, with authorities of its own, and take its place under load.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { memberList } from '../../tasks/etcd/etcdctl.ts'
import { freeTestCluster, type Members, startMembers } from '../support/etcd.ts'
import { authority, leaf } from '../support/foreign.ts'
import { underLoad } from '../support/load.ts'
import { killedAt, type Outcome, testHome } from '../support/verbs.ts'

const home = testHome()
const own = join(home.path, 'certs/etcd-cluster-1')
let theirs: Cluster
let members: Members

/** RSA, and one authority for clients, another one for peers. */
function theirCertificates({ hosts, paths: { certs } }: Cluster): void {
  mkdirSync(certs, { recursive: true })
  for (const name of ['clients', 'peers']) authority(certs, name)
  copyFileSync(join(certs, 'clients.crt'), join(certs, 'ca.crt'))
  leaf(certs, 'etcd-client', 'clients', [])
  for (const { name, address } of hosts) {
    mkdirSync(join(certs, name))
    for (const [kind, ca] of [
      ['server', 'clients'],
      [name, 'peers'],
    ] as const) {
      leaf(certs, kind, ca, [`IP:${address}`, 'IP:127.0.0.1'])
      for (const end of ['crt', 'key']) copyFileSync(join(certs, `${kind}.${end}`), join(certs, name, `${kind}.${end}`))
    }
  }
}

test.before(async () => {
  theirs = await freeTestCluster({ name: 'theirs' })
  theirs.hosts.forEach((host, index) => void (host.name = `infra${index}`))
  theirCertificates(theirs)
  const others = { 'peer-trusted-ca-file': join(theirs.paths.certs, 'peers.crt'), 'peer-cert-allowed-cn': undefined }
  members = await startMembers(theirs, Object.fromEntries(theirs.hosts.map(({ name }) => [name, others])))
})
test.after(async () => {
  await home.downAll()
  await members?.stopAll()
})

const file = (name: string): string => join(theirs.paths.certs, name)
const access = (): string[] => [
  ...['--endpoints', theirs.hosts.map(({ clientURL }) => clientURL).join(',')],
  ...['--ca-cert', file('clients.crt'), '--ca-key', file('clients.key')],
  ...['--peer-ca-cert', file('peers.crt'), '--peer-ca-key', file('peers.key')],
]
const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}
const names = async (): Promise<string[]> => (await memberList(theirs)).map(({ name }) => name).sort()
const infra = ['infra0', 'infra1', 'infra2']
const masters = ['master01', 'master02', 'master03']

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
  assert.equal(await names(), infra)
})

test('hosts join while clients write; killed on the way, it goes on; and they can be taken out again', async () => {
  await underLoad(theirs, async () => {
    await killedAt(home, '[STARTED] Let master02 vote', 'adopt', ...access(), '--keep-old', '--yes')
    const { stdout } = await passed('adopt', '--keep-old')
    assert.match(stdout, 'master01, master02 and master03 are members of etcd-cluster-1, beside the old ones')
  })
  assert.equal(await names(), [...infra, ...masters])
  assert.match((await passed('status')).stdout, /6 of 6 members up[\s\S]*The adoption of etcd-cluster-1 is half done/)
  assert.match((await home.verb('up', '--yes')).stderr, 'The adoption of etcd-cluster-1 is half done')
  assert.match((await home.verb('adopt', '--finish', '--yes')).stderr, /what is left: infra., infra. and infra./)
  await underLoad(theirs, () => passed('adopt', '--back', '--yes'))
  assert.equal(await names(), infra)
})

test('the old members retire one by one, then the new authority issues, and the old one goes', async () => {
  await passed('adopt', ...access(), '--keep-old', '--yes')
  await underLoad(clientsOfOurs([file('clients.crt')]), () => passed('adopt', '--yes'))
  assert.match((await home.verb('adopt', '--back')).stderr, 'There is no way back: old members are gone')
  await underLoad(clientsOfOurs([file('clients.crt'), join(own, 'ca.crt')]), () => passed('adopt', '--finish', '--yes'))
  await underLoad(home, () => passed('adopt', '--drop-old', '--yes'))
  assert.match((await passed('verify')).stdout, 'All 16 checks pass')
  assert.match((await passed('up')).stdout, 'nothing had to be changed')
  assert.match((await passed('adopt')).stdout, "is ha-etcd's already")
})

test.run()
