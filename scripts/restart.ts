#!/usr/bin/env -S npx zx
import { requireRecorded } from '../tasks/core/cluster.ts'
import { planFlag } from '../tasks/core/flags.ts'
import { script } from '../tasks/core/script.ts'
import { restart } from '../tasks/operations/restart.ts'

await script(
  {
    name: 'restart',
    summary: 'Restart the members one at a time, the leader last, while the cluster serves.',
    writes: true,
    flags: planFlag,
    words: { usage: '[host…]', least: 0, most: 9 },
    help: 'Without a host: all of them.\n\nExample: npx zx scripts/restart.ts master02',
  },
  async (cluster, flags, hosts) => {
    requireRecorded(cluster)
    await restart(cluster, hosts, flags.plan === true)
  },
)
