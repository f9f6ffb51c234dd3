// Hosts that a person already has: as the configuration lists them, or from an Ansible inventory of their own.
import { isIPv4 } from 'node:net'
import { requireAnsible } from './ansible.ts'
import { UsageError } from './errors.ts'
import { ownAnsible, vaultHint, vaultWords } from './own-ansible.ts'
import { isHostName, notHostName, template, unfitForSsh } from './schema.ts'
import { ask, shellWords } from './shell.ts'

/** How ssh reaches a host. Paths are absolute; what is not given is ssh's own default. */
export interface SshSettings {
  host?: string | undefined
  port?: number | undefined
  user?: string | undefined
  identityFile?: string | undefined
  knownHosts?: string | undefined
  jump?: string | undefined
  /** Further lines of ssh_config(5). */
  options?: string[] | undefined
}

export interface OwnHost {
  name: string
  address: string
  /** The Python that Ansible runs there, by its path. */
  python?: string | undefined
  ssh?: SshSettings | undefined
}

/**
 * The groups of an inventory that may hold the masters: ours (and the original's), else what kubespray and others call
 * it.
 */
const groups = ['role=master', 'etcd']
const counts = [1, 3, 5, 7, 9]
/** On a host, NAME.crt is the peer certificate of the host NAME; these are other certificates. */
const taken = ['ca', 'server', 'etcd-client']

/** @throws UsageError when the hosts cannot be the members of one cluster */
export function checkOwnHosts(hosts: OwnHost[], where: string): void {
  if (!counts.includes(hosts.length))
    throw new UsageError(
      `${where} must name 1, 3, 5, 7 or 9 hosts, not ` +
        `${hosts.length}${
          hosts.length % 2 === 0 && hosts.length > 0
            ? ': an even number tolerates no more failures than the odd number below it'
            : ''
        }.`,
    )
  const unfit = hosts.find(({ name }) => taken.includes(name))
  if (unfit)
    throw new UsageError(
      `${where}: a host cannot be named ${unfit.name}: its peer certificate would be the file ` +
        `${unfit.name}.crt, which is another one.`,
    )
  const nobody = hosts.find(({ address }) => !isUnicast(address))
  if (nobody) throw new UsageError(`${where}: ${nobody.address}, the address of ${nobody.name}, can be no host's.`)
  for (const key of ['name', 'address'] as const) {
    const twice = hosts.find((host, index) => hosts.findIndex((other) => other[key] === host[key]) !== index)
    if (!twice) continue
    const both = hosts.filter((host) => host[key] === twice[key]).map((host) => host.name)
    throw new UsageError(
      key === 'name'
        ? `${where} names ${twice.name} twice.`
        : `${where}: ${both.join(' and ')} have the same address ${twice.address}.`,
    )
  }
}

/**
 * The masters in a person's own inventory: of its group role=master, else etcd. Their addresses are private_ipv4 or,
 * where that is not set, ansible_host. How Ansible reaches them stays in that inventory.
 * @throws UsageError when the inventory cannot be read or does not name them
 */
export async function hostsInInventory(file: string): Promise<OwnHost[]> {
  const env = {
    ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS: 'ignore',
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_INVENTORY_UNPARSED_FAILED: 'true',
  }
  const program = await requireAnsible('ansible-inventory')
  const listing = ask(program, ['--inventory', file, '--list'], { env, timeout: 30_000 })
  const [{ stdout, stderr, exitCode }, configured] = await Promise.all([listing, ownAnsible()])
  if (exitCode !== 0)
    throw new UsageError(`The inventory ${file} cannot be read.`, {
      output: stderr,
      ...(vaultWords.test(stderr) && { hint: vaultHint }),
    })
  return hostsListed(JSON.parse(stdout) as Inventory, file, configured)
}

type HostVars = Record<string, unknown>
type Groups = Record<string, { hosts?: string[]; children?: string[] }>

/** What `ansible-inventory --list` prints. */
export type Inventory = Groups & { _meta: { hostvars: Record<string, HostVars> } }

/**
 * The masters in an inventory that was read. Pure.
 * @param configured what the person's ansible.cfg says where the inventory is silent
 * @throws UsageError
 */
export function hostsListed(inventory: Inventory, file: string, configured: Record<string, string>): OwnHost[] {
  const group = groups.find((name) => inventory[name])
  if (!group)
    throw new UsageError(
      `The inventory ${file} has no group ${groups.join(' or ')}: the cluster's hosts must be in one of them.`,
    )
  const hosts = membersOf(inventory, group).map((name) =>
    ownHost(name, inventory._meta.hostvars[name] ?? {}, file, configured),
  )
  checkOwnHosts(hosts, `The group ${group} of ${file}`)
  return hosts
}

function membersOf(inventory: Groups, group: string): string[] {
  const { hosts = [], children = [] } = inventory[group] ?? {}
  return [...new Set([...hosts, ...children.flatMap((child) => membersOf(inventory, child))])]
}

