// Hosts that a person already has: as the configuration lists them, or from an Ansible inventory of their own.
import { isIPv4 } from 'node:net'
import { UsageError } from './errors.ts'
import { requireProgram } from './programs.ts'
import { ask } from './shell.ts'

/** How ssh reaches a host. Paths are absolute; what is not given is ssh's own default. */
export interface SshSettings {
  host?: string | undefined
  port?: number | undefined
  user?: string | undefined
  identityFile?: string | undefined
  knownHosts?: string | undefined
  jump?: string | undefined
}

export interface OwnHost {
  name: string
  address: string
  ssh?: SshSettings | undefined
}

/** The groups of an inventory that may hold the masters: ours (and the original's), else what kubespray and others call it. */
const groups = ['role=master', 'etcd']
const counts = [1, 3, 5, 7, 9]

/** @throws UsageError when the hosts cannot be the members of one cluster */
export function checkOwnHosts(hosts: OwnHost[], where: string): void {
  if (!counts.includes(hosts.length))
    throw new UsageError(
      `${where} must name 1, 3, 5, 7 or 9 hosts, not ${hosts.length}${hosts.length % 2 === 0 && hosts.length > 0 ? ': an even number tolerates no more failures than the odd number below it' : ''}.`,
    )
  for (const key of ['name', 'address'] as const) {
    const twice = hosts.find((host, index) => hosts.findIndex((other) => other[key] === host[key]) !== index)
    if (!twice) continue
    const both = hosts.filter((host) => host[key] === twice[key]).map((host) => host.name)
    throw new UsageError(key === 'name' ? `${where} names ${twice.name} twice.` : `${where}: ${both.join(' and ')} have the same address ${twice.address}.`)
  }
}

/**
 * The masters in a person's own inventory: of its group role=master, else etcd. Their addresses are private_ipv4 or,
 * where that is not set, ansible_host. How Ansible reaches them stays in that inventory.
 * @throws UsageError when the inventory cannot be read or does not name them
 */
export async function hostsInInventory(file: string): Promise<OwnHost[]> {
  const { stdout, stderr, exitCode } = await ask(requireProgram('ansible-inventory'), ['--inventory', file, '--list'], {
    env: { ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS: 'ignore', ANSIBLE_NOCOLOR: '1', ANSIBLE_INVENTORY_UNPARSED_FAILED: 'true' },
    timeout: 30_000,
  })
  if (exitCode !== 0) throw new UsageError(`The inventory ${file} cannot be read.`, { output: stderr })
  const inventory = JSON.parse(stdout) as Record<string, { hosts?: string[]; children?: string[] }> & { _meta: { hostvars: Record<string, HostVars> } }
  const group = groups.find((name) => inventory[name])
  if (!group) throw new UsageError(`The inventory ${file} has no group ${groups.join(' or ')}: the cluster's hosts must be in one of them.`)
  const hosts = membersOf(inventory, group).map((name) => ownHost(name, inventory._meta.hostvars[name] ?? {}, file))
  checkOwnHosts(hosts, `The group ${group} of ${file}`)
  return hosts
}

type HostVars = Record<string, unknown>

function membersOf(inventory: Record<string, { hosts?: string[]; children?: string[] }>, group: string): string[] {
  const { hosts = [], children = [] } = inventory[group] ?? {}
  return [...new Set([...hosts, ...children.flatMap((child) => membersOf(inventory, child))])]
}

function ownHost(name: string, vars: HostVars, file: string): OwnHost {
  const text = (key: string): string | undefined => (typeof vars[key] === 'string' || typeof vars[key] === 'number' ? String(vars[key]) : undefined)
  const address = text('private_ipv4') ?? [text('ansible_host'), name].find((candidate) => candidate && isIPv4(candidate))
  if (!address || !isIPv4(address)) throw new UsageError(`${name} in ${file} has no IPv4 address: set private_ipv4 there.`)
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) throw new UsageError(`${name} in ${file} cannot be a member's name: it must be lower-case letters, digits and dashes.`)
  const options = `${text('ansible_ssh_common_args') ?? ''} ${text('ansible_ssh_extra_args') ?? ''}`
  return {
    name,
    address,
    ssh: {
      host: text('ansible_host') ?? name,
      port: Number(text('ansible_port')) || undefined,
      user: text('ansible_user'),
      identityFile: text('ansible_ssh_private_key_file'),
      knownHosts: /UserKnownHostsFile[= ](\S+)/.exec(options)?.[1],
      jump: /(?:-J |ProxyJump[= ])(\S+)/.exec(options)?.[1],
    },
  }
}

/** @throws UsageError when the inventory's hosts are no longer those the cluster was made of */
export function refuseOtherHosts(recorded: { name: string; address: string }[], now: OwnHost[], where: string): void {
  const row = ({ name, address }: { name: string; address: string }): string => `${name} (${address})`
  const gone = recorded.map(row).filter((one) => !now.map(row).includes(one))
  const fresh = now.map(row).filter((one) => !recorded.map(row).includes(one))
  if (gone.length + fresh.length === 0) return
  const parts = [...(gone.length > 0 ? [`${gone.join(' and ')} went`] : []), ...(fresh.length > 0 ? [`${fresh.join(' and ')} came`] : [])]
  throw new UsageError(`The hosts of ${where} are not those that the cluster was made of: ${parts.join(', ')}.`, {
    hint: 'Members come and go one at a time, which npx zx scripts/scale.ts does. Or put the list back as it was.',
  })
}
