#!/usr/bin/env -S npx zx
import { requireRecorded } from '../tasks/core/cluster.ts'
import { planFlag } from '../tasks/core/flags.ts'
import { script } from '../tasks/core/script.ts'
import { defrag } from '../tasks/operations/defrag.ts'

await script(
  {
    name: 'defrag',
    summary: "Give the database's free space back to the disk, one member at a time.",
    writes: true,
    byRecord: true,
    flags: { disarm: { summary: 'cure alarm NOSPACE: compact, defragment, lower the alarm' }, ...planFlag },
    help: 'Example: npx zx scripts/defrag.ts --disarm',
  },
  (cluster, flags) => {
    requireRecorded(cluster)
    return defrag(cluster, { disarm: flags.disarm === true, plan: flags.plan === true })
  },
)
