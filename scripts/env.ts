#!/usr/bin/env -S npx zx
import { quote } from 'zx'
import { requireRecorded } from '../tasks/core/cluster.ts'
import { run } from '../tasks/core/run.ts'
import { script } from '../tasks/core/script.ts'
import { clientEnvironment } from '../tasks/etcd/client-environment.ts'

await script({ name: 'env', summary: 'Print the ETCDCTL_* variables that reach the cluster, for a shell to evaluate.', help: 'Example: eval "$(npx zx scripts/env.ts)" && etcdctl endpoint health' }, async (cluster) => {
  requireRecorded(cluster)
  const variables = await clientEnvironment(cluster)
  process.stdout.write(run.json ? `${JSON.stringify(variables)}\n` : Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}\n`).join(''))
})
