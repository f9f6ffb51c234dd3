#!/usr/bin/env -S npx zx
import { followRecord, requireRecorded } from '../tasks/core/cluster.ts'
import { run, sleep } from '../tasks/core/run.ts'
import { script } from '../tasks/core/script.ts'
import { clusterStatus, renderStatus } from '../tasks/etcd/status.ts'
import { keeperWarning } from '../tasks/vms/index.ts'

const flags = { watch: { summary: 'look again every 2 s, until Ctrl-C' } }

const help =
  'It shows, too, which verb is at work on the cluster and at which step.\n\nExample: npx zx scripts/status.ts --watch'

// resizes: while scale is at work, other hosts than recorded may be listed.
await script(
  { name: 'status', summary: 'Show how the cluster is right now.', flags, resizes: true, byRecord: true, help },
  async (cluster, { watch }) => {
    requireRecorded(cluster)
    run().untilStopped = watch === true
    for (;;) {
      const status = await clusterStatus(cluster, await keeperWarning(cluster))
      const text = run().json ? JSON.stringify(status) : renderStatus(status, cluster.pki.renewBeforeDays)
      const inPlace = watch && !run().json && process.stdout.isTTY
      print(inPlace ? `\x1b[H\x1b[2J${text}\n` : `${text}\n${watch && !run().json ? '\n' : ''}`)
      if (!watch) return
      await sleep(2000)
      followRecord(cluster)
    }
  },
)
