import { loadSettings } from '../core/config.ts'
import { planFlag } from '../core/flags.ts'
import { run } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { scale } from '../operations/scale.ts'

export const verb: Verb = {
  name: 'scale',
  summary: 'Grow or shrink the cluster, one member at a time, while it goes on serving.',
  needsCluster: true,
  writes: true,
  resizes: true,
  flags: planFlag,
  help: `Hosts of your own: list them in the configuration, or take them out;
then run this.

Example: npx zx scripts/scale.ts --masters 5`,
  act: async (cluster, flags) => {
    const { asked, configFile } = loadSettings({
      ...flags,
      masters: undefined,
      config: flags.config ?? cluster.configFile,
    })
    if (asked.masters && flags.masters && asked.masters !== Number(flags.masters))
      run().warnings.push(
        `masters is still ${asked.masters} in ${configFile ?? 'the environment'}: change it to ` +
          `${flags.masters}, or other runs will refuse.`,
      )
    await scale(cluster, flags.plan === true)
  },
}
