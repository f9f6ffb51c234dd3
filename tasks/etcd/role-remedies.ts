// Which verb of ours helps where the role refuses; by itself the role says what a person can do by hand.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import type { RoleFinding } from './play-events.ts'

const lostForGood = (cluster: Cluster): string =>
  `${command(cluster, 'recover')} goes on from one that is left, and ${command(cluster, 'restore')} from a snapshot`

const remedies: Record<string, (cluster: Cluster, finding: RoleFinding) => string> = {
  'members-differ': (cluster) =>
    `Correct the inventory, or the membership: ${command(cluster, 'scale')} goes on where it was stopped`,
  'data-lost': (cluster, { host, remedy }) => `Replace it: ${command(cluster, `replace ${host}`)}. ${remedy}`,
  'quorum-lost': (cluster) => `${lostForGood(cluster)}.`,
  'others-silent': (cluster) =>
    `Start the other members first: ${command(cluster, 'up')}; if they are lost for good, ${lostForGood(cluster)}`,
  'v2-data': (cluster) =>
    `Go back to etcd 3.5, keep what you need of the v2 store, then ${command(cluster, 'backup')}, and restore that.`,
  'no-snapshot': (cluster) =>
    `Take the upgrade back, start every member (${command(cluster, 'status')} shows them), and begin it again: ` +
    'it has each member take a snapshot first.',
  ends: () => 'Put right what it says (cluster.yaml, etcd.environment), then run the same command again.',
}

/** Undefined where the role's own words are all that can be said. */
export const ourRemedy = (cluster: Cluster, finding: RoleFinding): string | undefined =>
  remedies[finding.code]?.(cluster, finding)
