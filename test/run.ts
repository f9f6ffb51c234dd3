// Runs the test files, each in a process of its own or several in one, and believes none of them without a count.
// uvu alone exits 0 when before() throws, when .run() is forgotten and when no file matches; here each of these fails.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { endGroup, groupIsAlive } from '../tasks/core/processes.ts'
import { chalk, duration } from '../tasks/core/terminal.ts'
import type { Report } from './support/uvu.ts'

interface Outcome {
  file: string
  passed: number
  failed: number
  skipped: number
  skippedTests: string[]
  /** What failed in it, a line each. */
  failures: string[]
  problems: string[]
  output: string
  ms: number
  /** How long each test and hook took, in ms. */
  took: [title: string, ms: number][]
}

const usage =
  'Usage: npm test -- [unit | integration | part of a path]... [--kind KIND] [--timeout SECONDS] [--root FOLDER]'
const preload = new URL('./support/report.ts', import.meta.url).href
const loader = new URL('../tasks/core/loader.mjs', import.meta.url).href
const together = fileURLToPath(new URL('./support/together.ts', import.meta.url))
const reports = mkdtempSync(join(tmpdir(), 'tests-'))
const atWork = new Set<number>()
let stopping = false
/** These take minutes and so begin, the longest first: else one of them is alone at the end, with an idle core. */
const longest = [
  'e2e/operations',
  'e2e/adopt.',
  'e2e/role',
  'e2e/ssh',
  '/disasters.',
  '/refusals.',
  '/members.',
  '/up.',
]
/** What a test file does to, or takes from, its process: then it has one of its own. So does one that starts others. */
const ofTheProcess = /process\.(env|chdir|exit|on)\b|child_process|\bawait import\(|HA_ETCD_HOME/
/** So many files have one process at most. */
const atMost = 16
/** A test that takes as long, in ms, is named with its time. */
const slow = 10_000

const { values, positionals } = options()
const root = resolve(values.root ?? join(dirname(fileURLToPath(import.meta.url)), '..'))
const timeout = Number(values.timeout ?? 1200) * 1000

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void stop(signal === 'SIGINT' ? 130 : 143))

// Those of test/e2e run alone: test/e2e/run.ts gives them all that they need, which from inside its namespace they
// could not get.
if (!values.root && values.kind !== 'e2e') await prepared()
/** Those of test/long measure stalls, and go one by one. Of the others many wait: one more than there are cores. */
const atOnce = values.kind === 'long' ? 1 : availableParallelism() + 1
// The short ones last, so that no long one is alone at the end.
const groups = values.kind
  ? find(values.kind).map((file) => [file])
  : [...find('integration').map((file) => [file]), ...grouped(find('unit'))]
const outcomes = await runAll(groups, atOnce)
rmSync(reports, { recursive: true, force: true })
process.exitCode = summary(outcomes)

function options(): { values: { timeout?: string; root?: string; kind?: string }; positionals: string[] } {
  try {
    const parsed = parseArgs({
      options: { timeout: { type: 'string' }, root: { type: 'string' }, kind: { type: 'string' } },
      allowPositionals: true,
    })
    if (!(Number(parsed.values.timeout ?? 1) > 0)) throw new Error('--timeout must be a number of seconds.')
    return parsed
  } catch (error) {
    console.error(`Error: ${(error as Error).message}\n${usage}`)
    process.exit(2)
  }
}

/** A missing program would fail many tests; so what is missing is got first, or said once. It loads all verbs. */
async function prepared(): Promise<void> {
  const { prepare } = await import('./support/prepare.ts')
  await prepare().catch((error: Error) => {
    console.error(`Error: ${error.message}\n0 passed, 1 failed, 0 skipped`)
    process.exit(1)
  })
}

/** The test files of one kind, a folder's name, that the arguments leave, as paths from the root. */
function find(kind: string): string[] {
  const folder = join('test', kind)
  const all = listed(join(root, folder)).map((name) => join(folder, name))
  return all
    .filter(
      (path) =>
        path.endsWith('.test.ts') && (positionals.length === 0 || positionals.some((part) => path.includes(part))),
    )
    .sort()
    .sort((one, other) => rank(one) - rank(other))
}

