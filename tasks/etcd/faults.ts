// Releases of etcd with faults that a person should know, and which release mends them.
import { compareVersions, minorOf } from '../core/programs.ts'

/** `mended`: the release to take instead. `isGrave`: no cluster should be brought to it. */
type Fault = [first: string, last: string, mended: string, isGrave: boolean, what: string]

const whileDefragmented = 'can corrupt its data when it gets a snapshot while it is defragmented (etcd-io/etcd#20271)'
const alone = 'can leave learners in a cluster that is made from one member (--force-new-cluster)'
const security = 'has a security fault (GHSA-6vch-q96h-7gc3)'

/**
 * From etcd's changelogs, CHANGELOG-3.4.md to CHANGELOG-3.7.md. Of 3.5 also its postmortem
 * (Documentation/postmortems/v3.5-data-inconsistency.md): a crash under load could leave a member without transactions
 * that it had acknowledged. 3.6.0 to 3.6.3 may, besides, not start where the promotion of a learner is replayed; to
 * 3.6.5 --force-new-cluster may leave members behind.
 */
const faults: Fault[] = [
  ['3.4.0', '3.4.999', '3.5.33', false, 'is of a line that ended in June 2026: nothing in it is mended any more'],
  ['3.5.0', '3.5.2', '3.5.33', true, 'can corrupt its data when it crashes (etcd-io/etcd#13766)'],
  ['3.5.3', '3.5.22', '3.5.33', true, whileDefragmented],
  ['3.6.0', '3.6.4', '3.6.14', true, whileDefragmented],
  ['3.6.5', '3.6.5', '3.6.14', true, alone],
  ['3.5.0', '3.5.32', '3.5.33', false, security],
  ['3.6.0', '3.6.13', '3.6.14', false, security],
  ['3.7.0', '3.7.0', '3.7.1', false, security],
]

const faultsOf = (version: string): Fault[] =>
  faults.filter(([first, last]) => compareVersions(version, first) >= 0 && compareVersions(version, last) <= 0)
const sentence = (version: string, [, , mended, , what]: Fault): string =>
  `Version ${version} of etcd ${what}. Take ${mended} or a later ${minorOf(mended)}.`

/** Why no cluster should be brought to this version, and what to take instead; '' where nothing speaks against it. */
export function faultOf(version: string): string {
  const fault = faultsOf(version).find(([, , , isGrave]) => isGrave)
  return fault ? sentence(version, fault) : ''
}

/** What a person whose members run this version should know, a sentence and its cure each. */
export const warningsOf = (version: string): string[] => faultsOf(version).map((fault) => sentence(version, fault))
