// How a list of tasks is run and shown: a live tree on a terminal, plain lines elsewhere, nothing with --json.
import { Listr, ListrLogger, type ListrTask, PRESET_TIMER } from 'listr2'
import { run } from './run.ts'

/** A step of ours; steps share no listr2 context, each closes over what it needs. */
export type Task = ListrTask

/**
 * Runs the tasks in order (groups inside them may be concurrent); after a failure nothing more starts.
 * @throws what the first failing task threw
 */
export async function runPipeline(tasks: Task[]): Promise<void> {
  const list = new Listr<unknown, 'default' | 'verbose' | 'silent', 'verbose' | 'silent'>([], {
    registerSignalListeners: false,
    collectErrors: 'minimal',
    renderer: run.json ? 'silent' : run.verbose ? 'verbose' : 'default',
    fallbackRenderer: run.json ? 'silent' : 'verbose',
    rendererOptions: { timer: PRESET_TIMER, collapseSubtasks: true, showErrorMessage: false, collapseErrors: false, suffixSkips: true },
    // The plain lines are the way, all on standard output; how it ended is said once, by the script, on standard error.
    fallbackRendererOptions: { timer: PRESET_TIMER, logTitleChange: false, logger: new ListrLogger({ useIcons: false, toStderr: [] }) },
  })
  list.add(tasks.map((task) => ({ ...task, enabled: () => list.errors.length === 0 })))
  await list.run()
  const first = list.errors[0]
  if (first) throw first.error
}

/**
 * The tasks as one concurrent group. When one fails the others are let finish, and then the pipeline
 * ends: half-done siblings must not outlive the run.
 */
export function concurrently(title: string, tasks: Task[]): Task {
  return { title, task: (_, group) => group.newListr(tasks, { concurrent: true, exitOnError: false }) }
}

/** Tasks below a task, one after the other, whatever group that task stands in. */
export function inOrder(title: string, tasks: () => Task[] | Promise<Task[]>): Task {
  return { title, task: async (_, parent) => parent.newListr(await tasks(), { concurrent: false, exitOnError: true }) }
}
