// A check of doctor: one question about this machine or a host, and what gets it right.
import { OperationError } from './errors.ts'
import type { Task } from './pipeline.ts'
import { run } from './run.ts'
import { confirm } from './script.ts'

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

/** What a check found, and what mends it: nothing where that is impossible, for the reason that is given. */
async function lookAt({ look, mend }: Check) {
  const answer = await look()
  const finding = typeof answer === 'string' ? undefined : answer
  const why = finding && (await mend?.impossible?.())
  return { detail: finding?.detail ?? String(answer), finding, why, mend: finding && !why ? mend : undefined }
}

/** The checks as tasks, each looked at and, where it can, mended. @throws OperationError naming the remedy */
export function checkTasks(checks: Check[]): Task[] {
  return checks.map((check) => ({
    title: check.title,
    task: async (_, task) => {
      const { detail, finding, why, mend } = await lookAt(check)
      const found = (run().report.checks ??= []) as { title: string; ok: boolean; detail: string }[]
      found.push({ title: check.title, ok: !finding, detail })
      if (!finding) {
        task.title = `${check.title}: ${detail}`
      } else if (mend) {
        const done = await mend.run((line) => void (task.output = line))
        run().changes.push(done)
        task.title = `${check.title}: ${done}`
      } else if (finding.warning) {
        task.title = `${check.title}: warning, ${detail}`
        run().warnings.push(`${detail} ${finding.remedy}`)
      } else {
        throw new OperationError(detail, { hint: why ?? finding.remedy })
      }
    },
  }))
}

/** What the checks would get or complain of, a line each. */
export async function checkPlan(checks: Check[]): Promise<string[]> {
  const looks = await Promise.all(checks.map(lookAt))
  return looks.flatMap(({ finding, mend }) => {
    if (!finding || (finding.warning && !mend)) return []
    return mend ? [`get what is missing: ${finding.detail}`] : [`stop: ${finding.detail} ${finding.remedy}`]
  })
}

/** Asks what a check would ask before it gets what is missing. @throws OperationError where a person says no */
export async function agreeTo(checks: Check[]): Promise<void> {
  for (const question of await questionsOf(checks))
    if (!(await confirm(question)))
      throw new OperationError('Nothing was changed.', {
        hint: 'Install it yourself, then run the same command again.',
      })
}

async function questionsOf(checks: Check[]): Promise<string[]> {
  const asking = checks.filter((check) => check.mend?.question)
  const questions = await Promise.all(
    asking.map(async (check) => {
      const { question } = (await lookAt(check)).mend ?? {}
      return typeof question === 'function' ? question() : question
    }),
  )
  return questions.filter((question) => question !== undefined)
}
