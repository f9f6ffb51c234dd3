// Disasters: all data gone, a quorum lost for good. What a snapshot or a surviving member has comes back, whenever a
// run was killed.
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { call, endpointStatus, grantLease, put } from '../../tasks/etcd/etcdctl.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { crashMember } from '../../tasks/vms/index.ts'
import { testCluster } from '../support/cluster.ts'
import { clientsView, memberPids } from '../support/load.ts'
import { destroyHost, done, killedAt, snapshotOf, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

interface Keys {
  kvs: { key: string; value: string; mod_revision: number; lease?: number | string }[]
}

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const kept = join(home.path, 'kept')
const snapshot = join(kept, 'snapshot.db')
const dataOf = (host: string): string => join(state, 'hosts', host, 'var/lib/etcd')
const record = (): Record<string, unknown> => JSON.parse(readFileSync(join(state, 'cluster.json'), 'utf8'))
const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

/** The cluster as etcdctl needs it. */
function cluster(): Cluster {
  const view = clientsView(home)
  return { ...testCluster(), ...view, paths: { ...testCluster().paths, ...view.paths } }
}

/** Every key with its value, revision and lease, in order. */
const allKeys = async (): Promise<Keys['kvs']> => (await call<Keys>(cluster(), ['get', '', '--prefix'], {})).kvs

async function refused(pattern: RegExp, verb: string, ...words: string[]): Promise<void> {
  await refusedWith(1, pattern, verb, ...words)
}

async function refusedWith(code: number, pattern: RegExp, verb: string, ...words: string[]): Promise<void> {
  const { exitCode, stderr } = await home.verb(verb, ...words)
  assert.is(exitCode, code, stderr)
  assert.match(stderr, pattern)
}

async function requireUnchangedByUp(): Promise<void> {
  assert.equal((await done(home.verb('up', '--json'))).changes, [])
}

let before: Keys['kvs']

test.before(async () => {
  await done(home.verb('up', '--yes', '--json'))
  const lease = await grantLease(cluster(), 3600)
  for (let index = 0; index < 20; index++) await put(cluster(), `key/${index % 15}`, `value ${index}`)
  await put(cluster(), 'leased', 'yes', { lease })
  before = await allKeys()
  cpSync((await done(home.verb('backup', '--json'))).folder as string, kept, { recursive: true })
})

test('a snapshot that is damaged, or of a newer etcd, is refused, and nothing is changed', async () => {
  const spoilt = join(home.path, 'spoilt.db')
  const content = readFileSync(snapshot)
  const sealed = (database: Buffer): Buffer => Buffer.concat([database, createHash('sha256').update(database).digest()])
  const changed = (from: string | RegExp, to: string): Buffer =>
    sealed(Buffer.from(content.subarray(0, -32).toString('latin1').replaceAll(from, to), 'latin1'))
  const flipped = Buffer.from(content)
  flipped[9001] = (flipped[9001] ?? 0) ^ 1
  const [pids, files] = [memberPids(home), snapshotOf(join(home.path, 'certs'))]
  for (const [bad, code, reason] of [
    [flipped, 2, /does not match its own checksum/],
    [content.subarray(0, -512), 2, /no whole snapshot/],
    [changed(/(clusterVersion|storageVersion)3\.\d/g, '$13.9'), 1, /is of etcd 3\.9, and etcd-cluster-1 runs/],
  ] as const) {
    writeFileSync(spoilt, bad)
    await refusedWith(code, reason, 'restore', spoilt, '--yes')
  }
  mkdirSync(join(home.path, 'other'))
  copyFileSync(join(kept, 'metadata.json'), join(home.path, 'other/metadata.json'))
  writeFileSync(join(home.path, 'other/snapshot.db'), changed('value 19', 'value 91'))
  await refusedWith(2, /not what its backup noted/, 'restore', join(home.path, 'other'), '--yes')
  assert.equal([memberPids(home), snapshotOf(join(home.path, 'certs')), record().begun], [pids, files, undefined])
})

test(
  'restore refuses a cluster whose upgrade is half done as long as it has a quorum, and a ' +
    'host of another authority',
  async () => {
    const path = join(state, 'cluster.json')
    const good = readFileSync(path, 'utf8')
    writeFileSync(path, good.replace(/"etcd": \{/, '"etcd": { "upgradingTo": "3.99.0",'))
    await refused(/upgrade .* was begun(.|\n)*--etcd-version 3\.99\.0/, 'restore', kept, '--yes')
    writeFileSync(path, good)
    const ca = join(state, 'hosts/master02/etc/ssl/etcd/ca.crt')
    const ours = readFileSync(ca)
    copyFileSync(join(home.path, 'certs/etcd-cluster-1/etcd-client.crt'), ca)
    await refused(/certificates on master02 are of another authority/, 'restore', kept, '--yes')
    writeFileSync(ca, ours)
  },
)

test('the plan of a restore says what it would do; without an answer nothing is done', async () => {
  await put(cluster(), 'after', 'the backup')
  const pids = memberPids(home)
  const { plan } = (await done(home.verb('restore', kept, '--plan', '--json'))) as { plan: string[] }
  assert.match(plan.join('\n'), /revision \d+, \d+ keys(.|\n)*stop every member of etcd-cluster-1, move its data aside/)
  assert.match(plan[0] ?? '', /^you: stop every client .*kube-apiserver/)
  assert.match(plan.at(-1) ?? '', /^you: start these clients; .*kube-controller-manager/)
  const { exitCode, stderr } = await home.verb('restore', kept)
  assert.is(exitCode, 2)
  assert.match(stderr, /Replace the data of .*Every write after it is lost \(the members are \d+ revisions further\)/)
  assert.match(stderr, /Stop every client that keeps a copy.*kube-apiserver/)
  assert.equal([memberPids(home), record().begun, (await allKeys()).length], [pids, undefined, before.length + 1])
})

test('a running cluster is restored; killed in the middle, only restore goes on; old data is kept aside', async () => {
  await killedAt(home, '[STARTED] Stop every member', 'restore', kept, '--yes')
  const [{ token }, begun] = [record().etcd as { token: string }, record().begun]
  assert.ok(begun)
  for (const verb of [['up'], ['replace', 'master01'], ['recover', '--yes']] as [string, ...string[]][])
    await refused(/A restore .* was begun(.|\n)*restore\.ts .*snapshot\.db/, ...verb)
  await killedAt(home, '[STARTED] Write the inventory', 'restore', kept, '--yes')
  const { clients } = await done(home.verb('restore', kept, '--yes', '--json'))
  assert.match(clients as string, /^Now start the clients that you stopped \(each kube-apiserver\)/)
  assert.equal(await allKeys(), before)
  assert.equal(record().begun, undefined)
  assert.match(readFileSync(join(state, 'inventory.yml'), 'utf8'), `etcd_cluster_token: ${token}`)
  for (const host of ['master01', 'master02', 'master03'])
    assert.is(readdirSync(dataOf(host)).filter((name) => /^member\.\d{8}T/.test(name)).length, 1)
  await requireUnchangedByUp()
})

test('from nothing but certs/ and the snapshot, on new hosts', async () => {
  assert.is((await home.verb('down', '--yes')).exitCode, 0)
  rmSync(join(home.path, '.cluster'), { recursive: true })
  await done(home.verb('restore', snapshot, '--yes', '--json'))
  assert.equal(await allKeys(), before)
  await requireUnchangedByUp()
})

test('recover refuses while there is a quorum, and while one could come back by itself', async () => {
  await refused(/has a quorum: 3 of 3 members commit/, 'recover', '--yes')
  const pids = memberPids(home)
  for (const host of ['master01', 'master02']) process.kill(pids[host] ?? 0, 'SIGSTOP')
  await refused(
    /master01 and master02 and master03 still have their data(.|\n)*up\.ts.* --from HOST/,
    'recover',
    '--yes',
  )
  const { plan } = (await done(home.verb('recover', '--from', 'master02', '--plan', '--json'))) as { plan: string[] }
  for (const host of ['master01', 'master02']) process.kill(pids[host] ?? 0, 'SIGCONT')
  assert.match(plan[0] ?? '', /^you: stop every client .*kube-apiserver/)
  assert.match(plan.join('\n'), /\nstop master02 and keep a copy of its data/)
  assert.match(plan.at(-1) ?? '', /^you: start these clients; .*kube-controller-manager/)
  assert.equal(memberPids(home), pids)
})

test(
  'two of three hosts destroyed under load: what the survivor had is there, three members ' +
    'again, whenever it was killed',
  async () => {
    const gateway = openGateway(clientsView(home), 24)
    const acknowledged: { key: string; revision: number }[] = []
    let writing = true
    const writer = async (index: number): Promise<void> => {
      for (let count = 0; writing; count++) {
        const key = `load/${index}-${count}`
        const endpoint = gateway.endpoints[count % 3] ?? ''
        await gateway.put(endpoint, key, 'x').then(
          (revision) => acknowledged.push({ key, revision }),
          () => pause(20),
        )
      }
    }
    const started = Date.now()
    const writers = Promise.all(Array.from({ length: 24 }, (_, index) => writer(index)))
    while (acknowledged.length < 500) await pause(20)
    const statuses = await endpointStatus(cluster())
    const survivor = cluster().hosts.find(
      (_, index) => statuses[index]?.ok && statuses[index].value.leaderId !== statuses[index].value.memberId,
    ) as Host // a follower knows least
    const lost = cluster().hosts.filter(({ name }) => name !== survivor.name)
    const rate = acknowledged.length / ((Date.now() - started) / 1000)
    const pids = memberPids(home)
    for (const { name } of lost) process.kill(pids[name] ?? 0, 'SIGKILL')
    for (const { name } of lost) destroyHost(home, name)
    writing = false
    await writers
    const [status] = await endpointStatus(cluster(), { endpoints: [survivor.clientURL] })
    const reached = status?.ok ? status.value.revision : 0
    const had = acknowledged.filter(({ revision }) => revision <= reached)
    console.log(
      `  ${acknowledged.length} writes (${Math.round(rate)}/s), ${acknowledged.length - had.length} of ` +
        `them unknown to ${survivor.name}`,
    )
    assert.ok(had.length > acknowledged.length - 100)

    await killedAt(home, '[STARTED] Forget the members', 'recover', '--yes')
    await refused(/A recover .* was begun(.|\n)*recover\.ts --from master0\d/, 'up')
    await killedAt(home, `[COMPLETED] Add ${lost[0]?.name} as a learner`, 'recover', '--yes')
    await killedAt(home, `[COMPLETED] Let ${lost[0]?.name} vote`, 'recover', '--yes')
    // no quorum again; but what was formed has all, and must not be formed by force once more
    await crashMember(cluster(), lost[0] as Host)
    assert.is((await done(home.verb('recover', '--yes', '--json'))).from, null)
    const there = await gateway.keysBelow(survivor.clientURL, 'load/')
    gateway.close()
    assert.equal(
      had.filter(({ key }) => !there.has(key)),
      [],
    )
    assert.equal((await allKeys()).filter(({ key }) => before.some((old) => old.key === key)).length, before.length)
    const copies = readdirSync(dataOf(survivor.name)).filter((name) => /^member\.\d{8}T/.test(name))
    assert.ok(copies.length > 0, 'a copy of its data')
    assert.not.ok(existsSync(join(dataOf(survivor.name), 'member.part')))
    assert.equal(record().begun, undefined)
    await requireUnchangedByUp()
  },
)

const newer = await etcdOf('3.7.1')
const whereNewer = newer ? test : test.skip

whereNewer('a newer etcd restores with its revision raised, and what it saved is refused by an older one', async () => {
  const config = join(home.path, 'newer.yaml')
  writeFileSync(config, `cluster: newer\nmasters: 1\netcd: { binaries: ${newer?.folder} }\n`)
  await done(home.verb('up', '--config', config, '--yes', '--json'))
  const { folder, metadata } = (await done(home.verb('backup', '--cluster', 'newer', '--json'))) as {
    folder: string
    metadata: { revision: number }
  }
  assert.is((await done(home.verb('restore', folder, '--cluster', 'newer', '--yes', '--json'))).revisionRaised, true)
  const view = {
    ...testCluster(),
    ...clientsView(home, 'newer'),
    paths: { ...testCluster().paths, ...clientsView(home, 'newer').paths },
  }
  assert.ok((await put(view, 'key', 'value')) > metadata.revision + 1_000_000_000)
  copyFileSync(join(folder, 'snapshot.db'), join(home.path, 'of-newer.db'))
  await refused(/is of etcd 3\.\d+, and etcd-cluster-1 runs/, 'restore', join(home.path, 'of-newer.db'), '--yes')
})

test.after(() => home.downAll())

test.run()
