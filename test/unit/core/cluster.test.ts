// The cluster: resolved from what is asked and recorded, the same at every run, and never in contradiction.
import { existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Config } from '../../../tasks/core/schema.ts'
import { temporaryFolder } from '../../support/folder.ts'

// The home is read when the module is loaded.
const home = temporaryFolder()
process.env.HA_ETCD_HOME = home
const { canListen } = await import('../../../tasks/core/addresses.ts')
const { resolveCluster } = await import('../../../tasks/core/cluster.ts')
const { clusterPaths, lastVerified, noteVerified, recordCluster, recordedClusters } = await import(
  '../../../tasks/core/record.ts'
)
const { UsageError } = await import('../../../tasks/core/errors.ts')

const test = suite('cluster')
test.before.each(() => rmSync(join(home, '.cluster'), { recursive: true, force: true }))

/** On this machine unless asked otherwise, whatever this machine has. */
const resolve = (asked: Config = {}) =>
  resolveCluster({ asked: { provider: 'local', ...asked }, configFile: undefined })
const subnet = '127.201.7.0/24'

/** A record as recordCluster writes it, with changes. */
const record = (changes: object = {}): string =>
  JSON.stringify({
    name: 'a',
    provider: 'local',
    subnet,
    clientPort: 2379,
    peerPort: 2380,
    members: [1, 2, 3].map((number) => ({ name: `master0${number}`, address: `127.201.7.10${number}` })),
    etcd: { version: '3.5.16' },
    ...changes,
  })

