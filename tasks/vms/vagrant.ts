// Vagrant's hosts: machines of VirtualBox, Parallels or libvirt, or containers with systemd, all by one Vagrantfile.
import { existsSync, rmSync } from 'node:fs'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { titled } from '../core/pipeline.ts'
import { requireProgram } from '../core/programs.ts'
import { run } from '../core/run.ts'
import { ask, type Result, type ToolOptions, work } from '../core/shell.ts'
import { counted } from '../core/terminal.ts'
import { prepareDocker, removeFromDocker } from './docker.ts'
import {
  asRoot,
  crashMember,
  memberPid,
  silentHosts,
  sshConnection,
  statesOf,
  waitForHosts,
  writeSshConfig,
} from './over-ssh.ts'
import { addressesOf, type HostProvider } from './provider.ts'
import { vagrantChecks } from './vagrant-checks.ts'
import { isFlatcar, renderFolder, requireVagrant } from './vagrant-folder.ts'

/** How long a host may take to answer after Vagrant says that it is up, in ms. */
const answerTimeout = 60_000

export const vagrant: HostProvider = {
  checks: vagrantChecks,
  up: (cluster) => [
    titled(`Bring the hosts of ${cluster.name} up with Vagrant (${requireVagrant(cluster).provider})`, (report) =>
      bringUp(cluster, report),
    ),
  ],
  down: (cluster) => [titled(`Remove the hosts of ${cluster.name}`, (report) => remove(cluster, report))],
  remove: removeHost,
  states: async (cluster) => statesOf(cluster, await silentHosts(cluster)),
  // A host stays what it was made as, whatever box the configuration names since.
  connection: (cluster, host) => ({
    ...sshConnection(cluster, host),
    ...((host.connection ? host.connection.etcd_flatcar : isFlatcar(cluster)) && { etcd_flatcar: true }),
  }),
  memberPid,
  shell: asRoot,
  crashMember,
}

/** Brings up what does not answer. Hosts that all answer cost no call of Vagrant, which takes seconds to look. */
async function bringUp(cluster: Cluster, report: (line: string) => void): Promise<string> {
  const { provider } = requireVagrant(cluster)
  const count = hostsOf(cluster)
  const changed = renderFolder(cluster)
  if ((await silentHosts(cluster)).length === 0) {
    if (changed)
      run().warnings.push(
        `What Vagrant makes hosts of has changed; those of ${cluster.name} stay as they are until you make them again.`,
      )
    return `${count} are up at ${addressesOf(cluster)}`
  }
  if (provider === 'docker') await prepareDocker(cluster)
  await vagrantUp(cluster, report)
  report('vagrant ssh-config')
  await writeSshConfig(cluster, (await callVagrant(cluster, ['ssh-config'])).stdout)
  await waitForHosts(cluster, answerTimeout)
  run().changes.push('brought the hosts up')
  return `${count} brought up at ${addressesOf(cluster)}`
}

/**
 * With Docker, Vagrant asks for every container of the engine, anybody's (read_used_ports in its driver), and fails
 * where one has gone since they were listed. Called once more, it goes on from where it was.
 */
async function vagrantUp(cluster: Cluster, report: (line: string) => void): Promise<void> {
  const args = ['up', ...(isFlatcar(cluster) ? ['--provision-with', 'flatcar'] : ['--no-provision'])]
  let result = await runVagrant(cluster, args, { onLine: report })
  for (let more = 4; more > 0 && (await metGoneContainer(result)); more--)
    result = await runVagrant(cluster, args, { onLine: report })
  requireSuccess(args, result)
}

async function metGoneContainer({ exitCode, stderr }: Result): Promise<boolean> {
  const id = exitCode === 0 ? undefined : /"docker", "inspect", "([0-9a-f]{64})"/.exec(stderr)?.[1]
  return id !== undefined && (await ask('docker', ['container', 'inspect', id])).exitCode !== 0
}

const hostsOf = (cluster: Cluster): string => counted(cluster.hosts.length, `${requireVagrant(cluster).provider} host`)

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
  return there ? `Removed ${hostsOf(cluster)}` : "None of Vagrant's hosts was there"
}

async function removeHost(cluster: Cluster, host: Host): Promise<void> {
  renderFolder(cluster)
  await callVagrant(cluster, ['destroy', '--force', host.name])
  renderFolder({ ...cluster, hosts: cluster.hosts.filter((one) => one !== host) })
}

/** @throws OperationError */
async function callVagrant(cluster: Cluster, args: string[], options: ToolOptions = {}): Promise<Result> {
  return requireSuccess(args, await runVagrant(cluster, args, options))
}

/** Runs vagrant in the cluster's folder, whatever the person's VAGRANT_* say. */
function runVagrant(cluster: Cluster, args: string[], options: ToolOptions): Promise<Result> {
  const { vagrant: folder, state } = cluster.paths
  const env = {
    VAGRANT_CWD: folder,
    VAGRANT_VAGRANTFILE: 'Vagrantfile',
    VAGRANT_DOTFILE_PATH: '.vagrant',
    VAGRANT_CHECKPOINT_DISABLE: '1',
    VAGRANT_NO_COLOR: '1',
  }
  return work(requireProgram('vagrant'), args, { state, cwd: folder, env, ...options })
}

function requireSuccess(args: string[], result: Result): Result {
  if (result.exitCode === 0) return result
  const { log } = run()
  throw new OperationError(`vagrant ${args[0]} failed.`, {
    output: lastWords(result.stderr || result.stdout),
    hint: 'Correct what Vagrant says, then run the same command again: that run goes on from here.',
    ...(log && { log }),
  })
}

/** Without the empty lines and empty headings between which Vagrant quotes another program. */
const lastWords = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !/^\s*(Std(out|err):\s*|Run '.* --help'.*)?$/.test(line))
    .join('\n')
