// What phase doctor does beyond this machine when it is run alone: it looks at the hosts, and changes nothing there.
import { withCopies } from './copies.ts'
import type { Cluster } from './core/cluster.ts'
import { inOrder, type Task } from './core/pipeline.ts'
import { checkTheHosts } from './etcd-role/index.ts'
import * as pki from './pki/index.ts'
import * as vms from './vms/index.ts'

/**
 * In `up` these are not needed: the role itself makes the same checks before it changes anything.
 * Certificates that are still to be made are made in a copy, so that hosts can be looked at before the first `up`.
 */
export function hostTasks(cluster: Cluster): Task[] {
  if (cluster.provider === 'local') return []
  const look: Task = {
    title: 'Check the hosts',
    skip: () => (cluster.hosts.every((host) => host.connection) ? false : 'the hosts are not up yet'),
    rendererOptions: { persistentOutput: true, outputBar: Number.POSITIVE_INFINITY },
    task: (_, task) =>
      withCopies(cluster, async (copy) => {
        await pki.plan(copy)
        const say = (text: string): void => void (task.output = text)
        await checkTheHosts(copy, say, say)
      }),
  }
  return cluster.provider === 'ssh'
    ? [inOrder('vms: note how the hosts are reached', () => vms.tasks(cluster)), look]
    : [look]
}
