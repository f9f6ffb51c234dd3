// Hosts that are reached over ssh: the ssh-config that says how, whether they answer, and commands run on them.
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import type { Check } from '../core/check.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { readFileIfThere, writeFileIfChanged } from '../core/files.ts'
import { findProgram } from '../core/programs.ts'
import { clock, sleep } from '../core/run.ts'
import { ask, type Result, shellQuoted } from '../core/shell.ts'
import type { HostState } from './provider.ts'

/**
 * Writes .cluster/<cluster>/ssh-config from what `vagrant ssh-config` says. Hosts are reached at their own addresses,
 * since the ports that Vagrant forwards change places when machines are made again; only where those cannot be
 * reached from here (Docker Desktop) by the ports.
 */
export async function writeSshConfig(cluster: Cluster, fromVagrant: string): Promise<boolean> {
  const direct = (await Promise.all(cluster.hosts.map((host) => hasSshd(host.address)))).every(Boolean)
  const header =
    `# How the hosts of ${cluster.name} are reached: ssh -F ${shellQuoted(cluster.paths.sshConfig)} ` +
    `${cluster.hosts[0]?.name}\n`
  return writeFileIfChanged(cluster.paths.sshConfig, header + sshConfig(cluster, fromVagrant, direct), 0o600)
}

/** Each host goes by its name and its address; one that went away is noticed, and ssh's own words are heard. */
export function sshConfig(cluster: Cluster, fromVagrant: string, direct: boolean): string {
  const blocks = cluster.hosts.map((host) => {
    const block = blockOf(fromVagrant, host.name)
    if (!block) throw new OperationError(`Vagrant does not say how ${host.name} is reached.`, { output: fromVagrant })
    const kept = block.filter(
      (line) => !(direct ? /^\s*(Host|HostName|Port|LogLevel)\s/ : /^\s*(Host|LogLevel)\s/).test(line),
    )
    return [
      `Host ${host.name} ${host.address}`,
      ...(direct ? [`  HostName ${host.address}`] : []),
      ...kept,
      '  LogLevel ERROR',
      '  ServerAliveInterval 5',
      '  ServerAliveCountMax 3',
      '',
    ].join('\n')
  })
  return blocks.join('\n')
}

/** The lines about a host; undefined where there are none. */
export function blockOf(config: string, name: string): string[] | undefined {
  const blocks = config.split(/^(?=Host )/m).map((block) => block.split('\n').filter((line) => line.trim() !== ''))
  return blocks.find(([first = '']) => first.startsWith('Host ') && first.split(' ').includes(name))
}

/** Where ssh connects to for each host, by its ssh-config; undefined for a host that it does not have. */
function endpoint(config: string, host: Host): { address: string; port: number } | undefined {
  const block = blockOf(config, host.name)?.join('\n')
  const address = /^\s*HostName\s+(\S+)/m.exec(block ?? '')?.[1]
  return address ? { address, port: Number(/^\s*Port\s+(\d+)/m.exec(block ?? '')?.[1] ?? 22) } : undefined
}

/** The hosts that do not answer where ssh connects to. No ssh is started. */
export async function silentHosts(cluster: Cluster): Promise<Host[]> {
  const config = readFileIfThere(cluster.paths.sshConfig)
  if (config === undefined) return cluster.hosts
  const heard = await Promise.all(
    cluster.hosts.map(async (host) => {
      const at = endpoint(config, host)
      return at !== undefined && hasSshd(at.address, at.port)
    }),
  )
  return cluster.hosts.filter((_, index) => !heard[index])
}

/** Waits until every host answers. @throws OperationError naming one that does not within `ms` */
export async function waitForHosts(cluster: Cluster, ms: number): Promise<void> {
  for (const deadline = clock() + ms; ; await sleep(200)) {
    const [silent] = await silentHosts(cluster)
    if (!silent) return
    if (clock() > deadline)
      throw new OperationError(`${silent.name} is up, but no SSH server answers there.`, {
        hint:
          'See whether a firewall or a VPN of this machine takes that network. Or choose another network with ' +
          'subnet: in the configuration.',
      })
  }
}

/** Whether an SSH server greets there in time, two lost packets included: they are sent again after 1 and 2 s. */
export function hasSshd(address: string, port = 22): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: address, port, timeout: 4000 })
    const end = (answer: boolean): void => {
      socket.destroy()
      done(answer)
    }
    socket.once('data', (data: Buffer) => end(data.toString('latin1').startsWith('SSH-')))
    for (const event of ['error', 'timeout', 'close'] as const) socket.once(event, () => end(false))
  })
}

/**
 * How Ansible reaches a host. Ansible names its connections by address, port and user, and keeps each for a minute: by
 * a folder of its own a cluster never gets one to another cluster's host, which behind its jump host has that address.
 */
export const sshConnection = (cluster: Cluster, host: Host): NonNullable<Host['connection']> => ({
  ansible_connection: 'ssh',
  ansible_host: host.address,
  ansible_ssh_args: `-F ${shellQuoted(cluster.paths.sshConfig)} -o ControlMaster=auto -o ControlPersist=60s`,
  // Short, since a socket's path has at most 108 bytes.
  ansible_control_path_dir: `~/.ansible/cp/${fingerprint(cluster.paths.sshConfig)}`,
  ansible_python_interpreter: cluster.own?.hosts?.find(({ name }) => name === host.name)?.python ?? '/usr/bin/python3',
})

const fingerprint = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)

export const onHost = (cluster: Cluster, host: Host, command: string, input?: string): Promise<Result> =>
  ask('ssh', ['-F', cluster.paths.sshConfig, '-o', 'ConnectTimeout=10', host.name, command], {
    timeout: 60_000,
    ...(input !== undefined && { input }),
  })

/** A shell script, as root. */
export const asRoot = (cluster: Cluster, host: Host, script: string, input?: string): Promise<Result> =>
  onHost(cluster, host, `sudo sh -c ${shellQuoted(script)}`, input)

export async function memberPid(cluster: Cluster, host: Host): Promise<number | undefined> {
  return (
    Number((await onHost(cluster, host, 'systemctl show --property MainPID --value etcd-member')).stdout) || undefined
  )
}

export const statesOf = ({ hosts }: Cluster, silent: Host[]): HostState[] =>
  hosts.map((host) => ({
    name: host.name,
    address: host.address,
    up: !silent.includes(host),
    detail: silent.includes(host) ? 'does not answer' : 'answers',
  }))

export const sshCheck: Check = {
  title: 'Check ssh',
  look: async () =>
    findProgram('ssh') ?? {
      detail: 'ssh was not found.',
      remedy: 'Install the OpenSSH client (Debian: apt-get install openssh-client).',
    },
}

/**
 * Kills it first, as a crash would; then stops it, so that systemd does not start it again. A reinstalled host has no
 * such unit: then systemctl exits with 5 (systemctl(1)). On Flatcar the unit's processes are docker's client, and etcd
 * is in a container of that name (flatcar/scripts, etcd-wrapper); elsewhere there is none to kill.
 */
export async function crashMember(cluster: Cluster, host: Host): Promise<void> {
  const commands = [
    'docker kill etcd-member 2>/dev/null',
    'systemctl kill --signal SIGKILL etcd-member',
    'systemctl stop etcd-member || [ $? = 5 ]',
  ]
  const { exitCode, stderr } = await asRoot(cluster, host, commands.join('; '))
  if (exitCode !== 0) throw new OperationError(`The member on ${host.name} could not be stopped.`, { output: stderr })
}
