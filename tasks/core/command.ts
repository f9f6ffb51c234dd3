// A command of ours as a person types it: every hint names one.
import type { Cluster } from './cluster.ts'
import { defaults } from './config.ts'

/** A text for people in which every script of ours is named for the cluster that the run is about: pasted, it must not reach another. */
export const forCluster = (text: string, name: string): string =>
  name === defaults.cluster
    ? text
    : text.replace(/\b(?:npx zx )?scripts\/([a-z-]+)\.ts\b(?! --cluster)/g, `npx zx scripts/$1.ts --cluster ${name}`)

/** One of our scripts, for this cluster; `verb` may bear flags. */
export function command(cluster: Cluster, verb: string): string {
  const [name, ...flags] = verb.split(' ')
  return [
    `npx zx scripts/${name}.ts`,
    ...(cluster.name === defaults.cluster ? [] : [`--cluster ${cluster.name}`]),
    ...flags,
  ].join(' ')
}
