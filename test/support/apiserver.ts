// A client that speaks to etcd as kube-apiserver does (apiserver/main.go), built by Go and started as one who was
// connected.
import { spawn, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { findProgram } from '../../tasks/core/programs.ts'
import { temporaryFolder } from './folder.ts'
import { until } from './wait.ts'

/** What it says each second; apiserver/account.go tells what each figure is. */
interface State {
  acknowledged: number
  resolved: number
  lost: number
  doubled: number
  disordered: number
  vanished: number
  denied: number
  unequal: number
  ghosts: number
  lists: number
  relists: number
  compactions: number
  /** Of the writes since the state before. */
  slowestMs: number
  failures: Record<string, number>
  lastError: string
  handshake: string
  final: boolean
}

export interface Apiserver {
  /** All that it has said, the newest last. */
  states: State[]
  now: () => State
  /** Stops it as systemd would, with SIGTERM. @returns the account that it settles then */
  stop: () => Promise<State>
}

/** The program; undefined, with a word to standard output, where Go cannot build it. */
export function apiserverProgram(): string | undefined {
  const go = findProgram('go')
  const program = join(temporaryFolder(), 'apiserver')
  const { status, stderr } = spawnSync(go ?? 'go', ['build', '-trimpath', '-buildvcs=false', '-o', program, '.'], {
    cwd: join(dirname(fileURLToPath(import.meta.url)), 'apiserver'),
    env: { ...process.env, GO111MODULE: 'on', GOWORK: 'off', GOFLAGS: '-mod=readonly', CGO_ENABLED: '0' },
    encoding: 'utf8',
  })
  if (status === 0) return program
  console.log(`The client cannot be built here, so what needs it is not tested: ${go ? stderr : 'there is no Go'}`)
  return undefined
}

/** Starts it with the flags that `connect kubernetes` wrote into that folder; it has written when this returns. */
export async function startApiserver(program: string, given: string, name: string): Promise<Apiserver> {
  const child = spawn(program, ['-flags', join(given, 'kube-apiserver.flags'), '-name', name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const states: State[] = []
  createInterface(child.stdout).on('line', (line) => states.push(JSON.parse(line)))
  const gone = new Promise((done) => child.once('close', done))
  const now = (): State => states.at(-1) as State
  const stop = async (): Promise<State> => {
    child.kill('SIGTERM')
    await gone
    return now()
  }
  await until(`${name} writes`, () => child.exitCode !== null || states.some((one) => one.acknowledged > 0))
  return { states, now, stop }
}

/** No event is lost, doubled or out of order, no object otherwise than it was left, and nothing is forbidden. */
export function requireClean(what: string, { now }: Apiserver): void {
  const { lost, doubled, disordered, unequal, vanished, denied } = now()
  assert.equal(
    { lost, doubled, disordered, unequal, vanished, denied },
    { lost: 0, doubled: 0, disordered: 0, unequal: 0, vanished: 0, denied: 0 },
    `${what}: ${JSON.stringify(now())}`,
  )
}

/** Stops it; in the end, too, it has seen all that was acknowledged to it. */
export async function settled(what: string, one: Apiserver): Promise<void> {
  assert.is((await one.stop()).final, true, what)
  requireClean(what, one)
}

/** Has it work on beside that: nothing may go wrong for it meanwhile, and it writes afterwards. */
export async function besideApiserver<T>(one: Apiserver, what: string, work: () => Promise<T>): Promise<T> {
  const [first, before] = [one.states.length, one.now()]
  const given = await work()
  const then = one.now()
  await until(`${what}: it goes on`, () => one.now().acknowledged > then.acknowledged + 5)
  requireClean(what, one)
  const now = one.now()
  const grown = (figure: 'acknowledged' | 'relists' | 'resolved' | 'compactions'): number =>
    now[figure] - before[figure]
  const tries = (state: State): number => (state.failures.write ?? 0) + (state.failures.event ?? 0)
  const slowest = Math.max(...one.states.slice(first).map(({ slowestMs }) => slowestMs))
  console.log(
    `measured: ${what}: ${grown('acknowledged')} writes, no event lost or doubled, slowest write ${slowest} ms, ` +
      `${tries(now) - tries(before)} failed once (${grown('resolved')} had been done all the same), ` +
      `${grown('relists')} lists again, ${grown('compactions')} compactions`,
  )
  return given
}
