#!/usr/bin/env -S npx zx
import { requireRecorded } from '../tasks/core/cluster.ts'
import { run } from '../tasks/core/run.ts'
import { script } from '../tasks/core/script.ts'
import { clientEnvironment, shellLines } from '../tasks/etcd/client-environment.ts'

await script(
  {
    name: 'env',
    summary: 'Print the ETCDCTL_* variables that reach the cluster, for a shell to evaluate.',
    byRecord: true,
    help: 'Example: eval "$(npx zx scripts/env.ts)" && etcdctl endpoint health',
  },
  async (cluster) => {
    requireRecorded(cluster)
    print(run().json ? `${JSON.stringify(clientEnvironment(cluster))}\n` : await shellLines(cluster))
  },
)
