import { UsageError } from '../core/errors.ts'
import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { move } from '../operations/move.ts'

export const verb: Verb = {
  name: 'move',
  summary: 'Move members to other addresses of their hosts, one at a time, while the cluster serves.',
  needsCluster: true,
  writes: true,
  resizes: true,
  flags: planFlag,
  help: `Give each host its new address beside the old one, list the new one under hosts
(or in the inventory), then run this. To other hosts: \`scale\`.

Example: npx zx scripts/move.ts --plan`,
  act: async (cluster, flags) => {
    if (cluster.provider !== 'ssh')
      throw new UsageError('Only servers that are reached over ssh have addresses that you choose.', {
        hint: 'Other hosts of this cluster keep theirs.',
      })
    await move(cluster, flags.plan === true)
  },
}
