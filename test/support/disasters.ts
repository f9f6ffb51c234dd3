// What the tests of restore and recover share: the keys that must come back, a restore and a recovery that are killed.
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { call, endpointStatus, grantLease, put } from '../../tasks/etcd/etcdctl.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { testCluster } from './cluster.ts'
import { clientsView, loseHosts, putAll } from './load.ts'
import { done, type Home, killedAt } from './verbs.ts'
import { pause } from './wait.ts'

interface Keys {
  kvs: { key: string; value: string; mod_revision: number; lease?: number | string }[]
}

const stateOf = (home: Home): string => join(home.path, '.cluster/etcd-cluster-1')

/** A home's cluster as etcdctl needs it. `binaries`: the folder of another etcdctl than the default's. */
export function etcdctlView(home: Home, name = 'etcd-cluster-1', binaries?: string): Cluster {
  const [view, made] = [clientsView(home, name), testCluster()]
  return { ...made, ...view, etcd: { ...made.etcd, binaries }, paths: { ...made.paths, ...view.paths } }
}

/** Every key with its value, revision and lease, in order. */
export const allKeys = async (home: Home): Promise<Keys['kvs']> =>
  (await call<Keys>(etcdctlView(home), ['get', '', '--prefix'], {})).kvs

/** What a backup holds, and where it lies. */
export interface Kept {
  keys: Keys['kvs']
  folder: string
}

/** Brings a cluster up with some keys, one of them with a lease, and keeps a backup of it beside the cluster. */
export async function upWithBackup(home: Home): Promise<Kept> {
  await done(home.verb('up', '--yes', '--json'))
  const cluster = etcdctlView(home)
  const lease = await grantLease(cluster, 3600)
  await putAll(
    cluster,
    Array.from({ length: 20 }, (_, index) => [`key/${index % 15}`, `value ${index}`]),
  )
  await put(cluster, 'leased', 'yes', { lease })
  const folder = join(home.path, 'kept')
  cpSync((await done(home.verb('backup', '--json'))).folder as string, folder, { recursive: true })
  return { keys: await allKeys(home), folder }
}

export const recordOf = (home: Home): Record<string, unknown> =>
  JSON.parse(readFileSync(join(stateOf(home), 'cluster.json'), 'utf8'))

/** The data that was moved aside, or copied, on a host. */
export const asideOf = (home: Home, host: string): string[] =>
  readdirSync(join(stateOf(home), 'hosts', host, 'var/lib/etcd')).filter((name) => /^member\.\d{8}T/.test(name))

/** A verb ends with this code and says this. */
export async function refused(
  home: Home,
  code: number,
  pattern: RegExp,
  verb: string,
  ...words: string[]
): Promise<void> {
  const { exitCode, stderr } = await home.verb(verb, ...words)
  assert.is(exitCode, code, stderr)
  assert.match(stderr, pattern)
}

export async function requireUnchangedByUp(home: Home): Promise<void> {
  assert.equal((await done(home.verb('up', '--json'))).changes, [])
}

/** A running cluster is restored, killed at each of these steps; only restore goes on, and old data is kept aside. */
export async function requireRestored(home: Home, { keys, folder }: Kept, steps: string[]): Promise<void> {
  for (const [index, step] of steps.entries()) {
    await killedAt(home, step, 'restore', folder, '--yes')
    assert.ok(recordOf(home).begun)
    if (index > 0) continue
    for (const verb of [['up'], ['replace', 'master01'], ['recover', '--yes']] as [string, ...string[]][])
      await refused(home, 1, /A restore .* is half done(.|\n)*restore\.ts .*snapshot\.db/, ...verb)
  }
  const { token } = recordOf(home).etcd as { token: string }
  const { clients } = await done(home.verb('restore', folder, '--yes', '--json'))
  assert.match(clients as string, /^Now start the clients that you stopped \(each kube-apiserver\)/)
  assert.equal(await allKeys(home), keys)
  assert.equal(recordOf(home).begun, undefined)
  assert.match(readFileSync(join(stateOf(home), 'inventory.yml'), 'utf8'), `etcd_cluster_token: ${token}`)
  for (const host of ['master01', 'master02', 'master03']) assert.is(asideOf(home, host).length, 1)
}

/**
 * Two of three hosts are destroyed under load, and the recovery is killed: what the survivor had is there, three
 * members again. `more`: what else befalls it. Returns the member that the last run formed the cluster from.
 */
