// A bounded load of writers and readers, and the proof afterwards that no acknowledged write is lost.
import { randomBytes } from 'node:crypto'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { clock } from '../core/run.ts'
import { type Gateway, openGateway } from './gateway.ts'
import { judgeHistory, type LoadReport, type Operation } from './history.ts'

export type { LoadReport } from './history.ts'

export interface Load {
  /** Ends the load, reads everything back, removes it and reports. */
  stop: () => Promise<LoadReport>
  /** What it did, operation by operation; and, once it was stopped, the keys that were there at the end. */
  history: () => History
}

export interface History {
  operations: Operation[]
  there: Set<string>
}

export interface LoadOptions {
  writers?: number
  readers?: number
  /** Milliseconds that each of them waits between two operations. */
  pauseMs?: number
  /** It stops by itself after this time. */
  maxSeconds?: number
}

type Answer = Partial<Pick<Operation, 'revision' | 'found' | 'why'>>

/** Milliseconds to look for a healthy member before a failed operation is tried again, and for that one to answer. */
const healthyWithinMs = 20_000
const onceMoreMs = 10_000

/** Starts writing and reading through every endpoint over mutual TLS. */
export function startLoad(
  cluster: Cluster,
  { writers = 6, readers = 2, pauseMs = 20, maxSeconds = 120 }: LoadOptions = {},
  gateway: Gateway = openGateway(cluster, writers + readers),
): Load {
  const prefix = `ha-etcd/load/${randomBytes(6).toString('hex')}/`
  const operations: Operation[] = []
  const started = clock()
  let there = new Set<string>()
  let latest = ''
  let stopped = false
  const goesOn = (): boolean => !stopped && clock() - started < maxSeconds * 1000

  const note = (kind: Operation['kind'], key: string, start: number, answer: Answer): void =>
    void operations.push({ kind, key, start, end: clock(), ok: answer.why === undefined, revision: 0, ...answer })

  const writer = async (index: number): Promise<void> => {
    const turn = { at: index }
    for (let count = 0; goesOn(); count++) {
      const key = `${prefix}${index}-${count}`
      const start = clock()
      const answer = await onceMore(gateway, turn, async (endpoint, timeoutMs) => ({
        revision: await gateway.put(endpoint, key, String(start), timeoutMs),
      }))
      note('write', key, start, answer)
      if (answer.why === undefined) latest = key
      await pause(pauseMs)
    }
  }
  const reader = async (index: number): Promise<void> => {
    const turn = { at: index }
    for (; goesOn(); await pause(pauseMs)) {
      const key = latest
      if (!key) continue
      const start = clock()
      turn.at++ // another member each time: one that lags must not be seen
      const answer = await onceMore(gateway, turn, (endpoint, timeoutMs) => gateway.read(endpoint, key, timeoutMs))
      note('read', key, start, answer)
    }
  }
  const all = Promise.all([
    ...Array.from({ length: writers }, (_, index) => writer(index)),
    ...Array.from({ length: readers }, (_, index) => reader(index)),
  ])

  return {
    stop: async () => {
      stopped = true
      await all
      const ended = clock()
      there = await firstAnswer(gateway.endpoints, (endpoint) => gateway.keysBelow(endpoint, prefix))
      await firstAnswer(gateway.endpoints, (endpoint) => gateway.deleteBelow(endpoint, prefix))
      gateway.close()
      return judgeHistory(operations, there, started, ended)
    },
    history: () => ({ operations, there }),
  }
}

/** Asks the member whose turn it is; if that fails, once more one that says it is healthy. `why`: how both failed. */
async function onceMore(
  gateway: Gateway,
  turn: { at: number },
  ask: (from: string, timeoutMs?: number) => Promise<Answer>,
): Promise<Answer> {
  const endpoint = (): string => gateway.endpoints[turn.at % gateway.endpoints.length] ?? ''
  const failed = (error: unknown): string => `${endpoint()}: ${(error as Error).message}`
  try {
    return await ask(endpoint())
  } catch (error) {
    const first = failed(error)
    const deadline = clock() + healthyWithinMs
    do {
      turn.at++
      await pause(20)
    } while (!(await gateway.isHealthy(endpoint()).catch(() => false)) && clock() < deadline)
    return ask(endpoint(), onceMoreMs).catch((again) => ({ why: `${first}; then ${failed(again)}` }))
  }
}

async function firstAnswer<T>(endpoints: string[], ask: (endpoint: string) => Promise<T>): Promise<T> {
  let last: unknown
  for (const endpoint of endpoints) {
    try {
      return await ask(endpoint)
    } catch (error) {
      last = error
    }
  }
  if (last instanceof OperationError) throw last
  throw new OperationError('No member let the load be read back.', { output: (last as Error).message })
}

const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))
