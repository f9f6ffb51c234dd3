// restart: the role's rolling restart, though nothing differs: an unhealthy member first, the leader last.
import { withCopies } from '../copies.ts'
import { type Cluster, hostNamed } from '../core/cluster.ts'
import { inOrder } from '../core/pipeline.ts'
import { authorityKeys } from '../etcd/certificates.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { requireHealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, look, proveItWorks } from './steps.ts'

/** Restarts the members of the named hosts (none named: all), one at a time. `plan`: says what it would do. */
export async function restart(cluster: Cluster, names: string[], plan: boolean): Promise<void> {
  for (const name of names) hostNamed(cluster, name)
  const hosts = names.length > 0 ? names : cluster.hosts.map(({ name }) => name)
  const role = { variables: { etcd_restart: hosts } }
  const steps = [
    look('Check that the cluster can spare a member', () =>
      requireHealthy(cluster, { allowDown: names.length > 0 ? hosts : [] }),
    ),
    {
      ...inOrder('Restart one member after the other', () => etcdRole.tasks(cluster, role)),
      would: () => withCopies(cluster, (copy) => etcdRole.plan(copy, role), authorityKeys(cluster)),
    },
    proveItWorks(cluster),
  ]
  if (!(await carryOutSteps(cluster, 'restart', steps, plan))) return
  const done = `Restarted ${hosts.join(', ')}${hosts.length > 1 ? ', one at a time' : ''}; the cluster is verified.`
  sayDone(cluster, 'restart', done, { restarted: hosts })
}
