// Phase vms: the cluster's hosts, up and known to Ansible.
import { canListen } from '../core/addresses.ts'
import type { Check } from '../core/check.ts'
import { type Cluster, type Host, ownHosts } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import type { Task } from '../core/pipeline.ts'
import { type ProviderName, recordCluster } from '../core/record.ts'
import { run, sleep } from '../core/run.ts'
import { local } from './local.ts'
import type { HostProvider, HostState } from './provider.ts'
import { noteHosts, ssh } from './ssh.ts'
import { vagrant } from './vagrant.ts'

export { addressesSeen, restartMember } from './ssh.ts'

const providers: Record<ProviderName, HostProvider> = { local, vagrant, ssh }

/** The cluster with the hosts that are ours to work on. */
const ours = (cluster: Cluster): Cluster => ({ ...cluster, hosts: ownHosts(cluster) })

export const checks = (cluster: Cluster): Check[] => providers[cluster.provider].checks(ours(cluster))

/** Brings the hosts up and records how Ansible reaches them. */
export function tasks(cluster: Cluster): Task[] {
  const provider = providers[cluster.provider]
  return [
    ...provider.up(ours(cluster)),
    {
      title: 'Record how the hosts are reached',
      task: async () => {
        for (const host of ownHosts(cluster)) host.connection = provider.connection(cluster, host)
        recordCluster(cluster)
        run().report.hosts = await provider.states(ours(cluster))
      },
    },
  ]
}

/** How the hosts are reached, for a look at hosts that are on no record yet: it goes into the cluster's ssh-config. */
export async function note(cluster: Cluster): Promise<void> {
  await noteHosts(cluster)
  for (const host of cluster.hosts) host.connection = ssh.connection(cluster, host)
}

export const states = (cluster: Cluster): Promise<HostState[]> => providers[cluster.provider].states(ours(cluster))

export async function plan(cluster: Cluster): Promise<string[]> {
  const unknown = ownHosts(cluster)
    .filter(({ connection }) => !connection)
    .map(({ name }) => name)
  const down = (await states(cluster)).filter(({ name, up }) => !up || unknown.includes(name))
  return [
    ...down.map(({ name, address }) => `bring ${name} up at ${address}`),
    ...(await unkept(cluster)).map(({ name }) => `start the keeper of ${name}, which is gone`),
  ]
}

const unkept = async (cluster: Cluster): Promise<Host[]> =>
  (await providers[cluster.provider].unkept?.(ours(cluster))) ?? []

/** Members that nobody would start again, in a sentence with the command that helps; '' where there is none. */
export async function keeperWarning(cluster: Cluster): Promise<string> {
  const names = (await unkept(cluster)).map(({ name }) => name)
  if (names.length === 0) return ''
  const whose = names.length === 1 ? 'its member' : 'their members'
  const gone = `${names.join(' and ')}: the keeper is gone, and nothing would start ${whose} again.`
  return `${gone} Start it: ${command(cluster, 'up')}`
}

/** What every verb that writes does first: keepers that are gone are started. A running member is not touched. */
export async function mendKeepers(cluster: Cluster): Promise<void> {
  const provider = providers[cluster.provider]
  const done = (await provider.mend?.(ours(cluster))) ?? []
  if (done.length === 0) return
  for (const host of ownHosts(cluster)) host.connection = provider.connection(cluster, host)
  recordCluster(cluster)
  // A member that was started with its keeper needs a moment before anybody judges it.
  const listening = async (): Promise<boolean> =>
    (await Promise.all(ownHosts(cluster).map(({ address }) => canListen(address, cluster.etcd.clientPort)))).every(
      (answer) => answer === 'EADDRINUSE',
    )
  for (let waited = 0; waited < 5000 && !(await listening()); waited += 100) await sleep(100)
}

export const downTasks = (cluster: Cluster): Task[] => providers[cluster.provider].down(ours(cluster))

/** Stops one host, which is no longer a member, and removes it with its data. */
export const removeHost = (cluster: Cluster, host: Host): Promise<void> =>
  providers[cluster.provider].remove(ours(cluster), host)

export async function memberPids(cluster: Cluster): Promise<Record<string, number>> {
  const pid = (host: Host): Promise<number | undefined> => providers[cluster.provider].memberPid(cluster, host)
  const pids = await Promise.all(ownHosts(cluster).map(async (host) => [host.name, await pid(host)] as const))
  return Object.fromEntries(pids.flatMap(([name, pid]) => (pid ? [[name, pid]] : [])))
}

/** Runs a shell script on a host with the rights that its etcd has. @returns what it printed @throws OperationError */
export async function shell(cluster: Cluster, host: Host, script: string, input?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await providers[cluster.provider].shell(cluster, host, script, input)
  if (exitCode !== 0) throw new OperationError(`A script failed on ${host.name}.`, { output: stderr || stdout })
  return stdout
}

/** Kills a host's member as a crash would, and keeps it down. */
export const crashMember = (cluster: Cluster, host: Host): Promise<void> =>
  providers[cluster.provider].crashMember(cluster, host)
