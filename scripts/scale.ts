#!/usr/bin/env -S npx zx
import { requireRecorded } from '../tasks/core/cluster.ts'
import { loadSettings } from '../tasks/core/config.ts'
import { planFlag } from '../tasks/core/flags.ts'
import { run } from '../tasks/core/run.ts'
import { script } from '../tasks/core/script.ts'
import { scale } from '../tasks/operations/scale.ts'

await script(
  {
    name: 'scale',
    summary: 'Grow or shrink the cluster, one member at a time, while it goes on serving.',
    writes: true,
    resizes: true,
    flags: planFlag,
    help: `Hosts of your own: list them in the configuration, or take them out;
then run this.

Example: npx zx scripts/scale.ts --masters 5`,
  },
  async (cluster, flags) => {
    requireRecorded(cluster)
    const { asked, configFile } = loadSettings({
      ...flags,
      masters: undefined,
      config: flags.config ?? cluster.configFile,
    })
    if (asked.masters && flags.masters && asked.masters !== Number(flags.masters))
      run().warnings.push(
        `masters is still ${asked.masters} in ${configFile ?? 'the environment'}: change it to ${flags.masters}, or other runs will refuse.`,
      )
    await scale(cluster, flags.plan === true)
  },
)