function ownHost(name: string, vars: HostVars, file: string, configured: Record<string, string>): OwnHost {
  const where = `${name} in ${file}`
  const text = (...keys: string[]): string | undefined => literal(vars, keys, where)
  const host = text('ansible_ssh_host', 'ansible_host')
  const address = text('private_ipv4') ?? [host, name].find((candidate) => candidate && isIPv4(candidate))
  if (!address || !isIPv4(address)) throw new UsageError(`${where} has no IPv4 address: set private_ipv4 there.`)
  if (!isHostName(name)) throw new UsageError(`${where} cannot be a member's name: it ${notHostName}.`)
  const user = text('ansible_ssh_user', 'ansible_user') ?? configured.ANSIBLE_REMOTE_USER
  const identityFile =
    text('ansible_ssh_private_key_file', 'ansible_private_key_file') ?? configured.ANSIBLE_PRIVATE_KEY_FILE
  for (const [key, value] of Object.entries({
    ansible_host: host,
    ansible_user: user,
    ansible_ssh_private_key_file: identityFile,
  }))
    requirePlain(value, `${where}: ${key}`)
  return {
    name,
    address,
    ssh: {
      host: host ?? name,
      port: Number(text('ansible_ssh_port', 'ansible_port')) || undefined,
      user,
      identityFile,
      options: ['ansible_ssh_common_args', 'ansible_ssh_extra_args'].flatMap((key) =>
        sshOptions(text(key) ?? '', `${where}: ${key}`),
      ),
    },
  }
}

/**
 * The first of these variables that is set.
 * @throws UsageError for a template: ansible-inventory does not evaluate any
 */
function literal(vars: HostVars, keys: string[], where: string): string | undefined {
  const key = keys.find((one) => typeof vars[one] === 'string' || typeof vars[one] === 'number')
  const value = key && String(vars[key])
  if (value && template.test(value))
    throw new UsageError(`${where}: ${key} is a template, which cannot be evaluated here: give its value literally.`)
  return value || undefined
}

/** A line of ssh_config(5) is made of it, and words of a command. @throws UsageError */
function requirePlain(value: string | undefined, where: string): void {
  const mistake = value?.startsWith('-') ? 'must not start with -' : unfitForSsh(value ?? '')
  if (mistake) throw new UsageError(`${where} ${mistake}, not ${JSON.stringify(value)}.`)
}

/**
 * ssh's flags that say how a host is reached, as ssh_config(5) has them. What follows -o is such a line already, and
 * must stay as it is.
 */
const sshFlags: Record<string, (value: string) => string> = {
  o: (value) => value.replaceAll('\n', ' '),
  i: (value) => `IdentityFile "${value}"`,
  J: (value) => `ProxyJump ${value}`,
  l: (value) => `User ${value}`,
  p: (value) => `Port ${value}`,
}

/** The lines of ssh_config(5) that arguments of ssh amount to. @throws UsageError where a quote is not closed */
function sshOptions(args: string, where: string): string[] {
  const words = shellWords(args)
  if (!words) throw new UsageError(`${where} has a quote that is not closed.`)
  const lines = words.flatMap((word, index) => {
    // Flags that take no value may stand before one that does: -qJbastion.
    const [, flag = '', value] = /^-[46AaCfGgKkMNnqsTtVvXxYy]*([oiJlp])(.*)$/s.exec(word) ?? []
    const given = value || words[index + 1]
    if (flag && flag !== 'o') requirePlain(given, `${where}: -${flag}`)
    return flag && given ? [sshFlags[flag]?.(given) ?? ''] : []
  })
  // a connection that is kept open would outlive what we start
  return lines.filter((line) => !/^\s*Control/i.test(line))
}

/** @throws UsageError when the inventory's hosts are no longer those the cluster was made of */
export function refuseOtherHosts(recorded: { name: string; address: string }[], now: OwnHost[], where: string): void {
  const row = ({ name, address }: { name: string; address: string }): string => `${name} (${address})`
  const gone = recorded.map(row).filter((one) => !now.map(row).includes(one))
  const fresh = now.map(row).filter((one) => !recorded.map(row).includes(one))
  if (gone.length + fresh.length === 0) return
  const parts = [
    ...(gone.length > 0 ? [`${gone.join(' and ')} went`] : []),
    ...(fresh.length > 0 ? [`${fresh.join(' and ')} came`] : []),
  ]
  throw new UsageError(`The hosts of ${where} are not those that the cluster was made of: ${parts.join(', ')}.`, {
    hint: 'Put the list back as it was. Members come and go one at a time',
    verb: 'scale --masters N',
  })
}

/** Whether one host may have this IPv4 address: those of 0.0.0.0/8, and from 224.0.0.0 on, are nobody's (RFC 6890). */
function isUnicast(address: string): boolean {
  const first = Number(address.split('.')[0])
  return first > 0 && first < 224
}
