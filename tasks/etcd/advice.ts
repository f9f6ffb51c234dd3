// What a person should know of a cluster, though nothing is wrong: a sentence and what helps each.
import { type Cluster, halfDone } from '../core/cluster.ts'
import { replacing, scaling } from '../core/record.ts'
import { authorityWarning } from './authority-change.ts'
import { inWords } from './findings.ts'

/** A restore, recover, replacement or scale that is half done; the authority's end, or its change. */
export function adviceOf(cluster: Cluster): string[] {
  const hosts = Object.keys(replacing(cluster.paths))
  const half = hosts.length > 0 ? [inWords(cluster, { code: 'half-replaced', hosts })] : []
  const wanted = scaling(cluster.paths)
  if (wanted) half.push(inWords(cluster, { code: 'half-scaled', hosts: wanted }))
  const begun = halfDone(cluster)
  const all = begun ? [`${begun.sentence} ${begun.remedy}`] : []
  return [...all, ...half, authorityWarning(cluster) ?? []].flat()
}
