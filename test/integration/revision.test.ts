// What clients with a cache see of restore and recover: the revision never goes back, and each of them is told.
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { clientEnvironment } from '../../tasks/etcd/client-environment.ts'
import { call, put } from '../../tasks/etcd/etcdctl.ts'
import { testCluster } from '../support/cluster.ts'
import { clientsView, memberPids } from '../support/load.ts'
import { destroyHost, done, killedAt, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

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

const newer = await etcdOf('3.6.14')
const whereNewer = newer ? test : test.skip
const home = testHome()
const config = join(home.path, 'cluster.yaml')
const caches: Cache[] = []

function cluster(): Cluster {
  const view = clientsView(home)
  const made = testCluster()
  return { ...made, ...view, etcd: { ...made.etcd, binaries: newer?.folder }, paths: { ...made.paths, ...view.paths } }
}

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

const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !holds(); await pause(50)) assert.ok(Date.now() < deadline, what)
}

/** What a client is told, within so many ms. */
function within(ms: number, told: Promise<string>): Promise<string> {
  return new Promise((end) => {
    const late = setTimeout(() => end('not told'), ms)
    void told.then((said) => {
      clearTimeout(late)
      end(said)
    })
  })
}

/**
 * A client that followed before `act` is told, whatever it had seen; one that lists afterwards sees what etcd holds,
 * and follows.
 */
async function requireTold(act: () => Promise<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const cache = await startCache()
  await put(cluster(), 'seen', String(cache.revision)) // it goes further than its list
  await until('it follows', () => cache.keys.has(Buffer.from('seen').toString('base64')))
  const outcome = await act()
  const said = await within(30_000, cache.told)
  assert.match(said, /compacted/)
  const fresh = await startCache()
  assert.ok(fresh.revision > cache.revision + 1, `${fresh.revision} is not above ${cache.revision}`)
  await put(cluster(), 'after', String(fresh.revision))
  await until('it follows', () => fresh.keys.has(Buffer.from('after').toString('base64')))
  assert.equal(fresh.keys, keysOf(await list()))
  fresh.stop()
  return outcome
}

let older = ''
let later = ''

test.before(async () => {
  if (!newer) return
  writeFileSync(config, `etcd: { binaries: ${newer.folder} }\n`)
  await done(home.verb('up', '--yes', '--json'))
  for (let index = 0; index < 20; index++) await put(cluster(), `key/${index}`, 'first')
  older = (await done(home.verb('backup', '--json'))).folder as string
  for (let index = 10; index < 40; index++) await put(cluster(), `key/${index}`, 'second')
  later = (await done(home.verb('backup', '--json'))).folder as string
})

whereNewer('a client with a cache is told of a restore, of the same again, and of an older one', async () => {
  const raised: number[] = []
  for (const backup of [later, later, older])
    raised.push((await requireTold(() => done(home.verb('restore', backup, '--yes', '--json')))).raisedTo as number)
  assert.equal(
    raised,
    raised.toSorted((a, b) => a - b),
  )
})

whereNewer(
  'so is one of a recover from the only member that is left, killed before and after its data is swapped',
  async () => {
    const pids = memberPids(home)
    await requireTold(async () => {
      for (const host of ['master01', 'master02']) {
        process.kill(pids[host] ?? 0, 'SIGKILL')
        destroyHost(home, host)
      }
      for (const step of ['[COMPLETED] Restore it beside the data', '[STARTED] Start it again as a member'])
        await killedAt(home, step, 'recover', '--yes')
      return done(home.verb('recover', '--yes', '--json'))
    })
  },
)

whereNewer('where neither record nor member says how far it was, restore asks, with the risk named', async () => {
  await done(home.verb('down', '--yes', '--json'))
  const { exitCode, stderr } = await home.verb('restore', older)
  assert.is(exitCode, 2)
  assert.match(stderr, /Neither a record nor a member says(.|\n)*serve wrong data(.|\n)*--above REVISION/)
  const { raisedTo } = await done(home.verb('restore', older, '--above', '7000000000', '--yes', '--json'))
  assert.is(raisedTo, 8_000_000_000)
})

test.after(async () => {
  for (const { stop } of caches) stop()
  await home.downAll()
})

test.run()
