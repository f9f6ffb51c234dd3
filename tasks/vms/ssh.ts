// Hosts that are reached over ssh: the ssh-config that says how, whether they answer, and commands run on them.
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { quote } from 'zx'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { writeFileIfChanged } from '../core/files.ts'
import { sleep } from '../core/run.ts'
import { ask, type Result } from '../core/shell.ts'

/**
 * Writes .cluster/<cluster>/ssh-config: the user and the key are what `vagrant ssh-config` says. Each host goes by its
 * name and its address, and is reached at that address: the ports that Vagrant forwards change places when machines are
 * made anew. A connection whose host went away is noticed, and ssh's own words are heard.
 */
export function writeSshConfig(cluster: Cluster, fromVagrant: string): boolean {
  const header = `# How the hosts of ${cluster.name} are reached: ssh -F ${quote(cluster.paths.sshConfig)} ${cluster.hosts[0]?.name}\n`
  return writeFileIfChanged(cluster.paths.sshConfig, header + sshConfig(cluster, fromVagrant), 0o600)
}

export function sshConfig(cluster: Cluster, fromVagrant: string): string {
  const blocks = cluster.hosts.map((host) => {
    const block = blockOf(fromVagrant, host.name)
    if (!block) throw new OperationError(`Vagrant does not say how ${host.name} is reached.`, { output: fromVagrant })
    const kept = block.filter((line) => !/^\s*(Host|HostName|Port|LogLevel)\s/.test(line))
    return [`Host ${host.name} ${host.address}`, `  HostName ${host.address}`, ...kept, '  LogLevel ERROR', '  ServerAliveInterval 5', '  ServerAliveCountMax 3', ''].join('\n')
  })
  return blocks.join('\n')
}

/** The lines of one host, the first of which names it. */
function blockOf(config: string, name: string): string[] | undefined {
  const blocks = config.split(/^(?=Host )/m).map((block) => block.split('\n').filter((line) => line.trim() !== ''))
  return blocks.find(([first = '']) => first.startsWith('Host ') && first.split(' ').includes(name))
}

/** The hosts that do not answer at their address. No ssh is started. */
export async function silentHosts(cluster: Cluster): Promise<Host[]> {
  if (!existsSync(cluster.paths.sshConfig)) return cluster.hosts
  const heard = await Promise.all(cluster.hosts.map((host) => hasSshd(host.address)))
  return cluster.hosts.filter((_, index) => !heard[index])
}

/** Waits until every host answers. @throws OperationError naming one that does not within `ms` */
export async function waitForHosts(cluster: Cluster, ms: number): Promise<void> {
  for (const deadline = Date.now() + ms; ; await sleep(200)) {
    const [silent] = await silentHosts(cluster)
    if (!silent) return
    if (Date.now() > deadline)
      throw new OperationError(`${silent.name} is up, but does not answer at ${silent.address} (port 22).`, {
        hint: 'Look whether a firewall or a VPN of this machine takes that network; another one is chosen with subnet: in the configuration.',
      })
  }
}

/** Whether an SSH server greets there within 2 s. */
export function hasSshd(address: string, port = 22): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: address, port, timeout: 2000 })
    const end = (answer: boolean): void => {
      socket.destroy()
      done(answer)
    }
    socket.once('data', (data: Buffer) => end(data.toString('latin1').startsWith('SSH-')))
    for (const event of ['error', 'timeout', 'close'] as const) socket.once(event, () => end(false))
  })
}

/** The inventory variables with which Ansible reaches a host. Its address makes the name of Ansible's control socket the cluster's own. */
export const sshConnection = (cluster: Cluster, host: Host): NonNullable<Host['connection']> => ({
  ansible_connection: 'ssh',
  ansible_host: host.address,
  ansible_ssh_args: `-F ${posixQuoted(cluster.paths.sshConfig)} -o ControlMaster=auto -o ControlPersist=60s`,
  ansible_python_interpreter: '/usr/bin/python3',
})

/** Ansible splits its ssh_args as a POSIX shell would, which does not know zx's $'…'. */
const posixQuoted = (word: string): string => (/^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** Runs a command on a host. Returns what it printed, whatever its exit code. */
export const onHost = (cluster: Cluster, host: Host, command: string): Promise<Result> =>
  ask('ssh', ['-F', cluster.paths.sshConfig, '-o', 'ConnectTimeout=10', host.name, command], { timeout: 60_000 })
