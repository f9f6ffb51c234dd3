import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { restart } from '../operations/restart.ts'

export const verb: Verb = {
  name: 'restart',
  summary: 'Restart the members one at a time, the leader last, while the cluster serves.',
  needsCluster: true,
  writes: true,
  flags: planFlag,
  words: { usage: '[host…]', least: 0, most: 9 },
  help: 'Without a host: all of them.\n\nExample: npx zx scripts/restart.ts master02',
  act: (cluster, flags, hosts) => restart(cluster, hosts, flags.plan === true),
}
