// Vagrant's hosts: machines of VirtualBox, Parallels or libvirt, or containers with systemd, all by one Vagrantfile.
import { existsSync, rmSync } from 'node:fs'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { requireProgram } from '../core/programs.ts'
import { run } from '../core/run.ts'
import { type Result, type ToolOptions, work } from '../core/shell.ts'
import { prepareDocker, removeFromDocker } from './docker.ts'
import { crashMember, memberPids, silentHosts, sshConnection, waitForHosts, writeSshConfig } from './over-ssh.ts'
import type { HostProvider, HostState } from './provider.ts'
import { vagrantChecks } from './vagrant-checks.ts'
import { isFlatcar, renderFolder, requireVagrant } from './vagrant-folder.ts'

/** How long a host may take to answer after Vagrant says that it is up, in ms. */
const answerTimeout = 60_000

export const vagrant: HostProvider = {
  checks: vagrantChecks,
  up: (cluster) => [
    {
      title: `Bring the hosts of ${cluster.name} up with Vagrant (${requireVagrant(cluster).provider})`,
      task: async (_, task) => void (task.title = await bringUp(cluster, (line) => void (task.output = line))),
    },
  ],
  down: (cluster) => [
    {
      title: `Remove the hosts of ${cluster.name}`,
      task: async (_, task) => void (task.title = await remove(cluster, (line) => void (task.output = line))),
    },
  ],
  remove: removeHost,
  states,
  // A host stays what it was made as, whatever box the configuration names since.
  connection: (cluster, host) => ({
    ...sshConnection(cluster, host),
    ...((host.connection ? host.connection.etcd_flatcar : isFlatcar(cluster)) && { etcd_flatcar: true }),
  }),
  memberPids,
  crashMember,
}

/** Brings up what does not answer. Hosts that all answer cost no call of Vagrant, which takes seconds to look. */
async function bringUp(cluster: Cluster, report: (line: string) => void): Promise<string> {
  const { provider } = requireVagrant(cluster)
  const count = counted(cluster)
  const where = `${cluster.hosts[0]?.address}${cluster.hosts.length > 1 ? ` to ${cluster.hosts.at(-1)?.address}` : ''}`
  const changed = renderFolder(cluster)
  if ((await silentHosts(cluster)).length === 0) {
    if (changed)
      run().warnings.push(
        `What Vagrant makes hosts of has changed; those of ${cluster.name} stay as they are until they are made anew.`,
      )
    return `${count} are up at ${where}`
  }
  if (provider === 'docker') await prepareDocker(cluster)
  await callVagrant(cluster, ['up', ...(isFlatcar(cluster) ? ['--provision-with', 'flatcar'] : ['--no-provision'])], {
    onLine: report,
  })
  report('vagrant ssh-config')
  await writeSshConfig(cluster, (await callVagrant(cluster, ['ssh-config'])).stdout)
  await waitForHosts(cluster, answerTimeout)
  run().changes.push('brought the hosts up')
  return `${count} brought up at ${where}`
}

const counted = (cluster: Cluster): string =>
  `${cluster.hosts.length} ${requireVagrant(cluster).provider} ${cluster.hosts.length === 1 ? 'host' : 'hosts'}`

/** Destroys the machines with their data, and then forgets them. */
async function remove(cluster: Cluster, report: (line: string) => void): Promise<string> {
  const { vagrant: folder, sshConfig } = cluster.paths
  const there = existsSync(folder)
  if (there) {
    renderFolder(cluster) // what a killed run left may be half of it
    await callVagrant(cluster, ['destroy', '--force'], { onLine: report })
  }
  if (requireVagrant(cluster).provider === 'docker') await removeFromDocker(cluster)
  for (const path of [folder, sshConfig]) rmSync(path, { recursive: true, force: true })
  return there ? `Removed ${counted(cluster)}` : "None of Vagrant's hosts was there"
}

async function removeHost(cluster: Cluster, host: Host): Promise<void> {
  renderFolder(cluster)
  await callVagrant(cluster, ['destroy', '--force', host.name])
  renderFolder({ ...cluster, hosts: cluster.hosts.filter((one) => one !== host) })
}

/**
 * Runs vagrant in the cluster's folder, whatever the person's own VAGRANT_* say of another.
 * @throws OperationError with Vagrant's last words
 */
async function callVagrant(cluster: Cluster, args: string[], options: ToolOptions = {}): Promise<Result> {
  const { vagrant: folder, state } = cluster.paths
  const env = {
    VAGRANT_CWD: folder,
    VAGRANT_VAGRANTFILE: 'Vagrantfile',
    VAGRANT_DOTFILE_PATH: '.vagrant',
    VAGRANT_CHECKPOINT_DISABLE: '1',
    VAGRANT_NO_COLOR: '1',
  }
  const result = await work(requireProgram('vagrant'), args, { state, cwd: folder, env, ...options })
  const { log } = run()
  if (result.exitCode !== 0)
    throw new OperationError(`vagrant ${args[0]} failed.`, {
      output: lastWords(result.stderr || result.stdout),
      hint: 'Put right what it says, then run the same command again: it goes on from here.',
      ...(log && { log }),
    })
  return result
}

/** Without the empty lines and headings between which Vagrant quotes another program. */
const lastWords = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !/^\s*(Std(out|err):.*|Run '.* --help'.*)?$/.test(line))
    .join('\n')

async function states(cluster: Cluster): Promise<HostState[]> {
  const silent = await silentHosts(cluster)
  return cluster.hosts.map((host) => ({
    name: host.name,
    address: host.address,
    up: !silent.includes(host),
    detail: silent.includes(host) ? 'does not answer' : 'answers',
  }))
}
