// How a list of tasks is run and shown: a live tree on a terminal, plain lines elsewhere, nothing with --json.
import { Listr, ListrEventType, ListrLogger, ListrLogLevels, type ListrTask, PRESET_TIMER, ProcessOutput } from 'listr2'
import { Interrupted, OperationError, UsageError } from './errors.ts'
import { run } from './run.ts'

/** A step of ours; steps share no listr2 context, each closes over what it needs. */
export type Task = ListrTask

/** A task whose title is in the end what its work says of itself; meanwhile it may report how far it is. */
export const titled = (title: string, work: (report: (line: string) => void) => Promise<string>): Task => ({
  title,
  task: async (_, task) => void (task.title = await work((line) => void (task.output = line))),
})

/** In order; after a failure nothing more starts. `collapse`: a terminal folds the steps of a task that is done. */
export async function runPipeline(tasks: Task[], { collapse = true } = {}): Promise<void> {
  const { json, stdout, stderr } = run()
  const processOutput = new ProcessOutput(stdout as NodeJS.WriteStream, stderr as NodeJS.WriteStream)
  const list = new Listr<unknown, 'default' | 'silent', 'verbose' | 'silent'>([], {
    registerSignalListeners: false,
    collectErrors: 'minimal',
    renderer: json ? 'silent' : 'default',
    fallbackRenderer: json ? 'silent' : 'verbose',
    fallbackRendererCondition: !hasTree(),
    rendererOptions: {
      timer: PRESET_TIMER,
      collapseSubtasks: collapse,
      showErrorMessage: false,
      collapseErrors: false,
      suffixSkips: true,
    },
    // The plain lines are the way, all on standard output; how it ended is said once, by the script, on standard error.
    fallbackRendererOptions: {
      timer: PRESET_TIMER,
      logTitleChange: false,
      logger: failuresOnce(new ListrLogger({ useIcons: false, toStderr: [], processOutput })),
    },
  })
  tellSteps(list)
  list.add(tasks.map((task) => ({ ...named(task), enabled: () => list.errors.length === 0 })))
  await list.run()
  if (list.errors.length > 0) throw asOne([...new Set(list.errors.map(({ error }) => error))])
}

const hasTree = (): boolean => run().stdout.isTTY === true && !run().verbose

/** Of a step that is left out plain lines have the reason only: it names the step. */
function named(task: Task): Task {
  const { skip, title } = task
  if (typeof skip !== 'function' || hasTree()) return task
  const why = async (): Promise<string | boolean> => {
    const reason = await skip(undefined)
    return typeof reason === 'string' && reason ? `${title}: ${reason}` : reason
  }
  return { ...task, skip: why }
}

/** A failure is passed on from each task to the one above it: it is told once. */
function failuresOnce(logger: ListrLogger): ListrLogger {
  const log = logger.log.bind(logger)
  const told = new Set<unknown>()
  logger.log = (level, message, ...more) => {
    if (level === ListrLogLevels.FAILED && told.has(message)) return
    if (level === ListrLogLevels.FAILED) told.add(message)
    log(level, message, ...more)
  }
  return logger
}

/** A task as listr2 holds it, as far as it is read here. */
interface Running {
  title?: string | undefined
  output?: string | undefined
  subtasks?: Running[] | undefined
  isStarted: () => boolean
}

/** Tells each step that the list comes to; of tasks side by side the first. */
function tellSteps(list: {
  tasks: Running[]
  events: { on: (event: ListrEventType.SHOULD_REFRESH_RENDER, listener: () => void) => void }
}): void {
  let told = ''
  list.events.on(ListrEventType.SHOULD_REFRESH_RENDER, () => {
    const steps = stepsOf(list.tasks)
    const text = steps.join('\n')
    if (text === '' || text === told) return
    told = text
    run().onStep?.(steps)
  })
}

/** The titles of the task at work and of those below it, and last what it says of itself. */
function stepsOf(tasks: Running[]): string[] {
  const at = tasks.find((task) => task.isStarted())
  if (!at) return []
  const below = stepsOf(at.subtasks ?? [])
  return [at.title ?? '', ...(below.length > 0 ? below : (at.output ?? '').split('\n').slice(-1))].filter(Boolean)
}

/** What failed first, and the other failures of the same group below it: all are to be put right. Undefined: none. */
export function asOne<T>([first, ...others]: T[]): T | OperationError | undefined {
  if (!(first instanceof OperationError) || first instanceof Interrupted) return first
  const failures = others.flatMap((error) =>
    error instanceof OperationError && !(error instanceof Interrupted) && error.message !== first.message ? error : [],
  )
  if (failures.length === 0) return first
  const also = failures.map(({ message, more: { hint = '' } }) => `Also: ${message} ${hint}`.trim())
  const { output, ...more } = first.more
  const Kind = first.exitCode === 2 ? UsageError : OperationError
  return new Kind(first.message, { ...more, output: [...(output ? [output] : []), ...also].join('\n') })
}

/** The tasks as one concurrent group. When one fails the others are let finish: none may outlive the run half done. */
export function concurrently(title: string, tasks: Task[]): Task {
  return { title, task: (_, group) => group.newListr(tasks, { concurrent: true, exitOnError: false }) }
}

/** Tasks below a task, one after the other, whatever group that task stands in. */
export function inOrder(title: string, tasks: () => Task[] | Promise<Task[]>): Task {
  return {
    title,
    task: async (_, parent) => parent.newListr((await tasks()).map(named), { concurrent: false, exitOnError: true }),
  }
}
