// A walk by several explorers, each in a process of its own, which hand states to one another.
import { type ChildProcess, fork } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { deserialize, serialize } from 'node:v8'
import { explorerOf, type Found, type State, toldOf } from './explorer.ts'
import { type Title, walks } from './walks.ts'

/** What an explorer says: here are states for another; or what it has found, after so many of those, and is idle. */
type Said = { to: number; states: Buffer } | { idleAfter: number; found: Found }

/** How many states an explorer goes on from, or hands over, at a time. */
const atOnce = 100
const memory = ['--max-semi-space-size=128', '--max-old-space-size=8000']

/** As explore, the walk of that name. */
export async function exploreApart(title: Title, of: number): Promise<string> {
  const began = performance.now()
  const all = Array.from({ length: of }, (_, at) => ({
    child: fork(fileURLToPath(import.meta.url), [title, `${of}`, `${at}`], {
      serialization: 'advanced',
      execArgv: [...process.execArgv, ...memory],
    }),
    given: 0,
    idleAfter: -1,
    found: { states: 0, performed: 0, seconds: 0 },
  }))
  /** Until all have seen to all that was handed over. */
  const done = all.map(
    ({ child }, at) =>
      new Promise<void>((resolve, reject) => {
        child.once('exit', () => reject(new Error(`explorer ${at + 1} has ended`)))
        child.on('message', (said: Said | { broken: string }) => {
          if ('broken' in said) return reject(new Error(said.broken))
          if ('to' in said) hand(all[said.to] as (typeof all)[number], said.states)
          else Object.assign(all[at] as object, said)
          if (all.every(({ given, idleAfter }) => given === idleAfter)) resolve()
        })
      }),
  )
  await Promise.race(done).finally(() => {
    for (const { child } of all) child.kill()
  })
  return toldOf(
    all.map(({ found }) => found),
    performance.now() - began,
  )
}

function hand(to: { child: ChildProcess; given: number }, states: Buffer): void {
  to.given++
  to.child.send(states, () => undefined) // one that has ended says so by its exit
}

/** Until it is ended: states that are due, and those that others hand over in between. */
async function beOneOfThem(title: Title, of: number, at: number): Promise<void> {
  const outgoing = Array.from({ length: of }, (): State[] => [])
  const say = (said: Said): void => void process.send?.(said)
  const explorer = explorerOf(walks[title], { of, at, send: (to, state) => outgoing[to]?.push(state) })
  let given = 0
  let wake = (): void => undefined
  process.once('SIGTERM', () => process.exit()) // which removes its folders
  process.on('message', (states: Buffer) => {
    explorer.take(deserialize(states))
    given++
    wake()
  })
  function handOver(least: number): void {
    for (const [to, states] of outgoing.entries())
      if (states.length >= least) say({ to, states: serialize(states.splice(0)) })
  }
  for (;;) {
    while (explorer.goOn(atOnce)) {
      handOver(atOnce)
      await setImmediate()
    }
    handOver(1)
    const woken = new Promise<void>((resolve) => (wake = resolve))
    say({ idleAfter: given, found: explorer.found() })
    await woken
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [title = '', of, at] = process.argv.slice(2)
  const fail = ({ message }: Error): void => void process.send?.({ broken: message })
  process.on('uncaughtException', fail)
  process.once('disconnect', () => process.exit())
  beOneOfThem(title as Title, Number(of), Number(at)).catch(fail)
}
