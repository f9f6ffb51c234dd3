// Clients with a cache, as the watch cache of a kube-apiserver: what they see of restore and recover.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { clientEnvironment } from '../../tasks/etcd/client-environment.ts'
import { call, put } from '../../tasks/etcd/etcdctl.ts'
import { etcdctlView } from './disasters.ts'
import type { Home } from './verbs.ts'
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

const clusterOf = (home: Home): Cluster => etcdctlView(home, 'etcd-cluster-1', newer?.folder)
const list = (home: Home): Promise<Range> => call<Range>(clusterOf(home), ['get', '', '--prefix'], {})
const keysOf = ({ kvs = [] }: Range): Map<string, string> => new Map(kvs.map(({ key, value }) => [key, value]))

async function startCache(home: Home): Promise<Cache> {
  const first = await list(home)
  const [keys, { revision }] = [keysOf(first), first.header]
  return { keys, revision, ...follow(home, keys, revision) }
}

interface Watched {
  Events?: { type?: string; kv: { key: string; value: string; mod_revision: number } }[]
}

/**
 * Where the connection is lost, or there is no leader, it goes on from the last that it saw, as client libraries do.
 */
function follow(home: Home, keys: Cache['keys'], revision: number): Pick<Cache, 'told' | 'stop'> {
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
      child = watch(clusterOf(home), next)
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

function watch(cluster: Cluster, from: number): ChildProcess {
  const words = ['watch', '--prefix', '', '--rev', String(from), '--write-out', 'json']
  return spawn(join(newer?.folder ?? '', 'etcdctl'), words, {
    env: { ...process.env, ...clientEnvironment(cluster) },
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
async function requireFollows(home: Home, cache: Cache): Promise<void> {
  const key = `after-${cache.revision}`
  await put(clusterOf(home), key, 'x')
  await until('it follows', () => cache.keys.has(Buffer.from(key).toString('base64')))
}

/**
 * A client that followed before `act` is told, whatever it had seen; one that lists afterwards sees what etcd holds,
 * and follows.
 */
export async function requireTold<T>(home: Home, act: () => Promise<T>): Promise<T> {
  const cache = await startCache(home)
  try {
    await requireFollows(home, cache) // further than its list
    const outcome = await act()
    let said: string | undefined
    void cache.told.then((words) => (said = words))
    await until('it is told', () => said !== undefined)
    assert.match(said ?? '', /compacted/)
    await requireFollowsAfresh(home, cache.revision)
    return outcome
  } finally {
    cache.stop()
  }
}

async function requireFollowsAfresh(home: Home, before: number): Promise<void> {
  const fresh = await startCache(home)
  try {
    assert.ok(fresh.revision > before + 1, `${fresh.revision} is not above ${before}`)
    await requireFollows(home, fresh)
    assert.equal(fresh.keys, keysOf(await list(home)))
  } finally {
    fresh.stop()
  }
}
