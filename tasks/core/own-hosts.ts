// Hosts that a person already has: as the configuration lists them, or from an Ansible inventory of their own.
import { isIP } from 'node:net'
import { requireAnsible } from './ansible.ts'
import { UsageError } from './errors.ts'
import { canonical, whyNoHosts } from './ip.ts'
import { ownAnsible, vaultHint, vaultWords } from './own-ansible.ts'
import { type Config, evenIsVain, isHostName, masterCounts, notHostName, template, unfitForSsh } from './schema.ts'
import { ask, shellWords } from './shell.ts'

type Listed = NonNullable<Config['hosts']>[number]
/** A host, and how ssh reaches it; what is not given is ssh's own default. `options`: lines of ssh_config(5). */
export type OwnHost = Omit<Listed, 'ssh'> & { ssh?: (Listed['ssh'] & { options?: string[] }) | undefined }

/** The groups of an inventory that may hold the masters: ours and the original's, else that of kubespray and others. */
const groups = ['role=master', 'etcd']
/** On a host, NAME.crt is the peer certificate of the host NAME; these are other certificates. */
const taken = ['ca', 'server', 'etcd-client']
/** To Ansible these are all hosts, those in no group, and this machine. */
const ofAnsible = ['all', 'ungrouped', 'localhost', '127.0.0.1', '::1']

/** @throws UsageError when the hosts cannot be the members of one cluster */
export function checkOwnHosts(hosts: OwnHost[], where: string): void {
  const even = hosts.length % 2 === 0 && hosts.length > 0 ? `: ${evenIsVain}` : ''
  if (!masterCounts.includes(hosts.length))
    throw new UsageError(`${where} must name 1, 3, 5, 7 or 9 hosts, not ${hosts.length}${even}.`)
  const unfit = hosts.find(({ name }) => taken.includes(name))
  if (unfit)
    throw new UsageError(
      `${where}: a host cannot be named ${unfit.name}: its peer certificate would be the file ` +
        `${unfit.name}.crt, which is another certificate.`,
    )
  const other = hosts.find(({ name }) => ofAnsible.includes(name))
  if (other)
    throw new UsageError(
      `${where}: a host cannot be named ${other.name}: to Ansible that name has a meaning of its own.`,
    )
  for (const { name, address } of hosts) {
    const why = whyNoHosts(address)
    if (why) throw new UsageError(`${where}: ${name} has the address ${address}, ${why}.`)
  }
  for (const [index, { name, address }] of hosts.entries()) {
    const before = hosts.slice(0, index)
    if (before.some((other) => other.name === name)) throw new UsageError(`${where} names ${name} twice.`)
    const other = before.find((one) => one.address === address)?.name
    if (other) throw new UsageError(`${where}: ${other} and ${name} have the same address ${address}.`)
  }
}

/**
 * The masters in a person's own inventory: of its group role=master, else etcd. Their addresses are private_ipv4 or
 * private_ipv6 or, where neither is set, ansible_host. How Ansible reaches them stays in that inventory.
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

export type Inventory = Groups & { _meta: { hostvars: Record<string, HostVars> } }

/** Pure. `configured`: what the person's ansible.cfg says where the inventory is silent. @throws UsageError */
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
  const address = text('private_ipv4', 'private_ipv6') ?? [host, name].find((candidate) => candidate && isIP(candidate))
  if (!address || !isIP(address))
    throw new UsageError(`${where} has no IP address: set private_ipv4 or private_ipv6 there.`)
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
    address: canonical(address),
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

/** The first of these variables that is set. @throws UsageError for a template: ansible-inventory evaluates none */
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

/** ssh's flags that say how a host is reached, as ssh_config(5) has them. What follows -o is such a line already. */
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
  const names = (rows: string[]): string => rows.map((one) => one.split(' ')[0]).join()
  const parts = [gone.length > 0 && `${gone.join(' and ')} went`, fresh.length > 0 && `${fresh.join(' and ')} came`]
  throw new UsageError(
    `The hosts of ${where} are not those that the cluster was made of: ${parts.filter(Boolean).join(', ')}.`,
    names(gone) === names(fresh)
      ? { hint: 'Put the list back as it was; or have the members move to their new addresses', verb: 'move' }
      : { hint: 'Put the list back as it was; or have hosts come and go, one at a time', verb: 'scale' },
  )
}
