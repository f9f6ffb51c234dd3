// Raising the revision of the one member that recover goes on from: its database, as etcd leaves it when it is stopped,
// restored under a new token. Nothing that the member took while it ran alone is missing in that.
import type { Begun, Cluster, Host } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { raiseFlags, restoreTool } from '../etcd/snapshot.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { isRaisingBy } from './recover-rules.ts'
import { newToken, raisedRevision, reachedBefore } from './revision.ts'

/** Once this is true, the member's data is staged on its host. */
export const isRaising = ({ begun }: Cluster): boolean => isRaisingBy(begun)

/** Up to a stopped member with raised data. Each step may be killed; `note` records what is to be gone on with. */
export function raiseTasks(cluster: Cluster, host: Host, note: (begun: Begun) => void): Task[] {
  return [
    {
      title: 'Stop it, and restore its database beside itself, its revision raised above all that clients have seen',
      task: async (_, task) => {
        const { begun, token } = await stage(cluster, host)
        task.title += ` (${begun.revision})`
        cluster.highestRevision = begun.revision
        cluster.etcd.token = token
        note(begun)
      },
    },
    {
      title: `Move the data of ${host.name} aside, and put the restored data in its place`,
      task: async () => {
        await etcdRole.prepare(cluster) // the inventory has the new token from now on, and the former ones
        await runPlaybook(cluster, { playbook: 'take-snapshot', limit: [host.name] })
        run().changes.push(`raised the revision of ${host.name}`)
      },
    },
  ]
}

/** What is staged already stays as it is. Raised by `raised`: what is written until etcd stops only adds to it. */
async function stage(cluster: Cluster, host: Host): Promise<{ begun: Begun; token: string }> {
  const { begun: before = { verb: 'recover' }, etcd } = cluster
  const raised = before.revision ?? raisedRevision(await reachedBefore(cluster), 0)
  const token = before.revision ? etcd.token : newToken(cluster, 'recovered')
  const formerTokens = before.revision ? before.formerTokens : [...(before.formerTokens ?? []), etcd.token]
  await runPlaybook(cluster, {
    playbook: 'stage-snapshot',
    limit: [host.name],
    variables: {
      etcd_doctor: false,
      etcd_snapshot_own: true,
      etcd_snapshot_tool: (await restoreTool(cluster)).program,
      etcd_snapshot_flags: raiseFlags(0, raised),
      etcd_cluster_token: token,
      etcd_former_tokens: formerTokens ?? [],
      etcd_without: cluster.hosts.map(({ name }) => name).filter((name) => name !== host.name),
    },
  })
  return { begun: { ...before, ...(formerTokens && { formerTokens }), revision: raised }, token }
}
