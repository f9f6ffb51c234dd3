// A check of doctor: one question about this machine or a host, and what gets it right.
import { OperationError } from './errors.ts'
import type { Task } from './pipeline.ts'
import { run } from './run.ts'

/** What is wrong, in a sentence, and the command or change that helps. */
export interface Finding {
  detail: string
  remedy: string
  /** A warning is shown; it stops nothing. */
  warning?: boolean
}

export interface Check {
  title: string
  /** What was found well, in a few words, or what is wrong. */
  look: () => Promise<string | Finding>
  /** Gets what is missing; says what it did. Runs when `look` found something wrong. */
  mend?: {
    /** Asked before anything is done; none: it changes nothing outside the project's own folders. */
    question?: string | (() => Promise<string | undefined>)
    /** Why it cannot be done here: the finding then stands. */
    impossible?: () => string | undefined | Promise<string | undefined>
    run: (report: (line: string) => void) => Promise<string>
  }
}

/** The checks as tasks, each looked at and, where it can, mended. @throws OperationError naming the remedy */
export function checkTasks(checks: Check[]): Task[] {
  return checks.map((check) => ({
    title: check.title,
    task: async (_, task) => {
      const answer = await check.look()
      const found = (run().report.checks ??= []) as { title: string; ok: boolean; detail: string }[]
      const finding = typeof answer === 'string' ? undefined : answer
      found.push({ title: check.title, ok: !finding, detail: finding?.detail ?? String(answer) })
      if (!finding) {
        task.title = `${check.title}: ${answer as string}`
      } else if (check.mend && !(await check.mend.impossible?.())) {
        const done = await check.mend.run((line) => void (task.output = line))
        run().changes.push(done)
        task.title = `${check.title}: ${done}`
      } else if (finding.warning) {
        task.title = `${check.title}: warning, ${finding.detail}`
        run().warnings.push(`${finding.detail} ${finding.remedy}`)
      } else {
        throw new OperationError(finding.detail, { hint: (await check.mend?.impossible?.()) ?? finding.remedy })
      }
    },
  }))
}

/** What the checks would get or complain of, a line each. */
export async function checkPlan(checks: Check[]): Promise<string[]> {
  const answers = await Promise.all(
    checks.map(async (check) => {
      const answer = await check.look()
      return { answer, mends: typeof answer !== 'string' && check.mend && !(await check.mend.impossible?.()) }
    }),
  )
  return answers.flatMap(({ answer, mends }) => {
    if (typeof answer === 'string') return []
    return mends
      ? [`get what is missing: ${answer.detail}`]
      : answer.warning
        ? []
        : [`stop: ${answer.detail} ${answer.remedy}`]
  })
}

/** The questions that must be answered before the checks may mend something. */
export async function questionsOf(checks: Check[]): Promise<string[]> {
  const answers = await Promise.all(
    checks.map(async ({ look, mend }) => {
      if (!mend?.question || typeof (await look()) === 'string' || (await mend.impossible?.())) return undefined
      return typeof mend.question === 'string' ? mend.question : mend.question()
    }),
  )
  return answers.filter((question) => question !== undefined)
}
