// What a person should know of a cluster, though nothing is wrong: a sentence and what helps each.
import { beingReplaced, type Cluster, movingHosts } from '../core/cluster.ts'
import { compareVersions } from '../core/programs.ts'
import { scaling } from '../core/record.ts'
import { authorityWarning } from './authority-change.ts'
import { type Finding, inWords } from './findings.ts'

/** A move to another etcd that is half done. */
export function moveBegun({ etcd: { version = '', upgradingTo: due } }: Cluster): MoveBegun | undefined {
  const what = due && compareVersions(due, version) < 0 ? 'downgrade' : 'upgrade'
  return due ? { code: 'move-begun', what, due } : undefined
}

type MoveBegun = Extract<Finding, { code: 'move-begun' }>

/** A restore, recover, move, replacement or scale that is half done; the authority's end, or its change. */
export function adviceOf(cluster: Cluster): string[] {
  const { begun, name, paths } = cluster
  const [hosts, wanted] = [beingReplaced(cluster), scaling(paths)]
  const moving = movingHosts(cluster)
  const half: Finding[] = [
    moveBegun(cluster) ?? [],
    ...(begun ? [{ code: 'half-restored', what: begun.verb, name } as const] : []),
    ...(hosts.length > 0 ? [{ code: 'half-replaced', hosts } as const] : []),
    ...(moving.length > 0 ? [{ code: 'half-moved', hosts: moving } as const] : []),
    ...(wanted ? [{ code: 'half-scaled', hosts: wanted } as const] : []),
  ].flat()
  return [...half.map((finding) => inWords(cluster, finding)), authorityWarning(cluster) ?? []].flat()
}
