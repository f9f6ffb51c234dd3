// What a person should know of a cluster, though nothing is wrong: a sentence and what helps each.
import { existsSync } from 'node:fs'
import { beingReplaced, type Cluster, movingHosts } from '../core/cluster.ts'
import { compareVersions } from '../core/programs.ts'
import { scaling } from '../core/record.ts'
import { authorityWarning, changeStage } from './authority-change.ts'
import { attempt, oldAuthorities } from './certificates.ts'
import { type Finding, inWords } from './findings.ts'

/** A move to another etcd that is half done. */
export function moveBegun({ etcd: { version = '', upgradingTo: due } }: Cluster): MoveBegun | undefined {
  const what = due && compareVersions(due, version) < 0 ? 'downgrade' : 'upgrade'
  return due ? { code: 'move-begun', what, due } : undefined
}

type MoveBegun = Extract<Finding, { code: 'move-begun' }>

/** A restore, recover, move, replacement or scale that is half done; the authority's end, or its change. */
export function adviceOf(cluster: Cluster): string[] {
  const half = begunIn(cluster).map(([, finding]) => inWords(cluster, finding))
  return [...half, oldTrust(cluster) ?? [], authorityWarning(cluster) ?? []].flat()
}

/** What is left to do after an adoption, once clients have certificates of the new authority. */
function oldTrust(cluster: Cluster): string | undefined {
  const { name, begun, plainClients } = cluster
  if (begun || !existsSync(oldAuthorities(cluster))) return undefined
  const what = plainClients ? 'speaks plain HTTP to clients' : 'lets in clients of its old authority'
  return inWords(cluster, { code: 'old-trust', name, what })
}

/** What may be half done, by the verb that begins it. */
const begins = ['upgrade', 'downgrade', 'restore', 'recover', 'adopt', 'replace', 'move', 'scale'] as const

/** For each verb that may be half done, whether it is. */
export function halfDoneOf(cluster: Cluster): Record<string, boolean> {
  const begun = begunIn(cluster).map(([verb]) => verb)
  const changing = attempt(() => changeStage(cluster)) !== undefined
  return { ...Object.fromEntries(begins.map((verb) => [verb, begun.includes(verb)])), 'rotate-ca': changing }
}

/** What was begun and is not done. */
function begunIn(cluster: Cluster): [verb: (typeof begins)[number], finding: Finding][] {
  const { begun, name, paths } = cluster
  const [hosts, wanted] = [beingReplaced(cluster), scaling(paths)]
  const [moving, upgrade] = [movingHosts(cluster), moveBegun(cluster)]
  const all: [(typeof begins)[number], Finding | undefined][] = [
    [upgrade?.what === 'downgrade' ? 'downgrade' : 'upgrade', upgrade],
    [begun?.verb ?? 'restore', begun && { code: 'half-restored', what: begun.verb, name }],
    ['replace', hosts.length > 0 ? { code: 'half-replaced', hosts } : undefined],
    ['move', moving.length > 0 ? { code: 'half-moved', hosts: moving } : undefined],
    ['scale', wanted && { code: 'half-scaled', hosts: wanted }],
  ]
  return all.flatMap(([verb, finding]) => (finding ? [[verb, finding]] : []))
}
