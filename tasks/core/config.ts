// The settings of a run: cluster.yaml, the environment and the flags as one, checked together; and the defaults.
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { type Document, parseDocument } from 'yaml'
import { defaultCluster } from './command.ts'
import { home, projectFolder, settingsFromEnvironment } from './environment.ts'
import { UsageError } from './errors.ts'
import type { Flags } from './flags.ts'
import { prefixOf, whyNoHosts } from './ip.ts'
import { checkOwnHosts } from './own-hosts.ts'
import { type Config, type EtcdSource, type KeyAlgorithm, keysAt, providers, schema, unfit } from './schema.ts'
import { didYouMean, suggest } from './suggest.ts'

/** Everything that was asked for, before recorded state and defaults fill the gaps. */
export interface Settings {
  asked: Config
  configFile: string | undefined
}

/** Flags, then environment, then file. `configOf`: the file that a cluster was made with. @throws UsageError */
export function loadSettings(
  flags: Flags,
  configOf: (cluster: string) => string | undefined = () => undefined,
): Settings {
  const environment = settingsFromEnvironment()
  requireFit(home(), 'The folder of certs/ and .cluster/ (HA_ETCD_HOME)')
  const given = (flags.config as string | undefined) ?? environment.config
  const named = (flags.cluster as string | undefined) ?? environment.cluster
  const { config, file } = readConfig(given ?? configOf(named ?? defaults.cluster))
  const { boxVersion, mirror, ...words } = environment
  const asked: Config = {
    ...config,
    ...(mirror && { etcd: { ...config.etcd, ...validate({ etcd: { mirror } }, () => 'HA_ETCD_MIRROR').etcd } }),
    ...(boxVersion && { vagrant: { ...config.vagrant, boxVersion } }),
    ...fromWords(words, (name) => `HA_ETCD_${name.toUpperCase()}`),
    ...fromWords({ cluster: flags.cluster, provider: flags.provider, masters: flags.masters }, (name) => `--${name}`),
  }
  checkTogether(asked)
  return { asked, configFile: file }
}

