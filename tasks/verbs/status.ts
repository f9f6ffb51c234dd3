import { followRecord } from '../core/cluster.ts'
import { tellAgain } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { clusterStatus, renderStatus } from '../status.ts'

const help =
  'It shows, too, which verb is at work on the cluster and at which step.\n\nExample: npx zx scripts/status.ts --watch'

// resizes: while scale is at work, other hosts than recorded may be listed.
export const verb: Verb = {
  name: 'status',
  summary: 'Show how the cluster is right now.',
  needsCluster: true,
  flags: {
    watch: { summary: 'look again every 2 s, until Ctrl-C' },
    disks: { summary: 'ask hosts over ssh, too, how much room their disks have left' },
  },
  resizes: true,
  byRecord: true,
  help,
  act: (cluster, { watch, disks }) =>
    tellAgain(watch === true, async () => {
      followRecord(cluster)
      const status = await clusterStatus(cluster, disks === true)
      return [status, renderStatus(status, cluster.pki.renewBeforeDays)]
    }),
}