/** A start of Node costs more than most unit tests: those that leave their process as it is have one together. */
function grouped(files: string[]): string[][] {
  const alone = files.filter((file) => ofTheProcess.test(readFileSync(join(root, file), 'utf8')))
  const others = files.filter((file) => !alone.includes(file))
  const count = Math.ceil(others.length / atMost)
  const groups = Array.from({ length: count }, (_, at) => others.filter((_, index) => index % count === at))
  return [...alone.map((file) => [file]), ...groups]
}

function rank(path: string): number {
  const at = longest.findIndex((part) => path.includes(part))
  return at < 0 ? longest.length : at
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true }) as string[]
  } catch {
    return []
  }
}

async function runAll(groups: string[][], atOnce: number): Promise<Outcome[]> {
  const results: Outcome[] = []
  const queue = [...groups]
  const worker = async (): Promise<void> => {
    for (let group = queue.shift(); group && !stopping; group = queue.shift()) {
      for (const outcome of group.length > 1 ? await runTogether(group) : await Promise.all(group.map(runFile))) {
        show(outcome.file, outcome)
        results.push(outcome)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

/** Where one fails, each runs alone, which shows whose fault it is. Where all pass alone, the group fails. */
async function runTogether(files: string[]): Promise<Outcome[]> {
  const { problems, output, of } = await runProcess(files)
  const outcomes = files.map((file) => outcomeOf(file, of(file), of(file) ? [] : ['It left no report.'], ''))
  if (problems.length === 0 && outcomes.every(({ failed }) => failed === 0)) {
    for (const [measured] of output.matchAll(/measured: .*/g)) console.log(chalk.dim(`  ${measured}`))
    return outcomes
  }
  const alone: Outcome[] = []
  for (const file of files) if (!stopping) alone.push(await runFile(file))
  if (alone.some(({ failed }) => failed > 0)) return alone
  const all = [...problems, ...outcomes.flatMap(({ file, failures }) => failures.map((one) => `${file}: ${one}`))]
  const why = [`${files.join(', ')} pass alone; in one process: ${all.join('; ')}`]
  return alone.map((outcome, index) =>
    index === 0 ? { ...outcome, failed: 1, failures: why, problems: why } : outcome,
  )
}

async function runFile(file: string): Promise<Outcome> {
  const started = Date.now()
  const { problems, output, of } = await runProcess([file])
  return { ...outcomeOf(file, of(file), problems, output), ms: Date.now() - started }
}

function outcomeOf(file: string, report: Report | undefined, ofProcess: string[], output: string): Outcome {
  const { passed = 0, failed = 0, skipped = 0, skippedTests = [], failures = [], took = [] } = report ?? {}
  const problems = [...(report?.problems ?? []), ...ofProcess]
  if (passed + failed + skipped === 0) problems.push('It ran no test.')
  return {
    file,
    passed,
    failed: failed || (problems.length > 0 ? 1 : 0),
    skipped,
    skippedTests,
    failures: [...failures, ...problems.map((problem) => problem.split('\n')[0] ?? '')],
    problems,
    output,
    ms: took.reduce((sum, [, ms]) => sum + ms, 0),
    took,
  }
}

interface Ended {
  /** What is wrong with how the process ended. */
  problems: string[]
  output: string
  of: (file: string) => Report | undefined
}

function reportOf(file: string): string {
  return join(reports, `${file.replaceAll('/', '-')}.json`)
}

async function runProcess(files: string[]): Promise<Ended> {
  for (const file of files) rmSync(reportOf(file), { force: true })
  const program = files.length > 1 ? [together, ...files.flatMap((file) => [join(root, file), reportOf(file)])] : files
  const child = spawn(process.execPath, ['--import', loader, '--import', preload, ...program], {
    cwd: root,
    env: {
      ...process.env,
      NODE_OPTIONS: nodeOptions(),
      UVU_REPORT: reportOf(files[0] ?? ''),
      // With it Ansible and the role's plugins are compiled at every start: up to two seconds of a core for each play.
      PYTHONDONTWRITEBYTECODE: undefined,
    },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: Buffer[] = []
  child.stdout.on('data', (data: Buffer) => output.push(data))
  child.stderr.on('data', (data: Buffer) => output.push(data))
  const pid = child.pid ?? 0
  atWork.add(pid)
  const closed = new Promise<void>((done) => child.once('close', () => done()))
  let late = false
  const timer = setTimeout(() => {
    late = true
    void endGroup(pid)
  }, timeout)
  const ending = await new Promise<string>((done) =>
    child.once('exit', (code, signal) => done(signal ?? (code ? `exit code ${code}` : ''))),
  )
  clearTimeout(timer)
  const leftovers = await endLeftovers(pid)
  await Promise.race([closed, pause(500)]) // the last of its output; a daemon in a group of its own may keep the pipe
  atWork.delete(pid)
  const of = (file: string): Report | undefined => readReport(reportOf(file))
  const problems = problemsOf(files.map(of), late, ending)
  if (leftovers) problems.push('It left processes of its own group behind.')
  return { problems, output: Buffer.concat(output).toString(), of }
}

function problemsOf(reports: (Report | undefined)[], late: boolean, ending: string): string[] {
  const running = reports.find((report) => report?.running)?.running
  const isSaid = reports.some((report) => report?.failed || report?.problems.length)
  if (late) return [`Not done after ${duration(timeout)}${running ? `, in "${running}"` : ''}.`]
  if (ending && !isSaid) return [`It ended with ${ending}.`]
  return running ? [`It ended in the middle of "${running}".`] : []
}

/** The loader is given on the command line; what else a person wants of their node stays. */
function nodeOptions(): string {
  return (process.env.NODE_OPTIONS ?? '').replace(/--import[= ]ha-etcd\/loader\b/, '').trim()
}

/**
 * Ends what the file's process left in its group; true when there was something. esbuild's own helper needs a moment
 * to end.
 */
async function endLeftovers(pid: number): Promise<boolean> {
  for (let waited = 0; waited < 1000; waited += 100) {
    if (!(await groupIsAlive(pid))) return false
    await pause(100)
  }
  await endGroup(pid)
  return true
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms))
}

function readReport(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report
  } catch {
    return undefined
  }
}

function show(file: string, outcome: Outcome): void {
  const { passed, failed, skipped, skippedTests, problems, output, ms, took } = outcome
  const counts = [
    `${passed} passed`,
    ...(failed ? [`${failed} failed`] : []),
    ...(skipped ? [`${skipped} skipped`] : []),
  ].join(', ')
  console.log(`${failed ? chalk.red('✘') : chalk.green('✔')} ${file}  ${counts}  ${chalk.dim(duration(ms))}`)
  for (const title of skippedTests) console.log(chalk.dim(`  skipped: ${title}`))
  for (const [title, each] of took.filter(([, each]) => each >= slow))
    console.log(chalk.dim(`  ${duration(each)}: ${title}`))
  for (const [measured] of output.matchAll(/measured: .*/g)) console.log(chalk.dim(`  ${measured}`))
  if (!failed) return
  if (output.trim()) console.log(output.trimEnd())
  for (const problem of problems) console.log(`  ${chalk.red(problem)}`)
}

/** What failed, once more, and the last line, for people and machines; returns the exit code. */
function summary(all: Outcome[]): number {
  const sum = (key: 'passed' | 'failed' | 'skipped'): number => all.reduce((total, outcome) => total + outcome[key], 0)
  if (all.length === 0) console.log(`No test file matches${positionals.map((part) => ` ${part}`).join('')}.\n${usage}`)
  for (const { file, failures } of all) for (const failure of failures) console.log(`Failed: ${file}: ${failure}`)
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
  return sum('failed') > 0 || sum('passed') === 0 ? 1 : 0
}

/** After Ctrl-C: ends what is at work, and starts nothing more. */
async function stop(code: number): Promise<void> {
  stopping = true
  await Promise.all([...atWork].map(endGroup))
  rmSync(reports, { recursive: true, force: true })
  process.exit(code)
}
