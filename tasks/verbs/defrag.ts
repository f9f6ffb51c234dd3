import { requireRecorded } from '../core/cluster.ts'
import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { defrag } from '../operations/defrag.ts'

export const verb: Verb = {
  name: 'defrag',
  summary: "Give the database's free space back to the disk, one member at a time.",
  writes: true,
  byRecord: true,
  flags: { disarm: { summary: 'cure alarm NOSPACE: compact, defragment, lower the alarm' }, ...planFlag },
  help: 'Example: npx zx scripts/defrag.ts --disarm',
  act: (cluster, flags) => {
    requireRecorded(cluster)
    return defrag(cluster, { disarm: flags.disarm === true, plan: flags.plan === true })
  },
}