export async function requireRecovered(
  home: Home,
  { keys }: Kept,
  more: (lost: Host[]) => Promise<void> = async () => {},
): Promise<unknown> {
  const { survivor, lost, requireKept } = await loseTwoOfThree(home)
  await killedAt(home, '[STARTED] Forget the members', 'recover', '--yes')
  await refused(home, 1, /A recover .* is half done(.|\n)*recover\.ts --from master0\d/, 'up')
  await more(lost)
  const [{ from }, taken] = await whileWriting(home, survivor, () => done(home.verb('recover', '--yes', '--json')))
  const there = new Set((await allKeys(home)).map(({ key }) => Buffer.from(key, 'base64').toString()))
  console.log(`measured: ${taken.length} writes were acknowledged during the recovery`)
  assert.equal(
    taken.filter((key) => !there.has(key)),
    [],
    'what the member took while it ran alone is there',
  )
  await requireKept()
  const back = (await allKeys(home)).filter(({ key }) => keys.some((old) => old.key === key))
  assert.is(back.length, keys.length)
  assert.ok(asideOf(home, survivor.name).length > 0, 'a copy of its data')
  assert.not.ok(existsSync(join(stateOf(home), 'hosts', survivor.name, 'var/lib/etcd/member.part')))
  assert.equal(recordOf(home).begun, undefined)
  return from
}

/** Writes through the survivor while `act` runs. @returns what that gave, and the keys that were acknowledged */
async function whileWriting<T>(home: Home, { clientURL }: Host, act: () => Promise<T>): Promise<[T, string[]]> {
  const gateway = openGateway(etcdctlView(home), 1)
  const taken: string[] = []
  let goesOn = true
  const writer = async (): Promise<void> => {
    for (let count = 0; goesOn; count++)
      await gateway.put(clientURL, `during/${count}`, 'x').then(
        () => {
          taken.push(`during/${count}`)
          return pause(5)
        },
        () => pause(20),
      )
  }
  const writing = writer()
  const given = await act().finally(() => void (goesOn = false))
  await writing
  gateway.close()
  return [given, taken]
}

/**
 * While 24 writers write, two of three hosts are destroyed, in one instant; the follower that knows least survives.
 * Returns it, the lost ones, and a check that all which it had is there.
 */
async function loseTwoOfThree(home: Home): Promise<{ survivor: Host; lost: Host[]; requireKept: () => Promise<void> }> {
  const cluster = etcdctlView(home)
  const gateway = openGateway(cluster, 24)
  const acknowledged: { key: string; revision: number }[] = []
  let writing = true
  const writer = async (index: number): Promise<void> => {
    for (let count = 0; writing; count++) {
      const key = `load/${index}-${count}`
      await gateway.put(gateway.endpoints[count % 3] ?? '', key, 'x').then(
        (revision) => acknowledged.push({ key, revision }),
        () => pause(20),
      )
    }
  }
  const writers = Promise.all(Array.from({ length: 24 }, (_, index) => writer(index)))
  const strike = async (): Promise<{ survivor: Host; lost: Host[] }> => {
    while (acknowledged.length < 500) await pause(20)
    const statuses = await endpointStatus(cluster)
    const survivor = cluster.hosts.find(
      (_, index) => statuses[index]?.ok && statuses[index].value.leaderId !== statuses[index].value.memberId,
    ) as Host
    const lost = cluster.hosts.filter(({ name }) => name !== survivor.name)
    loseHosts(
      home,
      lost.map(({ name }) => name),
    )
    return { survivor, lost }
  }
  const { survivor, lost } = await strike().finally(async () => {
    writing = false
    await writers
    gateway.close()
  })
  const [status] = await endpointStatus(cluster, { endpoints: [survivor.clientURL] })
  const reached = status?.ok ? status.value.revision : 0
  const had = acknowledged.filter(({ revision }) => revision <= reached)
  const unknown = acknowledged.length - had.length
  console.log(`measured: ${acknowledged.length} writes, ${unknown} of them unknown to ${survivor.name}`)
  assert.ok(had.length > acknowledged.length / 2)
  const requireKept = async (): Promise<void> => {
    const fresh = openGateway(etcdctlView(home), 1)
    const there = await fresh.keysBelow(survivor.clientURL, 'load/').finally(() => fresh.close())
    assert.equal(
      had.filter(({ key }) => !there.has(key)),
      [],
    )
  }
  return { survivor, lost, requireKept }
}
