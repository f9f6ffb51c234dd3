// restart: the role's rolling restart, though nothing differs. An unhealthy member first, the leader last after handing
// over.
import { withCopies } from '../copies.ts'
import { type Cluster, hostNamed } from '../core/cluster.ts'
import { inOrder, runPipeline } from '../core/pipeline.ts'
import { authorityKeys } from '../etcd/certificates.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as verify from '../verify/index.ts'
import { requireHealthy } from './guard.ts'
import { sayDone, sayPlan } from './say.ts'

/** Restarts the members of the named hosts (none named: all), one at a time. `planOnly`: says what it would do. */
export async function restart(cluster: Cluster, names: string[], planOnly: boolean): Promise<void> {
  const hosts =
    names.length > 0 ? names.map((name) => hostNamed(cluster, name).name) : cluster.hosts.map(({ name }) => name)
  const role = { variables: { etcd_restart: hosts } }
  const guard = (): Promise<void> => requireHealthy(cluster, { allowDown: names.length > 0 ? hosts : [] })
  if (planOnly) {
    await guard()
    return sayPlan(cluster, 'restart', [
      ...(await withCopies(cluster, (copy) => etcdRole.plan(copy, role), authorityKeys(cluster))),
      'verify',
    ])
  }
  await runPipeline([
    { title: 'Check that the cluster can spare a member', task: guard },
    inOrder('Restart one member after the other', () => etcdRole.tasks(cluster, role)),
    inOrder('verify: prove that the cluster works', () => verify.tasks(cluster, verify.patiently)),
  ])
  sayDone(cluster, 'restart', `Restarted ${hosts.join(', ')}, one at a time; the cluster is verified.`, {
    restarted: hosts,
  })
}
