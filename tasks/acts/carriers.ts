// What it takes to carry an act out. Each may be asked for again: that it is done already is success.
import type { Cluster } from '../core/cluster.ts'
import { hintOf } from '../core/command.ts'
import { Interrupted, OperationError, UsageError } from '../core/errors.ts'
import type { Task } from '../core/pipeline.ts'
import type { Act } from '../plans/types.ts'

/** How an act is shown: its title, and what it is just doing. */
export type Shown = Pick<Parameters<Task['task']>[1], 'title' | 'output'>

/** The steps of an act; none: it is done by then. */
export type Steps = Task[] | undefined | Promise<Task[]> | Promise<void>

export type Carriers = {
  [K in Act['do']]: (cluster: Cluster, act: Extract<Act, { do: K }>, shown: Shown) => Steps
}

/** The tasks; when one fails, `hint` makes of its hint what helps. After a Ctrl-C the next run goes on. */
export const withHint = (cluster: Cluster, tasks: Task[], hint: (helps: string) => string | Promise<string>): Task[] =>
  tasks.map((task) => ({
    ...task,
    task: async (context, wrapper) => {
      try {
        return await task.task(context, wrapper)
      } catch (error) {
        if (!(error instanceof OperationError) || error instanceof Interrupted) throw error
        const { verb: _, ...more } = error.more
        const Kind = error instanceof UsageError ? UsageError : OperationError
        throw new Kind(error.message, { ...more, hint: (await hint(hintOf(cluster, error.more))).trim() })
      }
    },
  }))
