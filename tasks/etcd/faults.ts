// Releases of etcd with faults that no cluster should live with, and which release mends them.
import { compareVersions } from '../core/programs.ts'

/**
 * From etcd's changelogs, CHANGELOG-3.5.md and CHANGELOG-3.6.md. Of 3.5 also its postmortem
 * (Documentation/postmortems/v3.5-data-inconsistency.md): a crash under load could leave a member without transactions
 * that it had acknowledged. 3.6.0 to 3.6.3 may, besides, not start where the promotion of a learner is replayed; to 3.6.5
 * --force-new-cluster may leave members behind.
 */
const faults = [
  {
    first: '3.5.0',
    last: '3.5.2',
    what: 'can corrupt its data when it crashes (etcd-io/etcd#13766)',
    mended: 'Take 3.5.32 or later.',
  },
  {
    first: '3.6.0',
    last: '3.6.4',
    what: 'can corrupt its data when it gets a snapshot while it is defragmented (etcd-io/etcd#20271)',
    mended: 'Take a later 3.6.',
  },
  {
    first: '3.6.5',
    last: '3.6.5',
    what: 'can leave learners in a cluster that is formed anew from one member (--force-new-cluster)',
    mended: 'Take a later 3.6.',
  },
]

/** What is wrong with this version, and what to take instead, in sentences; '' where nothing is. */
export function faultOf(version: string): string {
  const fault = faults.find(
    ({ first, last }) => compareVersions(version, first) >= 0 && compareVersions(version, last) <= 0,
  )
  return fault ? `Version ${version} of etcd ${fault.what}. ${fault.mended}` : ''
}
