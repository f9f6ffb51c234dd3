// What Docker's hosts need beside Vagrant: a network of their own, and no container that a killed run left behind.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { entriesIn } from '../core/files.ts'
import { ask } from '../core/shell.ts'
import { counted } from '../core/terminal.ts'
import { clusterLabel } from './vagrant-folder.ts'

/**
 * Makes the cluster's network, so that Vagrant finds it: one that Vagrant makes itself is removed by any other
 * Vagrantfile's `destroy` while its containers are stopped. Removes containers that Vagrant knows nothing of, since
 * they hold the hosts' addresses.
 * @throws OperationError where etcd was set up in such a container
 */
export async function prepareDocker(cluster: Cluster): Promise<void> {
  const label = clusterLabel(cluster)
  const known = knownContainers(cluster.paths.vagrant)
  const unknown = (await containers(label)).filter((id) => !known.includes(id))
  await refuseUsed(cluster, unknown)
  await removeContainers(unknown)
  if ((await ask('docker', ['network', 'inspect', label])).exitCode === 0) return
  await docker(
    `The network ${cluster.subnet} could not be made`,
    ['network', 'create', '--subnet', cluster.subnet, '--label', `ha-etcd=${label}`, label],
    'Choose another one with subnet: in the configuration.',
  )
}

/** A container that a killed run left has nothing of etcd yet; one that has may hold all there is of a cluster. */
async function refuseUsed(cluster: Cluster, ids: string[]): Promise<void> {
  const used = await Promise.all(
    ids.map(async (id) => (await ask('docker', ['cp', `${id}:/etc/ssl/etcd/ca.crt`, '-'])).exitCode === 0),
  )
  const count = used.filter(Boolean).length
  if (count > 0)
    throw new OperationError(
      `Docker has ${counted(count, 'host')} of ${cluster.name} with etcd, which ` +
        `${cluster.paths.vagrant} does not know. They were not changed.`,
      {
        hint:
          `Put ${cluster.paths.state} and ${cluster.paths.certs} back from a copy. Or remove the hosts ` +
          `with their data: ${command(cluster, 'down')}`,
      },
    )
}

/** Removes every container of the cluster, known to Vagrant or not, and its network. */
export async function removeFromDocker(cluster: Cluster): Promise<void> {
  const label = clusterLabel(cluster)
  await removeContainers(await containers(label))
  if ((await ask('docker', ['network', 'inspect', label])).exitCode === 0)
    await docker(`The network ${label} could not be removed`, ['network', 'rm', label])
}

async function containers(label: string): Promise<string[]> {
  const filter = ['--filter', `label=ha-etcd=${label}`]
  const ids = await docker('The containers could not be listed', ['ps', '--all', '--quiet', '--no-trunc', ...filter])
  return ids.split('\n').filter(Boolean)
}

async function removeContainers(ids: string[]): Promise<void> {
  if (ids.length > 0)
    await docker('Containers of the cluster could not be removed', ['rm', '--force', '--volumes', ...ids])
}

function knownContainers(folder: string): string[] {
  const machines = join(folder, '.vagrant/machines')
  const files = entriesIn(machines).map((name) => join(machines, name, 'docker/id'))
  return files.filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8').trim())
}

async function docker(failure: string, args: string[], hint?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await ask('docker', args, { timeout: 60_000 })
  if (exitCode !== 0) throw new OperationError(`${failure}.`, { output: stderr, ...(hint && { hint }) })
  return stdout
}
