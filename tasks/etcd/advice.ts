// What a person should know of a cluster, though nothing is wrong: a sentence and what helps each.
import type { Cluster } from '../core/cluster.ts'
import { replacing, scaling } from '../core/record.ts'
import { authorityWarning } from './authority-change.ts'
import { type Finding, inWords } from './findings.ts'

/** A restore, recover, replacement or scale that is half done; the authority's end, or its change. */
export function adviceOf(cluster: Cluster): string[] {
  const { begun, name, paths } = cluster
  const [hosts, wanted] = [Object.keys(replacing(paths)), scaling(paths)]
  const half: Finding[] = [
    ...(begun ? [{ code: 'half-restored', what: begun.verb, name } as const] : []),
    ...(hosts.length > 0 ? [{ code: 'half-replaced', hosts } as const] : []),
    ...(wanted ? [{ code: 'half-scaled', hosts: wanted } as const] : []),
  ]
  return [...half.map((finding) => inWords(cluster, finding)), authorityWarning(cluster) ?? []].flat()
}
