// What it takes to carry an act out.
import type { Cluster } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import type { Act } from '../plans/types.ts'

export type Told = (words: string) => void

/** The steps of each act; or it is done by the time it returns. `tell`: what more there is to say of it. */
export type Carriers = {
  [K in Act['do']]: (cluster: Cluster, act: Extract<Act, { do: K }>, tell: Told) => Task[] | Promise<Task[]>
}
