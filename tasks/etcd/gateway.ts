// etcd's JSON gateway over mutual TLS with connections kept open: many small requests without a program for each.
import { readFileSync, statSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { Cluster } from '../core/cluster.ts'
import { routed } from './reach.ts'
import { overTheWay } from './round-trip.ts'

/** Requests to the members of one cluster. Every call rejects when the member does not answer well in time. */
export interface Gateway {
  endpoints: string[]
  /** Writes a key; the revision that this made. */
  put: (endpoint: string, key: string, value: string, timeoutMs?: number) => Promise<number>
  /** Reads a key linearizably: whether it is there, and the revision at which that was so. */
  read: (endpoint: string, key: string, timeoutMs?: number) => Promise<{ found: boolean; revision: number }>
  /** Every key below a prefix. */
  keysBelow: (endpoint: string, prefix: string) => Promise<Set<string>>
  deleteBelow: (endpoint: string, prefix: string) => Promise<unknown>
  /** Whether a member says of itself that it is healthy. */
  isHealthy: (endpoint: string) => Promise<boolean>
  close: () => void
}

/** A gateway over HTTPS takes any other request, too, by its path below /v3. */
interface OpenGateway extends Gateway {
  ask: (endpoint: string, path: string, body: object) => Promise<unknown>
  /** What a member measures, as text. */
  metrics: (endpoint: string, timeoutMs: number) => Promise<string>
}

/** A request is given up after this time: a proposal that a dead leader took with it is never answered. */
const requestTimeoutMs = 3000
const healthTimeoutMs = 1000
const readAllTimeoutMs = 30_000
const slowTimeoutMs = 10_000

/** Opens the gateway with the cluster's client certificate; `sockets` are kept open to each member at most. */
export function openGateway(cluster: Cluster, sockets: number): OpenGateway {
  const agents = followedAgent(cluster, sockets)
  const post = async (endpoint: string, path: string, body: object, timeout: number): Promise<Answer> =>
    JSON.parse(await exchange(agents.now(), 'POST', `${endpoint}/v3/${path}`, JSON.stringify(body), timeout))
  const get = (endpoint: string, path: string, timeout: number): Promise<string> =>
    exchange(agents.now(), 'GET', `${endpoint}/${path}`, undefined, timeout)
  const kv = (endpoint: string, method: string, body: object, timeout = requestTimeoutMs): Promise<Answer> =>
    post(endpoint, `kv/${method}`, body, timeout)
  const below = (prefix: string): object => ({ key: base64(prefix), range_end: base64(endOf(prefix)) })
  return {
    endpoints: cluster.hosts.map((host) => routed(host.clientURL)),
    put: async (endpoint, key, value, timeoutMs) =>
      revisionOf(await kv(endpoint, 'put', { key: base64(key), value: base64(value) }, timeoutMs)),
    read: async (endpoint, key, timeoutMs) => {
      const answer = await kv(endpoint, 'range', { key: base64(key), keys_only: true }, timeoutMs)
      return { found: (answer.kvs ?? []).length > 0, revision: revisionOf(answer) }
    },
    keysBelow: async (endpoint, prefix) => {
      const { kvs = [] } = await kv(endpoint, 'range', { ...below(prefix), keys_only: true }, readAllTimeoutMs)
      return new Set(kvs.map(({ key }) => Buffer.from(key, 'base64').toString()))
    },
    deleteBelow: (endpoint, prefix) => kv(endpoint, 'deleterange', below(prefix), readAllTimeoutMs),
    isHealthy: async (endpoint) =>
      (JSON.parse(await get(endpoint, 'health', healthTimeoutMs)) as Answer).health === 'true',
    ask: (endpoint, path, body) => post(endpoint, path, body, slowTimeoutMs),
    metrics: (endpoint, timeoutMs) => get(endpoint, 'metrics', timeoutMs),
    close: agents.close,
  }
}

/**
 * Follows the files, as a client that lives on must: connections made after ca.crt or the client's pair was changed use
 * what lies there then. A pair of which only one half is new yet is not taken.
 */
function followedAgent(cluster: Cluster, maxSockets: number): { now: () => Agent; close: () => void } {
  const files = ['ca.crt', 'etcd-client.crt', 'etcd-client.key'].map((name) => join(cluster.paths.certs, name))
  const versions = (): string => files.map((file) => `${statSync(file).ino} ${statSync(file).mtimeMs}`).join()
  const open = (): Agent => {
    const [ca, cert, key] = files.map((file) => readFileSync(file))
    return new Agent({ keepAlive: true, maxSockets, secureContext: createSecureContext({ ca, cert, key }) })
  }
  let [seen, agent] = [versions(), open()]
  const follow = (): void => {
    const version = versions()
    if (version === seen) return
    const [old, next] = [agent, open()]
    setTimeout(() => old.destroy(), overTheWay(requestTimeoutMs)).unref() // its requests end first
    ;[seen, agent] = [version, next]
  }
  return {
    now: () => {
      try {
        follow()
      } catch {} // half new: as before, until the other half is there
      return agent
    },
    close: () => agent.destroy(),
  }
}

interface Answer {
  header?: { revision?: string }
  kvs?: { key: string }[]
  health?: string
}

const revisionOf = (answer: Answer): number => Number(answer.header?.revision ?? 0)

function exchange(
  agent: Agent,
  method: string,
  url: string,
  body: string | undefined,
  timeout: number,
): Promise<string> {
  return new Promise((done, fail) => {
    const isPlain = url.startsWith('http:') // of a cluster that is adopted, as it is yet
    const how = { method, signal: AbortSignal.timeout(overTheWay(timeout)), ...(!isPlain && { agent }) }
    const outgoing = (isPlain ? requestPlain : request)(url, how, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', fail)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (response.statusCode !== 200) return fail(Object.assign(new Error(text), { status: response.statusCode }))
        done(text)
      })
    })
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** The end of the range of all keys with that prefix: its last byte plus one. */
const endOf = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
