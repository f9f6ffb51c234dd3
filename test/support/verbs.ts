// Runs the scripts as a person does, in a home folder of the test's own.
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { type Output, Run } from '../../tasks/core/run.ts'
import { perform, type Verb } from '../../tasks/core/script.ts'
import { differencesIn } from './conformance.ts'
import { temporaryFolder } from './folder.ts'
import type { TestHosts } from './hosts.ts'

export interface Outcome {
  exitCode: number | null
  stdout: string
  stderr: string
  tookMs: number
}

export interface Home {
  path: string
  /** What scripts run in. */
  environment: () => NodeJS.ProcessEnv
  /** Hosts reached over ssh; none: they are folders of this machine. */
  machines?: TestHosts
  /** Performs a verb in this process, to its end. */
  verb: (script: string, ...flags: string[]) => Promise<Outcome>
  /** Starts a script in a process group of its own. */
  start: (script: string, ...flags: string[]) => Started
  /**
   * Runs a script with a clock that is off, such as +400d; everything that it starts, but for Go's programs, has it,
   * too.
   */
  at: (offset: string, script: string, ...flags: string[]) => Promise<Outcome>
  /** Takes every cluster of this home down. */
  downAll: () => Promise<void>
}

export interface Started {
  child: ChildProcess
  done: Promise<Outcome>
}

/**
 * A home folder for clusters, on this machine unless the environment says otherwise; fetched programs are shared with
 * the project's own .tools/. `user`: the uid that runs the scripts; `within`: the command that runs them.
 */
export function testHome(environment: Record<string, string> = {}, user?: number, within: string[] = []): Home {
  const path = temporaryFolder()
  const tools = join(projectFolder, '.tools')
  mkdirSync(tools, { recursive: true })
  symlinkSync(tools, join(path, '.tools'))
  if (user) chownSync(path, user, user)
  const variables = (): Record<string, string> => ({ HA_ETCD_HOME: path, HA_ETCD_PROVIDER: 'local', ...environment })
  const start = (script: string, ...flags: string[]): Started => startScript(script, flags, variables(), user, within)
  const around = (): NodeJS.ProcessEnv => ({ ...environmentOfTests(), ...variables() })
  const verb = (name: string, ...words: string[]): Promise<Outcome> =>
    user || within.length > 0 ? start(name, ...words).done : performAsForeseen(name, words, around())
  return {
    path,
    environment: around,
    verb,
    start,
    at: (offset, script, ...flags) => startScript(script, flags, variables(), user, ['faketime', '-f', offset]).done,
    downAll: async () => {
      for (const name of existsSync(join(path, '.cluster')) ? readdirSync(join(path, '.cluster')) : [])
        await verb('down', '--cluster', name, '--yes', '--purge')
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/** Each real run tests the plans: what came must be what was foreseen. */
async function performAsForeseen(name: string, words: string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  let log = ''
  const outcome = await performHere(name, words, env, (text) => (log += text))
  const otherwise = [...(/^Not as foreseen.*/m.exec(log) ?? []), ...differencesIn(log)]
  if (otherwise.length > 0) throw new Error(`${name} ${words.join(' ')}: ${otherwise.join('\n')}`)
  return outcome
}

/** What a run of the verb leaves, as its script would leave it. `onNote`: hears what goes to the run's log. */
export async function performHere(
  name: string,
  words: string[],
  env: NodeJS.ProcessEnv,
  onNote: (text: string, run: Run) => void = () => {},
): Promise<Outcome> {
  const started = Date.now()
  const [stdout, stderr] = [collector(), collector()]
  const { verb } = (await import(`../../tasks/verbs/${name}.ts`)) as { verb: Verb }
  const run = new HeardRun({ env, stdout, stderr }, onNote)
  const exitCode = await perform(verb, words, run)
  return { exitCode, stdout: stdout.text, stderr: stderr.text, tookMs: Date.now() - started }
}

class HeardRun extends Run {
  readonly #onNote: (text: string, run: Run) => void

  constructor(around: ConstructorParameters<typeof Run>[0], onNote: (text: string, run: Run) => void) {
    super(around)
    this.#onNote = onNote
  }

  override note(text: string | Buffer): void {
    super.note(text)
    if (typeof text === 'string') this.#onNote(text, this)
  }
}

/** An output that is kept. */
function collector(): Output & { text: string } {
  const kept = {
    text: '',
    write: (chunk: string | Uint8Array): boolean => {
      kept.text += chunk.toString()
      return true
    },
  }
  return kept
}

/** The environment of the tests without what would change how a verb works. */
export function environmentOfTests(): NodeJS.ProcessEnv {
  const changing = ['NODE_OPTIONS', 'FORCE_COLOR', 'CI', 'MASTER_COUNT', 'BOX_VERSION']
  const entries = Object.entries(process.env)
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith('HA_ETCD_') && !changing.includes(name)))
}

/** Starts a script through zx, as npx does, but without npm's own half second. */
function startScript(
  script: string,
  flags: string[],
  environment: Record<string, string>,
  user?: number,
  before: string[] = [],
): Started {
  const started = Date.now()
  const [program = process.execPath, ...words] = [...before, process.execPath]
  const child = spawn(
    program,
    [
      ...words,
      '--import',
      'ha-etcd/loader',
      join(projectFolder, 'node_modules/zx/build/cli.js'),
      join(projectFolder, 'scripts', `${script}.ts`),
      ...flags,
    ],
    {
      cwd: projectFolder,
      env: { ...environmentOfTests(), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...(user && { uid: user, gid: user }),
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk))
  const done = new Promise<Outcome>((end) =>
    child.once('close', (exitCode) => end({ exitCode, stdout, stderr, tookMs: Date.now() - started })),
  )
  return { child, done }
}

/** What a verb that was told --json says. @throws when it did not end well */
export async function done(verb: Promise<Outcome>): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await verb
  assert.is(exitCode, 0, stderr)
  return JSON.parse(stdout)
}

/** Waits until a run says these words, or something like them. @throws when it ends before */
export async function saidBy({ child, done }: Started, words: string | RegExp): Promise<void> {
  let said = ''
  const heard = new Promise<true>((resolve) =>
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk
      if (typeof words === 'string' ? said.includes(words) : words.test(said)) resolve(true)
    }),
  )
  const ended = done.then(({ exitCode, stderr }) => {
    throw new Error(`It ended with ${exitCode} before it said "${words}": ${stderr}${said}`)
  })
  await Promise.race([heard, ended])
}