function readConfig(given: string | undefined): { config: Config; file: string | undefined } {
  const file = given ? resolve(given) : join(home(), 'cluster.yaml')
  requireFit(file, 'The path of the configuration file')
  if (!given && !existsSync(file)) return { config: {}, file: undefined }
  let source: string
  try {
    source = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`The configuration file ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
  const document = parseDocument(source)
  const mistake = document.errors[0]
  if (mistake?.code === 'MULTIPLE_DOCS')
    throw new UsageError(`${file} is not valid YAML: it has several documents, parted by ---, and must be one.`)
  if (mistake) throw new UsageError(`${file} is not valid YAML: ${mistake.message.split('\n')[0]?.replace(/:$/, '')}.`)
  const config = validate(contentOf(document, file) ?? {}, (path) => `${file}: ${path || 'the file'}`)
  // A folder is meant from where the file lies, whatever folder the script is run in.
  const fromThere = (path: string): string => resolve(dirname(file), path.replace(/^~(?=\/|$)/, homedir()))
  const { etcd } = config
  if (typeof etcd?.binaries === 'string') etcd.binaries = fromThere(etcd.binaries)
  else if (etcd?.binaries)
    etcd.binaries = Object.fromEntries(Object.entries(etcd.binaries).map(([key, path]) => [key, fromThere(path)]))
  if (config.inventory) config.inventory = fromThere(config.inventory)
  for (const { ssh } of config.hosts ?? [])
    for (const key of ['identityFile', 'knownHosts'] as const) if (ssh?.[key]) ssh[key] = fromThere(ssh[key])
  return { config, file }
}

/** Paths reach the inventory, too. @throws UsageError */
function requireFit(path: string, what: string): void {
  const mistake = unfit(path)
  if (mistake) throw new UsageError(`${what} ${mistake}, not ${JSON.stringify(path)}.`)
}

/** Aliases are resolved only now: one that stands for nothing, or for far too much, is found here. */
function contentOf(document: Document, file: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw new UsageError(`${file} is not valid YAML: ${(error as Error).message}.`)
  }
}

/** Settings given as words (flags, environment), through the same schema as the file. */
function fromWords(words: Record<string, unknown>, nameOf: (key: string) => string): Config {
  const given = Object.entries(words).filter(([, value]) => value !== undefined)
  const values = given.map(([key, value]) => [
    key,
    key === 'masters' && /^\d{1,4}$/.test(String(value)) ? Number(value) : value,
  ])
  return validate(Object.fromEntries(values.filter(([key]) => key !== 'config')), nameOf)
}

function validate(input: unknown, nameOf: (path: string) => string): Config {
  const result = v.safeParse(schema, input, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  const keys = (issue.path ?? []).map((item) => String(item.key))
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const parent = keys.slice(0, -1)
    if (Array.isArray(issue.path?.at(-1)?.input))
      throw new UsageError(`${nameOf(parent.join('.'))} must be a list of keys and values, without dashes.`)
    throw new UsageError(`${nameOf(keys.join('.'))} is not a known key.${suggest(keys.at(-1) ?? '', keysAt(parent))}`)
  }
  if (issue.type === 'strict_object' && issue.expected !== 'Object')
    throw new UsageError(`${nameOf(keys.join('.'))} is missing.`)
  if (issue.type === 'strict_object')
    throw new UsageError(`${nameOf(keys.join('.'))} must be a list of keys and values.`)
  const near =
    issue.type === 'picklist' && typeof issue.input === 'string' && keys.at(-1) === 'provider'
      ? didYouMean(issue.input, providers)
      : ''
  throw new UsageError(`${nameOf(keys.join('.'))} ${issue.message}, not ${JSON.stringify(issue.input)}.${near}`)
}

function checkTogether(asked: Config): void {
  const { caDays, leafDays, renewBeforeDays, extraSans } = pkiOf(asked)
  if (leafDays > caDays)
    throw new UsageError(
      `pki.leafDays (${leafDays}) must not exceed pki.caDays (${caDays}): a certificate ends with its authority.`,
    )
  const nobodys = extraSans.find((san) => isIP(san) && whyNoHosts(san))
  if (nobodys) throw new UsageError(`pki.extraSans has the address ${nobodys}, ${whyNoHosts(nobodys)}.`)
  if (renewBeforeDays >= leafDays)
    throw new UsageError(
      `pki.renewBeforeDays (${renewBeforeDays}) must be less than pki.leafDays (${leafDays}), ` +
        'or every run would renew.',
    )
  const { version, binaries } = asked.etcd ?? {}
  checkPorts(asked.etcd)
  if (version && Number(version.split('.')[1]) < 4)
    throw new UsageError(`etcd.version ${version} is too old: 3.4 or later is needed.`)
  if (version && binaries)
    throw new UsageError('etcd.version and etcd.binaries exclude each other: the binaries say which version they are.')
  for (const folder of typeof binaries === 'string' ? [binaries] : Object.values(binaries ?? {}))
    if (!existsSync(join(folder, 'etcd')))
      throw new UsageError(`etcd.binaries: there is no etcd in ${folder}.`, {
        hint: 'Name a folder that has etcd and etcdctl, or leave etcd.binaries out: then they are fetched.',
      })
  if (asked.provider && asked.provider !== 'auto') checkSubnet(asked.provider, asked.subnet)
  checkHosts(asked)
  if (asked.vagrant?.driver && asked.vagrant.provider !== 'libvirt')
    throw new UsageError("vagrant.driver is libvirt's: it needs vagrant.provider: libvirt.")
  checkEnvironment(Object.keys(asked.etcd?.environment ?? {}))
}

/** @throws UsageError where two would listen at one port, or nobody where metrics are to be had */
export function checkPorts(etcd: Config['etcd'] = {}): void {
  const { clientPort = defaults.etcd.clientPort, peerPort = defaults.etcd.peerPort, metricsPort, metricsPlain } = etcd
  const ports: [name: string, port: number | undefined][] = [
    ['clientPort', clientPort],
    ['peerPort', peerPort],
    ['metricsPort', metricsPort],
  ]
  for (const [index, [name, port]] of ports.entries())
    for (const [other, another] of ports.slice(index + 1))
      if (port === another) throw new UsageError(`etcd.${name} and etcd.${other} must differ (both are ${port}).`)
  if (metricsPlain !== undefined && metricsPort === undefined)
    throw new UsageError('etcd.metricsPlain needs etcd.metricsPort, where metrics are had without TLS.')
  if (metricsPort !== undefined && etcd.environment?.ETCD_LISTEN_METRICS_URLS !== undefined)
    throw new UsageError('etcd.metricsPort and ETCD_LISTEN_METRICS_URLS in etcd.environment exclude each other.')
}

/** Hosts of one's own are given in one way, and only where they are wanted. @throws UsageError */
function checkHosts({ hosts, inventory, provider, masters, subnet }: Config): void {
  if (hosts && inventory)
    throw new UsageError('hosts and inventory exclude each other: both say which hosts there are.')
  if (inventory && !existsSync(inventory)) throw new UsageError(`inventory: there is no ${inventory}.`)
  const given = hosts ? 'hosts' : inventory ? 'inventory' : undefined
  if (provider === 'ssh' && !given)
    throw new UsageError('provider ssh needs hosts, or an inventory, in the configuration.', {
      hint: 'cluster.example.yaml shows both.',
    })
  if (!given) return
  if (provider && !['ssh', 'auto'].includes(provider))
    throw new UsageError(`${given} is for provider ssh, not ${provider}.`)
  if (subnet) throw new UsageError(`${given} and subnet exclude each other: the hosts have addresses already.`)
  if (hosts) checkOwnHosts(hosts, 'hosts')
  if (hosts && masters !== undefined && masters !== hosts.length)
    throw new UsageError(`hosts names ${hosts.length} hosts, but masters is ${masters}: leave masters out.`)
}

/**
 * Local hosts are loopback addresses, or IPv6 ones that a person gave this machine; no others are.
 * `reason`: why this provider, unasked. @throws UsageError
 */
export function checkSubnet(provider: string, subnet: string | undefined, reason?: string): void {
  if (!subnet) return
  const [loopback, isV6] = [subnet.startsWith('127.'), subnet.includes(':')]
  const first = `${prefixOf(subnet)}101`
  if (whyNoHosts(first)) throw new UsageError(`subnet ${subnet} has the address ${first}, ${whyNoHosts(first)}.`)
  if (provider === 'vagrant' && isV6)
    throw new UsageError(`subnet ${subnet} is IPv6: Vagrant's hosts need an IPv4 network such as 192.168.56.0/24.`)
  const mistake =
    provider === 'local' && !loopback && !isV6
      ? 'is not on the loopback interface: local hosts need a network in 127.0.0.0/8, or an IPv6 one'
      : provider === 'vagrant' &&
        loopback &&
        "is on the loopback interface: Vagrant's hosts need a private network such as 192.168.56.0/24"
  const hint = `Name another provider, or another subnet. This one was taken: ${provider} (${reason}).`
  if (mistake) throw new UsageError(`subnet ${subnet} ${mistake}.`, reason && reason !== 'as asked' ? { hint } : {})
}

interface RoleVariables {
  etcd_derived_environment: Record<string, string>
  etcd_refused_environment: Record<string, string>
}

/** The role's own lists: the variables that it derives, and those that harm a cluster. */
export const roleVariables = (): RoleVariables =>
  parseDocument(
    readFileSync(join(projectFolder, 'templates/ansible/roles/etcd/vars/main.yml'), 'utf8'),
  ).toJS() as RoleVariables

/** @throws UsageError for a variable of those lists */
function checkEnvironment(names: string[]): void {
  if (names.length === 0) return
  const role = roleVariables()
  const clash = names.find((name) => name in role.etcd_derived_environment)
  if (clash) throw new UsageError(`etcd.environment: ${clash} is derived from the cluster and cannot be set.`)
  const danger = names.find((name) => name in role.etcd_refused_environment)
  if (danger)
    throw new UsageError(`etcd.environment: ${danger} cannot be set: ${role.etcd_refused_environment[danger]}.`)
}

export const defaults = {
  cluster: defaultCluster,
  masters: 3,
  etcd: { version: '3.6.14', source: 'auto' as EtcdSource, clientPort: 2379, peerPort: 2380 },
  vagrant: { memory: 1024, cpus: 1 },
  pki: {
    keyAlgorithm: 'ecdsa-p256' as KeyAlgorithm,
    caDays: 3650,
    leafDays: 365,
    renewBeforeDays: 30,
    extraSans: [] as string[],
  },
}

export const pkiOf = ({ pki }: Config): typeof defaults.pki => ({
  ...defaults.pki,
  ...(pki as Partial<typeof defaults.pki>),
})
