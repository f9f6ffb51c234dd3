// Clients with a cache, as the watch cache of a kube-apiserver: what they see of restore and recover.
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { clientEnvironment } from '../../tasks/etcd/client-environment.ts'
import { call, put } from '../../tasks/etcd/etcdctl.ts'
import { etcdctlView } from './disasters.ts'
import { putAll } from './load.ts'
import { done, testHome } from './verbs.ts'
import { etcdOf } from './versions.ts'
import { pause, until } from './wait.ts'

interface Range {
  header: { revision: number }
  kvs?: { key: string; value: string }[]
}

/** A client that lists once and then follows the changes, as the watch cache of a kube-apiserver does. */
interface Cache {
  keys: Map<string, string>
  /** Of the list. */
  revision: number
  /** Ends once etcd says that it cannot go on from what the client has; with what it says. */
  told: Promise<string>
  stop: () => void
}

/** An etcd that can raise the revision of what it restores. */
export const newer = await etcdOf('3.6.14')
export const home = testHome()
const caches: Cache[] = []

const cluster = (): Cluster => etcdctlView(home, 'etcd-cluster-1', newer?.folder)
const list = (): Promise<Range> => call<Range>(cluster(), ['get', '', '--prefix'], {})
const keysOf = ({ kvs = [] }: Range): Map<string, string> => new Map(kvs.map(({ key, value }) => [key, value]))

async function startCache(): Promise<Cache> {
  const first = await list()
  const { revision } = first.header
  const cache: Cache = { keys: keysOf(first), revision, told: Promise.resolve(''), stop: () => undefined }
  caches.push(Object.assign(cache, follow(cache)))
  return cache
}

interface Watched {
  Events?: { type?: string; kv: { key: string; value: string; mod_revision: number } }[]
}

/**
 * Where the connection is lost, or there is no leader, it goes on from the last that it saw, as client libraries do.
 */
function follow({ keys, revision }: Cache): Pick<Cache, 'told' | 'stop'> {
  let next = revision + 1
  let child: ChildProcess | undefined
  let stopped = false
  const read = (line: string): void => {
    for (const { type, kv } of (JSON.parse(line) as Watched).Events ?? []) {
      if (type === 'DELETE') keys.delete(kv.key)
      else keys.set(kv.key, kv.value)
      next = kv.mod_revision + 1
    }
  }
  const told = async (): Promise<string> => {
    let said = ''
    for (; !stopped && !said.includes('compacted'); await pause(200)) {
      child = watch(next)
      said = await linesAndWords(child, read)
    }
    return said
  }
  return {
    told: told(),
    stop: () => {
      stopped = true
      child?.kill('SIGKILL')
    },
  }
}

function watch(from: number): ChildProcess {
  const words = ['watch', '--prefix', '', '--rev', String(from), '--write-out', 'json']
  return spawn(join(newer?.folder ?? '', 'etcdctl'), words, {
    env: { ...process.env, ...clientEnvironment(cluster()) },
  })
}

/** Calls `onLine` with each line of its output; gives what it said of its end. */
function linesAndWords(child: ChildProcess, onLine: (line: string) => void): Promise<string> {
  let [said, line] = ['', '']
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk))
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (line + chunk).split('\n')
    line = lines.pop() ?? ''
    for (const text of lines) onLine(text)
  })
  return new Promise((end) => child.once('close', () => end(said)))
}

/** A key that is written now, and was never written before, reaches the client. */
async function requireFollows(cache: Cache): Promise<void> {
  const key = `after-${cache.revision}`
  await put(cluster(), key, 'x')
  await until('it follows', () => cache.keys.has(Buffer.from(key).toString('base64')))
}

/**
 * A client that followed before `act` is told, whatever it had seen; one that lists afterwards sees what etcd holds,
 * and follows.
 */
export async function requireTold(act: () => Promise<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const cache = await startCache()
  await requireFollows(cache) // further than its list
  const outcome = await act()
  let said: string | undefined
  void cache.told.then((words) => (said = words))
  await until('it is told', () => said !== undefined)
  assert.match(said ?? '', /compacted/)
  const fresh = await startCache()
  assert.ok(fresh.revision > cache.revision + 1, `${fresh.revision} is not above ${cache.revision}`)
  await requireFollows(fresh)
  assert.equal(fresh.keys, keysOf(await list()))
  fresh.stop()
  return outcome
}

/** Brings a cluster up, and makes a backup of it before and after its last writes; returns their folders. */
export async function upWithBackups(): Promise<[older: string, later: string]> {
  writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${newer?.folder} }\n`)
  await done(home.verb('up', '--yes', '--json'))
  const backup = async (): Promise<string> => (await done(home.verb('backup', '--json'))).folder as string
  const keys = (first: number, last: number, value: string): [string, string][] =>
    Array.from({ length: last - first }, (_, index) => [`key/${first + index}`, value])
  await putAll(cluster(), keys(0, 20, 'first'))
  const older = await backup()
  await putAll(cluster(), keys(10, 40, 'second'))
  return [older, await backup()]
}

/** Ends every client, and takes the cluster down. */
export async function endAll(): Promise<void> {
  for (const { stop } of caches) stop()
  await home.downAll()
}
