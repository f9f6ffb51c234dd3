// Releases of etcd with faults that a person should know, and which release mends them.
import { compareVersions } from '../core/programs.ts'

interface Fault {
  first: string
  last: string
  what: string
  cure: string
  /** No cluster should be brought to it. */
  grave: boolean
}

/**
 * From etcd's changelogs, CHANGELOG-3.4.md to CHANGELOG-3.7.md. Of 3.5 also its postmortem
 * (Documentation/postmortems/v3.5-data-inconsistency.md): a crash under load could leave a member without transactions
 * that it had acknowledged. 3.6.0 to 3.6.3 may, besides, not start where the promotion of a learner is replayed; to
 * 3.6.5 --force-new-cluster may leave members behind.
 */
const faults: Fault[] = [
  {
    first: '3.4.0',
    last: '3.4.999',
    what: 'is of a line that ended in June 2026: nothing in it is mended any more',
    cure: 'Take 3.5.33 or a later 3.5.',
    grave: false,
  },
  {
    first: '3.5.0',
    last: '3.5.2',
    what: 'can corrupt its data when it crashes (etcd-io/etcd#13766)',
    cure: 'Take 3.5.33 or a later 3.5.',
    grave: true,
  },
  {
    first: '3.5.3',
    last: '3.5.22',
    what: 'can corrupt its data when it gets a snapshot while it is defragmented (etcd-io/etcd#20271)',
    cure: 'Take 3.5.33 or a later 3.5.',
    grave: true,
  },
  {
    first: '3.6.0',
    last: '3.6.4',
    what: 'can corrupt its data when it gets a snapshot while it is defragmented (etcd-io/etcd#20271)',
    cure: 'Take 3.6.14 or a later 3.6.',
    grave: true,
  },
  {
    first: '3.6.5',
    last: '3.6.5',
    what: 'can leave learners in a cluster that is formed anew from one member (--force-new-cluster)',
    cure: 'Take 3.6.14 or a later 3.6.',
    grave: true,
  },
  ...['3.5.33', '3.6.14', '3.7.1'].map((mended) => {
    const [major, minor, patch] = mended.split('.').map(Number)
    return {
      first: `${major}.${minor}.0`,
      last: `${major}.${minor}.${Number(patch) - 1}`,
      what: 'has a security fault (GHSA-6vch-q96h-7gc3)',
      cure: `Take ${mended} or a later ${major}.${minor}.`,
      grave: false,
    }
  }),
]

const faultsOf = (version: string): Fault[] =>
  faults.filter(({ first, last }) => compareVersions(version, first) >= 0 && compareVersions(version, last) <= 0)
const sentence = (version: string, { what, cure }: Fault): string => `Version ${version} of etcd ${what}. ${cure}`

/** Why no cluster should be brought to this version, and what to take instead; '' where nothing speaks against it. */
export function faultOf(version: string): string {
  const fault = faultsOf(version).find(({ grave }) => grave)
  return fault ? sentence(version, fault) : ''
}

/** What a person whose members run this version should know, a sentence and its cure each. */
export const warningsOf = (version: string): string[] => faultsOf(version).map((fault) => sentence(version, fault))
