// What it takes to carry an act out. Each may be asked for again: that it is done already is success.
import type { Cluster } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import type { Act } from '../plans/types.ts'

/** How an act is shown: its title, and what it is just doing. */
export type Shown = Pick<Parameters<Task['task']>[1], 'title' | 'output'>

/** The steps of an act; none: it is done by then. */
export type Steps = Task[] | undefined | Promise<Task[]> | Promise<void>

export type Carriers = {
  [K in Act['do']]: (cluster: Cluster, act: Extract<Act, { do: K }>, shown: Shown) => Steps
}