function leaveRecord(content: string, name = 'a'): void {
  const path = clusterPaths(name).record
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

async function refusal(asked: Config): Promise<Error> {
  const failure = await resolve(asked).catch((error: Error) => error)
  assert.instance(failure, UsageError)
  return failure as Error
}

test('nothing asked is three masters on a loopback network of their own', async () => {
  const cluster = await resolve()
  assert.is(cluster.name, 'etcd-cluster-1')
  assert.is(cluster.recorded, false)
  assert.match(cluster.subnet, /^127\.\d+\.\d+\.0\/24$/)
  const prefix = cluster.subnet.replace('0/24', '')
  assert.equal(
    cluster.hosts.map(({ name, address, clientURL, peerURL }) => [name, address, clientURL, peerURL]),
    [1, 2, 3].map((number) => [
      `master0${number}`,
      `${prefix}10${number}`,
      `https://${prefix}10${number}:2379`,
      `https://${prefix}10${number}:2380`,
    ]),
  )
})

test('resolving touches nothing', async () => {
  await resolve()
  assert.equal(recordedClusters(), [])
})

test('the same name finds the same network again, another name another', async () => {
  assert.is((await resolve({ cluster: 'a' })).subnet, (await resolve({ cluster: 'a' })).subnet)
  assert.is.not((await resolve({ cluster: 'a' })).subnet, (await resolve({ cluster: 'b' })).subnet)
})

test('what is asked holds', async () => {
  const cluster = await resolve({
    cluster: 'x',
    masters: 5,
    subnet,
    etcd: { clientPort: 1234, peerPort: 1235, version: '3.6.14' },
    pki: { leafDays: 10, renewBeforeDays: 1 },
  })
  assert.is(cluster.hosts.length, 5)
  assert.is(cluster.hosts[4]?.clientURL, 'https://127.201.7.105:1234')
  assert.is(cluster.etcd.version, '3.6.14')
  assert.equal(cluster.pki, {
    keyAlgorithm: 'ecdsa-p256',
    caDays: 3650,
    leafDays: 10,
    renewBeforeDays: 1,
    extraSans: [],
  })
  assert.is(cluster.paths.certs, join(home, 'certs/x'))
})

test('an IPv6 network gives its hosts ::101 and up, on this machine; their URLs have brackets', async () => {
  const cluster = await resolve({ provider: 'auto', subnet: 'fd00:10:20::/64' })
  assert.is(cluster.provider, 'local')
  assert.equal(
    cluster.hosts.map(({ address, peerURL }) => [address, peerURL]),
    [101, 102, 103].map((last) => [`fd00:10:20::${last}`, `https://[fd00:10:20::${last}]:2380`]),
  )
  leaveRecord(record({ subnet: cluster.subnet, members: cluster.hosts }))
  assert.is((await resolve({ cluster: 'a' })).hosts[0]?.clientURL, 'https://[fd00:10:20::101]:2379')
})

test('a network whose ports are taken, or that another cluster has, is passed over', async () => {
  const first = await resolve({ cluster: 'a' })
  const server = createServer().listen({ host: first.hosts[0]?.address, port: 2379 })
  try {
    const second = await resolve({ cluster: 'a' })
    assert.is.not(second.subnet, first.subnet)
    leaveRecord(record({ name: 'b', subnet: second.subnet }), 'b')
    const third = await resolve({ cluster: 'a' })
    assert.not([first.subnet, second.subnet].includes(third.subnet))
  } finally {
    server.close()
  }
})

test('a recorded cluster comes back as it was recorded, connection and all', async () => {
  const cluster = await resolve({ cluster: 'a', subnet, etcd: { version: '3.5.16' } })
  const connection = { ansible_connection: 'local', ansible_port: 22, ansible_become: false }
  recordCluster({ ...cluster, hosts: cluster.hosts.map((host) => ({ ...host, connection })) })
  const again = await resolve({ cluster: 'a' })
  assert.ok(again.recorded)
  assert.equal(
    again.hosts,
    cluster.hosts.map((host) => ({ ...host, connection })),
  )
  assert.is(again.etcd.version, '3.5.16')
  assert.equal(recordedClusters(), ['a'])
})

test('the folder that its programs came from is remembered, until a version is asked for instead', async () => {
  leaveRecord(record({ etcd: { version: '3.5.16', binaries: '/opt/etcd' } }))
  assert.is((await resolve({ cluster: 'a' })).etcd.keptBinaries, '/opt/etcd')
  assert.is((await resolve({ cluster: 'a', etcd: { version: '3.5.16' } })).etcd.keptBinaries, undefined)
  const looking = {
    asked: { cluster: 'a', etcd: { version: '3.5.16' } },
    configFile: undefined,
  }
  assert.is((await resolveCluster(looking, { configures: false })).etcd.keptBinaries, undefined)
})

test('a cluster has one life as long as it is recorded, and another one after that', async () => {
  const cluster = await resolve({ cluster: 'a' })
  recordCluster(cluster)
  assert.match(cluster.life ?? '', /^[0-9a-f-]{36}$/)
  assert.is((await resolve({ cluster: 'a' })).life, cluster.life)
  rmSync(cluster.paths.record)
  assert.is((await resolve({ cluster: 'a' })).life, undefined)
  const next = await resolve({ cluster: 'a' })
  recordCluster(next)
  assert.is.not(next.life, cluster.life)
})

test('the record of an older release, which has no life, gets one when it is next written', async () => {
  leaveRecord(record())
  const cluster = await resolve({ cluster: 'a' })
  assert.is(cluster.life, undefined)
  recordCluster(cluster)
  assert.ok(cluster.life)
  assert.is((await resolve({ cluster: 'a' })).life, cluster.life)
})

test('a home that is reached by a link is the same one', async () => {
  const [link, before] = [join(temporaryFolder(), 'link'), process.env.HA_ETCD_HOME]
  symlinkSync(home, link)
  process.env.HA_ETCD_HOME = link
  try {
    assert.is((await resolve({ cluster: 'a' })).paths.state, join(home, '.cluster/a'))
  } finally {
    process.env.HA_ETCD_HOME = before
  }
})

test('a list of hosts may be corrected until the role was run on them; then other hosts are refused', async () => {
  const list = (...last: number[]) => ({ hosts: last.map((one) => ({ name: `m${one}`, address: `10.0.0.${one}` })) })
  const asked = (last: number[]) => ({ cluster: 'a', provider: 'ssh', ...list(...last) }) as Config
  const addresses = async (last: number[]): Promise<string[]> =>
    (await resolve(asked(last))).hosts.map(({ address }) => address)
  const made = (changes: object): string =>
    record({ provider: 'ssh', subnet: '', members: [{ ...list(1).hosts[0], connection: { x: 1 } }], ...changes })
  leaveRecord(made({}))
  assert.equal(await addresses([2, 3]), ['10.0.0.2', '10.0.0.3'])
  assert.equal((await resolve(asked([1]))).hosts[0]?.connection, { x: 1 })
  leaveRecord(made({ formed: true }))
  assert.equal(await addresses([1]), ['10.0.0.1'])
  assert.match((await refusal(asked([2]))).message, 'm1 (10.0.0.1) went, m2 (10.0.0.2) came')
})

test('for adopt a record counts only once the role was run on its hosts', async () => {
  const asked = { cluster: 'a', provider: 'ssh', hosts: [{ name: 'm2', address: '10.0.0.2' }] } as Config
  const more = { ...asked, etcd: { clientPort: 12379 } }
  const adopting = () => resolveCluster({ asked: more, configFile: undefined }, { configures: false, formedOnly: true })
  const members = [{ name: 'm1', address: '10.0.0.1' }]
  leaveRecord(record({ provider: 'ssh', subnet: '', members }))
  assert.equal((await adopting()).hosts[0]?.clientURL, 'https://10.0.0.2:12379')
  leaveRecord(record({ provider: 'ssh', subnet: '', members, formed: true }))
  assert.equal((await adopting()).hosts[0]?.clientURL, 'https://10.0.0.1:2379')
})

test('recording the same again touches nothing', async () => {
  const cluster = await resolve({ cluster: 'a' })
  recordCluster(cluster)
  const before = statSync(cluster.paths.record)
  recordCluster(await resolve({ cluster: 'a' }))
  assert.is(statSync(cluster.paths.record).ino, before.ino)
  assert.is(before.mode & 0o777, 0o600)
})

test('asking again for what is recorded is fine', async () => {
  leaveRecord(record())
  const cluster = await resolve({
    cluster: 'a',
    provider: 'auto',
    masters: 3,
    subnet,
    etcd: { clientPort: 2379, peerPort: 2380, version: '3.5.16' },
  })
  assert.is(cluster.hosts.length, 3)
})

for (const [what, asked] of [
  ['masters 3; it cannot become 5', { masters: 5 }],
  ['subnet 127.201.7.0/24; it cannot become 127.1.1.0/24', { subnet: '127.1.1.0/24' }],
  ['etcd.clientPort 2379; it cannot become 2381', { etcd: { clientPort: 2381 } }],
  ['etcd.peerPort 2380; it cannot become 2381', { etcd: { peerPort: 2381 } }],
  ['etcd.version 3.5.16; it cannot become 3.6.14', { etcd: { version: '3.6.14' } }],
] as [string, Config][]) {
  test(`a cluster was made with ${what}`, async () => {
    leaveRecord(record())
    assert.is((await refusal({ cluster: 'a', ...asked })).message, `Cluster a was made with ${what}.`)
  })
}

test('how a verify ended is noted where the cluster has a folder; a note that cannot be read is none', async () => {
  leaveRecord(record())
  const { paths } = await resolve({ cluster: 'a' })
  assert.is(lastVerified(paths), undefined)
  const found = { time: '2026-11-27T16:00:00.000Z', healthy: false }
  noteVerified(paths, found)
  assert.equal(lastVerified(paths), found)
  for (const spoilt of ['', '{', '{"time": "today", "healthy": true}', '{"healthy": true}']) {
    writeFileSync(paths.verified, spoilt)
    assert.is(lastVerified(paths), undefined)
  }
  noteVerified(clusterPaths('not-there'), found)
  assert.not.ok(existsSync(clusterPaths('not-there').state))
})

test('a metrics port that is a recorded port is refused', async () => {
  leaveRecord(record({ clientPort: 2381 }))
  const { message } = await refusal({ cluster: 'a', etcd: { metricsPort: 2381 } })
  assert.is(message, 'etcd.clientPort and etcd.metricsPort must differ (both are 2381).')
})

for (const [what, content] of [
  ['empty', ''],
  ['not JSON', '{"name": "a"'],
  ['a list', '[]'],
  ['null', 'null'],
  ['without members', record({ members: undefined })],
  ['with no member', record({ members: [] })],
  ['with a member without address', record({ members: [{ name: 'master01' }] })],
  ['with a member whose address is none', record({ members: [{ name: 'master01', address: '127.0.0.300' }] })],
  ['with a member whose name leads elsewhere', record({ members: [{ name: '../x', address: '127.0.0.1' }] })],
  ['with a port as text', record({ clientPort: '2379' })],
  ['with another provider', record({ provider: 'moon' })],
  ['without etcd', record({ etcd: undefined })],
] as const) {
  test(`a cluster.json that is ${what} is refused, and the way out is named`, async () => {
    leaveRecord(content)
    const failure = (await refusal({ cluster: 'a' })) as InstanceType<typeof UsageError>
    assert.match(failure.message, /\.cluster\/a\/cluster\.json cannot be understood: .+\.$/)
    assert.match(failure.more.hint ?? '', /Put a good copy back/)
  })
}

test('whether one can listen is answered, and why not', async () => {
  assert.is(await canListen('127.201.9.1', 23790), true)
  assert.is(await canListen('192.0.2.1', 23790), 'EADDRNOTAVAIL')
  const server = createServer().listen({ host: '127.201.9.1', port: 23790 })
  await new Promise((done) => server.once('listening', done))
  assert.is(await canListen('127.201.9.1', 23790), 'EADDRINUSE')
  server.close()
})

test('a verb that configures nothing goes by the record, whatever the configuration says', async () => {
  leaveRecord(record())
  const asked: Config = {
    cluster: 'a',
    provider: 'vagrant',
    masters: 5,
    subnet: '127.9.9.0/24',
    etcd: { clientPort: 3379, version: '3.6.14', environment: { ETCD_X: '1' } },
  }
  const cluster = await resolveCluster({ asked, configFile: undefined }, { configures: false })
  assert.equal(
    [cluster.provider, cluster.subnet, cluster.hosts.length, cluster.etcd.clientPort, cluster.etcd.version],
    ['local', subnet, 3, 2379, '3.5.16'],
  )
  await refusal(asked)
})

test.run()
