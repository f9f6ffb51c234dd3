// A bounded write load over etcd's JSON gateway, and the proof afterwards that no acknowledged write is lost.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { routed } from './reach.ts'

/** What a load saw. Times are in milliseconds. */
export interface LoadReport {
  acknowledged: number
  /** Writes that failed and, tried once more through a member that reported itself healthy, failed again. */
  failed: number
  /** Acknowledged writes that were not there afterwards. */
  missing: number
  /** The longest time in which no write at all was acknowledged. */
  longestStallMs: number
  writesPerSecond: number
}

export interface Load {
  /** Ends the load, reads everything back, removes it and reports. */
  stop: () => Promise<LoadReport>
}

/** A request is given up after this time: a proposal that a dead leader took with it is never answered. */
const requestTimeoutMs = 3000

/**
 * Starts writing through every endpoint over mutual TLS. Stops by itself after `maxSeconds`.
 * Each writer waits `pauseMs` between two writes.
 */
export function startLoad(cluster: Cluster, { writers = 4, pauseMs = 20, maxSeconds = 120 } = {}): Load {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: writers * 2,
    ca: readFileSync(join(cluster.paths.certs, 'ca.crt')),
    cert: readFileSync(join(cluster.paths.certs, 'etcd-client.crt')),
    key: readFileSync(join(cluster.paths.certs, 'etcd-client.key')),
  })
  const endpoints = cluster.hosts.map((host) => routed(host.clientURL))
  const prefix = `ha-etcd/load/${randomBytes(6).toString('hex')}/`
  const acknowledged: string[] = []
  const moments = [Date.now()]
  const started = Date.now()
  let failed = 0
  let stopped = false

  const writer = async (index: number): Promise<void> => {
    let turn = index
    for (let count = 0; !stopped && Date.now() - started < maxSeconds * 1000; count++) {
      const key = `${prefix}${index}-${count}`
      const put = (): Promise<unknown> => call(agent, endpoints[turn % endpoints.length] ?? '', 'put', { key: base64(key), value: base64(String(Date.now())) })
      const done = await put().catch(async () => {
        turn = await healthyTurn(agent, endpoints, turn + 1)
        return put().catch(() => undefined)
      })
      if (done) {
        acknowledged.push(key)
        moments.push(Date.now())
      } else failed++
      await new Promise((wake) => setTimeout(wake, pauseMs))
    }
  }
  const all = Promise.all(Array.from({ length: writers }, (_, index) => writer(index)))

  return {
    stop: async () => {
      stopped = true
      await all
      const tookMs = Date.now() - started
      moments.push(Date.now())
      const there = await firstAnswer(endpoints, (url) => keysBelow(agent, url, prefix))
      await firstAnswer(endpoints, (url) => call(agent, url, 'deleterange', { key: base64(prefix), range_end: base64(endOf(prefix)) }))
      agent.destroy()
      return {
        acknowledged: acknowledged.length,
        failed,
        missing: acknowledged.filter((key) => !there.has(key)).length,
        longestStallMs: Math.max(...moments.slice(1).map((moment, index) => moment - (moments[index] ?? moment))),
        writesPerSecond: Math.round(acknowledged.length / (tookMs / 1000)),
      }
    },
  }
}

/** Waits, 20 s at most, until a member says that it is healthy; starts asking at `first`. */
async function healthyTurn(agent: Agent, endpoints: string[], first: number): Promise<number> {
  const deadline = Date.now() + 20_000
  for (let turn = first; Date.now() < deadline; turn++) {
    const answer = (await exchange(agent, 'GET', `${endpoints[turn % endpoints.length]}/health`, undefined, 1000).catch(() => undefined)) as { health?: string } | undefined
    if (answer?.health === 'true') return turn
    await new Promise((wake) => setTimeout(wake, 20))
  }
  return first
}

async function keysBelow(agent: Agent, url: string, prefix: string): Promise<Set<string>> {
  const { kvs = [] } = (await call(agent, url, 'range', { key: base64(prefix), range_end: base64(endOf(prefix)), keys_only: true })) as { kvs?: { key: string }[] }
  return new Set(kvs.map(({ key }) => Buffer.from(key, 'base64').toString()))
}

async function firstAnswer<T>(urls: string[], ask: (url: string) => Promise<T>): Promise<T> {
  let last: unknown
  for (const url of urls) {
    try {
      return await ask(url)
    } catch (error) {
      last = error
    }
  }
  throw last
}

const call = (agent: Agent, url: string, method: string, body: object): Promise<unknown> =>
  exchange(agent, 'POST', `${url}/v3/kv/${method}`, JSON.stringify(body), requestTimeoutMs)

function exchange(agent: Agent, method: string, url: string, body: string | undefined, timeout: number): Promise<unknown> {
  return new Promise((done, fail) => {
    const outgoing = request(url, { agent, method, signal: AbortSignal.timeout(timeout) }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', fail)
      response.on('end', () => (response.statusCode === 200 ? done(JSON.parse(Buffer.concat(chunks).toString())) : fail(new Error(Buffer.concat(chunks).toString()))))
    })
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** The end of the range of all keys with that prefix: its last byte plus one. */
const endOf = (prefix: string): string => prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
