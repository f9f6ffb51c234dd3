// Raising the revision of the one member that recover goes on from: its data, as a snapshot, restored under a new
// token.
import { chmodSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Begun, Cluster, Host } from '../core/cluster.ts'
import type { Task } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { saveSnapshot } from '../etcd/maintenance.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { raiseFlags, readSnapshot, restoreTool } from '../etcd/snapshot.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { newToken, raisedRevision, reachedBefore } from './revision.ts'

const snapshotOf = ({ paths }: Cluster): string => join(paths.state, 'recovered.db')

/** Once this is true, the member's data is staged on its host, and its snapshot is kept here. */
export const isRaising = ({ begun }: Cluster): boolean =>
  begun?.verb === 'recover' && begun.from !== undefined && begun.revision !== undefined

/** Up to a stopped member with raised data. Each step may be killed; `note` records what is to be gone on with. */
export function raiseTasks(cluster: Cluster, host: Host, note: (begun: Begun) => void): Task[] {
  const isStaged = isRaising(cluster)
  return [
    {
      title: `Save the data of ${host.name} as a snapshot`,
      skip: () => isStaged && 'an earlier run did',
      task: async () => {
        rmSync(snapshotOf(cluster), { force: true }) // what a killed run left
        await saveSnapshot(cluster, host.clientURL, snapshotOf(cluster))
        chmodSync(snapshotOf(cluster), 0o600)
      },
    },
    {
      title: 'Restore it beside the data, its revision raised above all that clients have seen',
      task: async (_, task) => {
        const { begun, token } = await stage(cluster, host)
        task.title += ` (${begun.revision})`
        cluster.highestRevision = begun.revision
        cluster.etcd.token = token
        note(begun)
      },
    },
    {
      title: `Stop ${host.name}, move its data aside, and put the restored data in its place`,
      task: async () => {
        await etcdRole.prepare(cluster) // the inventory has the new token from now on, and the former ones
        await runPlaybook(cluster, { playbook: 'take-snapshot', limit: [host.name] })
        run().changes.push(`raised the revision of ${host.name}`)
      },
    },
  ]
}

/** The snapshot is needed no more. */
export const forgetSnapshot = (cluster: Cluster): void => rmSync(snapshotOf(cluster), { force: true })

/** Nothing that runs is touched; what is staged already stays as it is. */
async function stage(cluster: Cluster, host: Host): Promise<{ begun: Begun; token: string }> {
  const { begun: before = { verb: 'recover' }, etcd } = cluster
  const { revision } = await readSnapshot(cluster, snapshotOf(cluster))
  const raised = before.revision ?? raisedRevision(await reachedBefore(cluster), revision)
  const token = before.revision ? etcd.token : newToken(cluster, 'recovered')
  const formerTokens = before.revision ? before.formerTokens : [...(before.formerTokens ?? []), etcd.token]
  await runPlaybook(cluster, {
    playbook: 'stage-snapshot',
    limit: [host.name],
    variables: {
      etcd_doctor: false,
      etcd_snapshot: snapshotOf(cluster),
      etcd_snapshot_tool: (await restoreTool(cluster)).program,
      etcd_snapshot_flags: raiseFlags(revision, raised),
      etcd_cluster_token: token,
      etcd_former_tokens: formerTokens ?? [],
      etcd_without: cluster.hosts.map(({ name }) => name).filter((name) => name !== host.name),
    },
  })
  return { begun: { ...before, ...(formerTokens && { formerTokens }), revision: raised }, token }
}
