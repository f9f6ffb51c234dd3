// What every script does around its own few lines: flags, help, signals, the lock, the log, and how it ends.
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, refuseHalfDone, requireRecorded, resolveCluster } from './cluster.ts'
import { defaults, loadSettings } from './config.ts'
import { environmentVariables, isContinuousIntegration, projectFolder, settingsFromEnvironment } from './environment.ts'
import { Interrupted, UsageError } from './errors.ts'
import { makeFolder, removeHalfWritten } from './files.ts'
import { clusterFlags, type Flag, type Flags, flagsOfAll, helpText, parseCommandLine, type Words } from './flags.ts'
import { noteSteps, takeLock } from './lock.ts'
import { asked } from './prompt.ts'
import { recordedConfigFile } from './record.ts'
import { inRun, print, Run, run } from './run.ts'
import { presentError, table } from './terminal.ts'

interface Told {
  name: string
  summary: string
  flags?: Record<string, Flag>
  /** True where other masters than recorded are what the verb is to bring about. */
  resizes?: boolean
  words?: Words
  /** Lines below the flags in --help; an example at least. */
  help: string
  /** True where there must be such a cluster: other verbs make one, or can do without. */
  needsCluster?: boolean
  /** True for the verbs that go on with a half-done restore or recover, or end it. */
  evenHalfDone?: boolean
  /** True for the verbs that change no configuration: where it contradicts the record, the record counts. */
  byRecord?: boolean
  /** True for adopt: what only a look has recorded, such as doctor's, says nothing of a cluster that runs. */
  formedOnly?: boolean
  /**
   * True when it changes the cluster or its files: then it holds the cluster's lock, but for --plan and --list, and
   * --run, whose verbs take it themselves.
   */
  writes?: boolean
}

interface OfOne extends Told {
  actOnAll?: undefined
  /** What it does; of a verb that writes, with --plan: what it would do. */
  act: (cluster: Cluster, flags: Flags, words: string[]) => Promise<void>
}

interface OfAll extends Told {
  /** What it does; no single cluster is worked out before. */
  actOnAll: (flags: Flags, words: string[]) => Promise<void>
}

/** A verb is about one cluster or, as fleet, about all of them. */
export type Verb = OfOne | OfAll

const keptLogs = 30

/** What a script is: its verb, in this process, with this terminal. Ends the process. */
export async function main(verb: Verb): Promise<void> {
  // The loader came in through NODE_OPTIONS; the programs we start must not inherit it.
  const { NODE_OPTIONS: _, ...env } = process.env
  process.umask(process.umask() | 0o022) // nobody else is to write to what a run leaves: it has programs, too
  const one = new Run({ env, attended: process.stdin.isTTY === true })
  listenForSignals(one)
  const words = process.argv.slice(process.argv.findIndex((word) => word.endsWith(`${verb.name}.ts`)) + 1)
  process.exitCode = await perform(verb, words, one)
  clearTimeout(lastResort)
  await flushed(process.stdout)
  await flushed(process.stderr)
  if (lost && process.exitCode === 0) {
    process.stderr.write(`Error: The output could not be written: ${lost.message}\n`)
    process.exitCode = 1
  }
  process.exit()
}

/** Performs a verb to its end; what it has to say goes to the run's streams. @returns the exit code */
export function perform(verb: Verb, words: string[], one: Run): Promise<number> {
  return inRun(one, async () => {
    let about = defaults.cluster
    try {
      await performing(verb, words, (name) => void (about = name))
      one.throwIfStopped()
      return 0
    } catch (error) {
      const { text, exitCode, sentence } = presentError(error, one.verbose, about)
      Object.assign(one, { closing: sentence, failure: error })
      if (!endsQuietly(one, error)) one.stderr.write(`${text}\n`)
      return exitCode
    } finally {
      one.end()
    }
  })
}

/** As asked, or for want of a reader, who would not read why either. */
const endsQuietly = (one: Run, error: unknown): boolean =>
  error instanceof Interrupted && (one.untilStopped || error.signal === 'SIGPIPE')