/** Runs a verb and kills it (-9) when it says these words. @throws when it ends before */
export async function killedAt(home: Home, words: string | RegExp, script: string, ...flags: string[]): Promise<void> {
  const run = home.start(script, ...flags)
  await saidBy(run, words)
  run.child.kill('SIGKILL')
  await run.done
}

/**
 * Runs a verb again and again, and kills it (-9) each time at a step that no run before was killed at, by what it says
 * of it; until one ends by itself. A step: what has [STARTED], and what the role does to a host, by `ofRole`.
 * @returns the steps in their order, and how the last run ended
 */
export async function killedAtEachStep(
  home: Home,
  script: string,
  flags: string[],
  ofRole = /Restart etcd on \S+/,
): Promise<{ steps: string[]; last: Outcome }> {
  const steps: string[] = []
  const step = new RegExp(`^.*?(?:\\[STARTED\\] (.+)|(${ofRole.source}).*)$`, 'gm')
  for (;;) {
    const run = home.start(script, ...flags)
    let said = ''
    let at: string | undefined
    run.child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk
      at ??= [...said.matchAll(step)].map(([, ours, its]) => ours || its || '').find((one) => !steps.includes(one))
      if (at) run.child.kill('SIGKILL')
    })
    const last = await run.done
    if (!at || last.exitCode !== null) return { steps, last }
    steps.push(at)
  }
}

/**
 * A local host's folder gone in one instant: removing file after file would race with an etcd that still writes there.
 */
export function destroyHost(home: Home, name: string): void {
  renameSync(
    join(home.path, '.cluster/etcd-cluster-1/hosts', name),
    join(mkdtempSync(join(home.path, 'destroyed-')), name),
  )
}

/** Every file below a folder: path to inode, time of change, mode and content, to compare before and after. */
export function snapshotOf(folder: string, except = /^$/): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => !except.test(name))
  return Object.fromEntries(
    names.sort().map((name) => {
      const path = join(folder, name)
      const { ino, mtimeMs, mode } = statSync(path)
      return [name, statSync(path).isFile() ? `${ino} ${mtimeMs} ${mode} ${readFileSync(path, 'base64')}` : `${mode}`]
    }),
  )
}

/** The processes whose environment or command line has this text (Linux): pid and command line. */
export function processesWith(text: string): { pid: number; command: string }[] {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return ''
    }
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({
      pid: Number(name),
      command: read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim(),
      environment: read(`/proc/${name}/environ`),
    }))
    .filter(({ command, environment }) => command !== '' && (command.includes(text) || environment.includes(text)))
    .map(({ pid, command }) => ({ pid, command }))
}
