// uvu as it is, and a report of what it keeps to itself: hooks that throw, suites that never ran, handles left open.
import { writeFileSync } from 'node:fs'
import * as uvu from 'uvu'

/** What a test file's process leaves for the runner; written at every step, so that it outlives a kill. */
export interface Report {
  passed: number
  failed: number
  skipped: number
  /** Each failed test: its title and the first line of what it threw. */
  failures: string[]
  /** The titles of those that skip() left out. */
  skippedTests: string[]
  /** The test or hook at work, for the message when the file takes too long. */
  running: string | undefined
  /** What fails the file besides its failing tests. */
  problems: string[]
  /** How long each test and hook took, in ms. */
  took: [title: string, ms: number][]
}

/** How long a process may live on after its last test, in ms. */
const grace = 5000
let path = process.env.UVU_REPORT ?? ''
// A node that a test starts must not report in our place, nor what it covers: that costs it 0.3 s, and adds 1 %.
delete process.env.UVU_REPORT
delete process.env.NODE_V8_COVERAGE

const blank = (): Report => ({
  passed: 0,
  failed: 0,
  skipped: 0,
  failures: [],
  skippedTests: [],
  running: undefined,
  problems: [],
  took: [],
})
let report = blank()
let leak: NodeJS.Timeout | undefined
/** What each suite looks for at the end of its file. */
const atEnd: (() => void)[] = []
process.on('exit', finish)

/** Another test file begins in this process, with a report of its own (together.ts). */
export function begin(reportPath: string): void {
  clearTimeout(leak)
  report = blank()
  path = reportPath
}

/** The file at work is done. */
export function finish(): void {
  for (const look of atEnd) look()
  save()
}

export const test = watch(uvu.test, 'test')
export const exec = uvu.exec

/** uvu's suite(), counted. */
export function suite<T = uvu.Context>(name = 'suite', context?: T): uvu.Test<T> {
  return watch(uvu.suite<T>(name, context), name)
}

function watch<T>(real: uvu.Test<T>, name: string): uvu.Test<T> {
  const declared = { tests: 0, only: 0 }
  let waiting = 0

  const counted =
    (title: string, handler: uvu.Callback<T>): uvu.Callback<T> =>
    (context) => {
      waiting--
      return step(title, () => passOrFail(title, async () => handler(context)))
    }
  const declare = (kind: 'tests' | 'only', add: uvu.Test<T>['only']) => (title: string, handler: uvu.Callback<T>) => {
    declared[kind]++
    add(title, counted(title, handler))
  }
  const hook = (kind: string, add: (handler: uvu.Callback<T>) => void) => (handler: uvu.Callback<T>) =>
    add((context) =>
      step(`${name}: ${kind} hook`, () => noted(`${name}: a ${kind} hook`, async () => handler(context))),
    )

  atEnd.push(() => {
    const forgotten = declared.tests + declared.only
    if (forgotten > 0) report.problems.push(`${name}: ${forgotten} declared but never run; is .run() missing?`)
    if (waiting > 0) report.problems.push(`${name}: ${waiting} did not get their turn.`)
  })

  return Object.assign(declare('tests', real), {
    only: declare('only', real.only),
    skip: (title?: string) => {
      report.skipped++
      if (title) report.skippedTests.push(title)
      real.skip()
    },
    before: Object.assign(hook('before', real.before), { each: hook('before.each', real.before.each) }),
    after: Object.assign(hook('after', real.after), { each: hook('after.each', real.after.each) }),
    run: () => {
      waiting += declared.only || declared.tests
      if (declared.only) report.skipped += declared.tests
      Object.assign(declared, { tests: 0, only: 0 })
      real.run()
    },
  })
}

async function passOrFail(title: string, work: () => Promise<void>): Promise<void> {
  report.failed++ // until it has passed: a process that ends in the middle has failed
  try {
    await work()
  } catch (error) {
    report.failures.push(`${title}: ${String(error instanceof Error ? error.message : error).split('\n')[0]}`)
    throw error
  }
  report.failed--
  report.passed++
}

/** uvu swallows what a hook throws; here it is written down first. */
async function noted(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    report.problems.push(`${what} threw: ${error instanceof Error ? error.stack : error}`)
    throw error
  }
}

/** One test or hook; afterwards the process has `grace` to go on or to end. */
async function step(title: string, work: () => Promise<void>): Promise<void> {
  clearTimeout(leak)
  report.running = title
  save()
  const began = Date.now()
  try {
    await work()
  } finally {
    report.running = undefined
    report.took.push([title, Date.now() - began])
    save()
    leak = setTimeout(endLeak, grace).unref()
  }
}

function endLeak(): void {
  report.problems.push(
    `Still running ${grace / 1000} s after its last test; left open: ` +
      `${process.getActiveResourcesInfo().join(', ') || 'unknown'}.`,
  )
  process.exit(1)
}

function save(): void {
  if (path) writeFileSync(path, JSON.stringify(report))
}