/** @param onCluster called with the cluster's name, once it is known */
async function performing(verb: Verb, given: string[], onCluster: (name: string) => void): Promise<void> {
  const one = run()
  const known = { ...verb.flags, ...(verb.actOnAll ? flagsOfAll : clusterFlags) }
  const line = given.map((word) => (word === '-h' ? '--help' : word))
  const { flags, words } = parseCommandLine(line, known, verb.words)
  one.verbose = flags.verbose === true
  one.json = flags.json === true
  one.yes = flags.yes === true || isContinuousIntegration()
  if (flags.help) {
    const environment = table(Object.entries(environmentVariables).map(([name, meaning]) => [`  ${name}`, meaning]))
    const more = `${verb.help}\n\nEnvironment:\n${environment}`
    return print(helpText(verb.name, verb.summary, known, more, verb.words?.usage))
  }
  if (flags.version) return print(`${version()}\n`)
  if (!verb.actOnAll) return onOne(verb, flags, words, onCluster)
  settingsFromEnvironment() // a name that is none of ours is refused
  return verb.actOnAll(flags, words)
}

/** @param onCluster called with the cluster's name, once it is known */
async function onOne(verb: OfOne, flags: Flags, words: string[], onCluster: (name: string) => void): Promise<void> {
  const one = run()
  const settings = loadSettings(flags, recordedConfigFile)
  onCluster(settings.asked.cluster ?? defaults.cluster)
  const how = {
    resize: verb.resizes === true,
    configures: !verb.byRecord || flags.masters !== undefined || flags.provider !== undefined,
    looks: verb.byRecord === true && !verb.writes,
    formedOnly: verb.formedOnly === true,
  }
  const cluster = await resolveCluster(settings, how)
  requireOwner(cluster)
  if (!verb.writes || flags.plan || flags.list || flags.run) return act(verb, cluster, flags, words)
  const { state } = cluster.paths
  const release = await takeLock(state, verb.name)
  try {
    one.writes = true
    const { onStep: heard } = one
    one.onStep = (steps) => {
      noteSteps(state, steps)
      heard?.(steps)
    }
    const locked = await resolveCluster(settings, how) // what an earlier run recorded while we waited to know
    removeHalfWritten(locked.paths.certs, true)
    removeHalfWritten(locked.paths.state, false)
    one.log = newLog(locked, verb.name)
    await act(verb, locked, flags, words)
  } finally {
    release()
  }
}

async function act(verb: OfOne, cluster: Cluster, flags: Flags, words: string[]): Promise<void> {
  if (verb.needsCluster) requireRecorded(cluster)
  if (verb.writes && !verb.evenHalfDone) refuseHalfDone(cluster)
  await verb.act(cluster, flags, words)
}

/** A cluster belongs to the user who made it: another one, root too, would start members beside theirs. */
function requireOwner({ name, paths }: Cluster): void {
  const owner = statSync(paths.state, { throwIfNoEntry: false })?.uid
  if (owner !== undefined && owner !== process.getuid?.())
    throw new UsageError(`Cluster ${name} belongs to the user with uid ${owner}.`, {
      hint: `Run this as that user: sudo -u '#${owner}' …, or choose another cluster with --cluster.`,
    })
}

/** Asks a person yes or no; `--yes`, or a CI system, answers yes. @throws UsageError when there is nobody to ask */
export async function confirm(question: string): Promise<boolean> {
  if (run().yes) return true
  if (!run().attended || run().json)
    throw new UsageError(`${question} There is nobody to ask here.`, { hint: 'Say --yes to agree.' })
  return /^y(es)?$/i.test((await asked(`${question} [y/N] `)).trim())
}

let lastResort: NodeJS.Timeout | undefined
/** Why output could not be written, to a full disk say. */
let lost: Error | undefined

/** The first signal asks everything to end; the second, or 1.8 s, ends the process; a drill mends first. */
function listenForSignals(one: Run): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') one.readerGone()
      else lost ??= error
    })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      const code = new Interrupted(signal).exitCode
      if (one.signal.aborted) process.exit(code)
      one.stop(signal)
      if (!one.mendsFirst) lastResort = setTimeout(() => process.exit(code), 1800)
    })
  }
}

function newLog(cluster: Cluster, verb: string): string {
  const { logs } = cluster.paths
  makeFolder(logs)
  for (const old of readdirSync(logs).sort().slice(0, -keptLogs)) rmSync(join(logs, old), { force: true })
  return join(logs, `${new Date().toISOString().replace(/[:.]/g, '-')}-${verb}.log`)
}

const version = (): string =>
  (JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as { version: string }).version

const flushed = (stream: NodeJS.WriteStream): Promise<void> => new Promise((done) => stream.write('', () => done()))
