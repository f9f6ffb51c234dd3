import { print, run } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { clientEnvironment, shellLines } from '../etcd/client-environment.ts'

export const verb: Verb = {
  name: 'env',
  summary: 'Print the ETCDCTL_* variables that reach the cluster, for a shell to evaluate.',
  needsCluster: true,
  byRecord: true,
  help: 'Example: eval "$(npx zx scripts/env.ts)" && etcdctl endpoint health',
  act: async (cluster) => {
    print(run().json ? `${JSON.stringify(clientEnvironment(cluster))}\n` : await shellLines(cluster))
  },
}
