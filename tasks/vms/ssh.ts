// Hosts that a person already has: nothing is brought up, and nothing but the role's files is changed on them.
import { existsSync } from 'node:fs'
import type { Cluster, Host } from '../core/cluster.ts'
import { failureOf, OperationError } from '../core/errors.ts'
import { readFileIfThere, writeFileIfChanged } from '../core/files.ts'
import { hostsInInventory, type OwnHost, refuseOtherHosts } from '../core/own-hosts.ts'
import { titled } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { shellQuoted } from '../core/shell.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { asRoot, blockOf, crashMember, memberPid, onHost, sshCheck, sshConnection, statesOf } from './over-ssh.ts'
import type { HostProvider, HostState } from './provider.ts'
import { sshConfig } from './ssh-config.ts'

export const ssh: HostProvider = {
  checks: () => [sshCheck],
  up: (cluster) => [titled('Note how the hosts are reached', () => noteHosts(cluster))],
  down: (cluster) => [titled('Remove etcd and its data from the hosts', (report) => removeEtcd(cluster, report))],
  remove: removeFromHost,
  states,
  // What a person's own inventory says stays there; Ansible reads it beside ours.
  connection: (cluster, host) =>
    cluster.own?.inventory && !isLeaving(cluster, host) ? {} : sshConnection(cluster, host),
  memberPid,
  shell: asRoot,
  crashMember,
}

/** On no list any more, though it is a member still: it is reached as it was before. */
const isLeaving = ({ hosts, wanted = hosts }: Cluster, { name }: Host): boolean =>
  wanted.every((host) => host.name !== name)

/** How the hosts are reached goes into the cluster's ssh-config. */
export async function noteHosts(cluster: Cluster): Promise<string> {
  const { sshConfig: file } = cluster.paths
  const before = readFileIfThere(file) ?? ''
  const leaving = cluster.hosts.filter((host) => isLeaving(cluster, host))
  const kept = leaving.flatMap(({ name }) => blockOf(before, name)?.concat('').join('\n') ?? [])
  writeFileIfChanged(file, sshConfig(await listedHosts(cluster), kept), 0o600)
  return `${cluster.hosts.length} hosts, ${cluster.hosts.map((host) => host.name).join(', ')}`
}

/** The hosts as they are listed now. @throws UsageError when those are no longer the cluster's */
async function listedHosts({ own, hosts, wanted }: Cluster): Promise<OwnHost[]> {
  if (!own?.inventory) return own?.hosts ?? hosts
  const listed = await hostsInInventory(own.inventory)
  if (!wanted) refuseOtherHosts(hosts, listed, own.inventory)
  return listed
}

/** The hosts stay; what the role put there goes, the data, too. */
async function removeEtcd(cluster: Cluster, report: (line: string) => void): Promise<string> {
  if (!existsSync(cluster.paths.inventory)) return 'etcd was never installed on the hosts'
  const failure = await failureOf(() => runPlaybook(cluster, { playbook: 'remove', onTask: report }))
  if (!failure) return `Removed etcd and its data from ${cluster.hosts.length} hosts; the hosts stay`
  if (cluster.formed) throw orForget(cluster, failure)
  run().warn(`Not every host could be looked at: ${failure.message}`)
  return 'etcd was never installed on the hosts, as far as this machine knows'
}

/** Hosts that are gone for good are cleaned by nobody, and must not keep a person from the rest. */
const orForget = ({ name, paths }: Cluster, { message, more }: OperationError): OperationError =>
  new OperationError(message, {
    ...more,
    hint: `${more.hint ? `${more.hint} ` : ''}If a host is gone for good, and etcd is removed from the others: \
move ${paths.state} aside, and ${name} is forgotten.`,
  })

/** A host that is gone for good cannot be cleaned, and need not be: the cluster goes on without it. */
async function removeFromHost(cluster: Cluster, host: Host): Promise<void> {
  const { name } = host
  // A host that was taken out of a person's own inventory is reached as it was when it came.
  const variables = cluster.own?.inventory ? { variables: sshConnection(cluster, host) } : {}
  const failure = await failureOf(() => runPlaybook(cluster, { playbook: 'remove', limit: [name], ...variables }))
  if (failure)
    run().warnings.push(
      `etcd and its data could not be removed from ${name}: ${failure.message} It is no member any more.`,
    )
}

async function states(cluster: Cluster): Promise<HostState[]> {
  const isSilent = async (host: Host): Promise<Host[]> =>
    existsSync(cluster.paths.sshConfig) && (await onHost(cluster, host, 'true')).exitCode === 0 ? [] : [host]
  return statesOf(cluster, (await Promise.all(cluster.hosts.map(isSilent))).flat())
}

/** Run on a host: prints the addresses that it has, then those that it reaches; who refuses a connection is there. */
const look = `import errno, json, socket, sys
def family(address): return socket.AF_INET6 if ":" in address else socket.AF_INET
def has(address):
    try: socket.socket(family(address)).bind((address, 0))
    except OSError: return False
    return True
def reaches(address):
    one = socket.socket(family(address))
    one.settimeout(3)
    return one.connect_ex((address, int(sys.argv[1]))) in (0, errno.ECONNREFUSED)
print(json.dumps({"has": list(filter(has, sys.argv[2:])), "reaches": list(filter(reaches, sys.argv[2:]))}))`

/** For each host, over ssh: which of these addresses it has, and which it reaches at this port. */
export async function addressesSeen(
  cluster: Cluster,
  addresses: string[],
  port: number,
): Promise<Record<string, { has: string[]; reaches: string[] }>> {
  const seen = cluster.hosts.map(async (host) => {
    const python = String(host.connection?.ansible_python_interpreter ?? 'python3')
    const words = [python, '-c', look, String(port), ...addresses].map(shellQuoted).join(' ')
    const { exitCode, stdout, stderr } = await onHost(cluster, host, words)
    if (exitCode !== 0)
      throw new OperationError(`${host.name} could not be asked over ssh for its addresses. Nothing was changed.`, {
        output: stderr,
        hint: 'Give it the address that is listed, beside the old one, and let ssh reach it; then run this again.',
      })
    return [host.name, JSON.parse(stdout)] as const
  })
  return Object.fromEntries(await Promise.all(seen))
}

/** Restarts a member's etcd over ssh, whatever state it is in. */
export async function restartMember(cluster: Cluster, host: Host): Promise<void> {
  const { exitCode, stderr } = await onHost(cluster, host, 'sudo systemctl restart --no-block etcd-member')
  if (exitCode !== 0) throw new OperationError(`The member on ${host.name} could not be restarted.`, { output: stderr })
}
