// A command of ours as a person types it: every hint names one.

export const defaultCluster = 'etcd-cluster-1'

/** One of our scripts, for this cluster; `verb` may bear flags. */
export function command({ name: cluster }: { name: string }, verb: string): string {
  const [name, ...flags] = verb.split(' ')
  return [`npx zx scripts/${name}.ts`, ...(cluster === defaultCluster ? [] : [`--cluster ${cluster}`]), ...flags].join(
    ' ',
  )
}

/** What helps after a failure, in words; with the verb that does it, where whoever made the hint knew no cluster. */
export const hintOf = (cluster: { name: string }, { hint = '', verb }: { hint?: string; verb?: string }): string =>
  verb ? `${hint}: ${command(cluster, verb)}` : hint
