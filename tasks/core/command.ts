// A command of ours as a person types it: every hint names one.
import type { Cluster } from './cluster.ts'
import { defaults } from './config.ts'

/** One of our scripts, for this cluster; `verb` may bear flags. */
export function command(cluster: Cluster, verb: string): string {
  const [name, ...flags] = verb.split(' ')
  return [`npx zx scripts/${name}.ts`, ...(cluster.name === defaults.cluster ? [] : [`--cluster ${cluster.name}`]), ...flags].join(' ')
}
