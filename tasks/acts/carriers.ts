// What it takes to carry an act out.
import type { Cluster } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import type { Act } from '../plans/types.ts'

/** What an act says of itself: what more there is to know of it, and what it is just doing. */
export interface Say {
  also: (words: string) => void
  now: (line: string) => void
}

/** The steps of an act; none: it is done by then. */
export type Steps = Task[] | undefined | Promise<Task[]> | Promise<void>

export type Carriers = {
  [K in Act['do']]: (cluster: Cluster, act: Extract<Act, { do: K }>, say: Say) => Steps
}
