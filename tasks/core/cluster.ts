// The one typed cluster object: resolved once from what was asked, what is recorded and the defaults.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import * as v from 'valibot'
import { type Config, checkSubnet, defaults, type KeyAlgorithm, type Settings, vagrantProviders } from './config.ts'
import { home } from './environment.ts'
import { OperationError, UsageError } from './errors.ts'
import { readFileIfThere, writeFileIfChanged } from './files.ts'
import { hostsInInventory, type OwnHost, refuseOtherHosts } from './own-hosts.ts'
import { chooseProvider, freePrivateSubnet, type VagrantSettings, vagrantSettings } from './provider-choice.ts'
import { suggest } from './suggest.ts'

const providerNames = ['local', 'vagrant', 'ssh'] as const
export type ProviderName = (typeof providerNames)[number]

/** One host of the cluster, and the etcd member that lives on it. */
export interface Host {
  name: string
  address: string
  clientURL: string
  peerURL: string
  /** How Ansible reaches it, as inventory variables; there once phase vms has brought the host up. */
  connection?: Record<string, string | number | boolean> | undefined
}

/** The cluster as every phase sees it. Paths are absolute, periods in days. */
export interface Cluster {
  name: string
  provider: ProviderName
  /** Why this provider: one clause for the terminal. */
  providerReason: string
  subnet: string
  hosts: Host[]
  /** For verb scale, whose work it is to bring it about: the hosts that there are to be. */
  wanted?: Host[] | undefined
  etcd: {
    /** The version asked for or recorded; undefined: whatever this machine offers. */
    version: string | undefined
    /** The version of an upgrade that was begun and is not verified yet. */
    upgradingTo?: string | undefined
    /** A folder of the person's own with etcd and etcdctl. */
    binaries: string | undefined
    clientPort: number
    peerPort: number
    environment: Record<string, string>
  }
  /** There for provider vagrant. */
  vagrant?: VagrantSettings | undefined
  /** There for provider ssh: the hosts as they are listed now, or the person's own inventory. */
  own?: { hosts: OwnHost[] | undefined; inventory: string | undefined } | undefined
  pki: { keyAlgorithm: KeyAlgorithm; caDays: number; leafDays: number; renewBeforeDays: number; extraSans: string[] }
  paths: ClusterPaths
  /** The configuration file it was made with or was given since, when it is not the project's cluster.yaml. */
  configFile: string | undefined
  /** True when cluster.json was there before this run. */
  recorded: boolean
}

export interface ClusterPaths {
  certs: string
  state: string
  record: string
  inventory: string
  logs: string
  hosts: string
  vagrant: string
  sshConfig: string
  backups: string
}

const recordSchema = v.object({
  name: v.string(),
  provider: v.picklist(providerNames),
  subnet: v.string(),
  clientPort: v.number(),
  peerPort: v.number(),
  members: v.pipe(
    v.array(
      v.object({
        name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]*$/)),
        address: v.pipe(v.string(), v.ip()),
        connection: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
      }),
    ),
    v.minLength(1),
  ),
  etcd: v.object({ version: v.optional(v.string()), upgradingTo: v.optional(v.string()) }),
  vagrant: v.optional(
    v.object({
      provider: v.picklist(vagrantProviders),
      box: v.optional(v.string()),
      boxVersion: v.optional(v.string()),
      memory: v.number(),
      cpus: v.number(),
      driver: v.optional(v.picklist(['kvm', 'qemu'])),
    }),
  ),
  inventory: v.optional(v.string()),
  configFile: v.optional(v.string()),
})

type ClusterRecord = v.InferOutput<typeof recordSchema>

/** Where a cluster's things are. */
export function clusterPaths(name: string, root = home): ClusterPaths {
  const state = join(root, '.cluster', name)
  return {
    certs: join(root, 'certs', name),
    state,
    record: join(state, 'cluster.json'),
    inventory: join(state, 'inventory.yml'),
    logs: join(state, 'logs'),
    hosts: join(state, 'hosts'),
    vagrant: join(state, 'vagrant'),
    sshConfig: join(state, 'ssh-config'),
    backups: join(state, 'backups'),
  }
}

/** The names of all clusters that are recorded here. */
export function recordedClusters(): string[] {
  const folder = join(home, '.cluster')
  return existsSync(folder) ? readdirSync(folder).filter((name) => existsSync(join(folder, name, 'cluster.json'))) : []
}

/**
 * Builds the cluster from the settings and its record; touches nothing. `resize`: other hosts than recorded are what is wanted.
 * @throws UsageError when what is asked contradicts the record
 */
export async function resolveCluster({ asked, configFile }: Settings, resize = false): Promise<Cluster> {
  const name = asked.cluster ?? defaults.cluster
  const paths = clusterPaths(name)
  const record = readRecord(paths.record)
  if (record) refuseContradiction(resize ? { ...asked, masters: undefined } : asked, record)
  const clientPort = asked.etcd?.clientPort ?? record?.clientPort ?? defaults.etcd.clientPort
  const peerPort = asked.etcd?.peerPort ?? record?.peerPort ?? defaults.etcd.peerPort
  const choice = record ? { provider: record.provider, reason: 'as recorded when the cluster was made' } : await chooseProvider(asked, paths.vagrant)
  checkSubnet(choice.provider, asked.subnet, choice.reason)
  const own = choice.provider === 'ssh' ? { hosts: asked.hosts, inventory: asked.inventory ?? record?.inventory } : undefined
  const subnet = own
    ? ''
    : (record?.subnet ?? asked.subnet ?? (choice.provider === 'local' ? await freeLoopbackSubnet(name, [clientPort, peerPort]) : freePrivateSubnet(otherSubnets(name))))
  if (record && own?.hosts && !resize) refuseOtherHosts(record.members, own.hosts, 'the configuration')
  const members = record?.members ?? (own ? await ownMembers(own) : membersIn(subnet, asked.masters ?? defaults.masters))
  const asHost = (member: ClusterRecord['members'][number]): Host => ({
    ...member,
    clientURL: `https://${member.address}:${clientPort}`,
    peerURL: `https://${member.address}:${peerPort}`,
  })
  const wanted = !resize ? undefined : own ? await ownMembers(own) : asked.masters ? membersIn(subnet, asked.masters) : undefined
  return {
    name,
    provider: choice.provider,
    providerReason: choice.reason,
    subnet,
    hosts: members.map(asHost),
    ...(wanted && { wanted: wanted.map(asHost) }),
    etcd: {
      version: asked.etcd?.version ?? record?.etcd.version,
      upgradingTo: record?.etcd.upgradingTo,
      binaries: asked.etcd?.binaries,
      clientPort,
      peerPort,
      environment: asked.etcd?.environment ?? {},
    },
    vagrant: choice.provider === 'vagrant' ? await vagrantSettings(asked, record?.vagrant) : undefined,
    own,
    pki: { ...defaults.pki, ...(asked.pki as Partial<Cluster['pki']>) },
    paths,
    configFile: configFile === join(home, 'cluster.yaml') ? undefined : configFile,
    recorded: record !== undefined,
  }
}

/**
 * Records what was resolved, so that every later run sees the same cluster. Writes only when it changed.
 * @throws OperationError when there are hosts already, of a cluster whose record was lost
 */
export function recordCluster(cluster: Cluster): void {
  const left = hostsLeft(cluster)
  if (!cluster.recorded && left)
    throw new OperationError(`There are hosts of cluster ${cluster.name} in ${left}, but its record ${cluster.paths.record} is missing.`, {
      hint: `Put the record back, or remove the hosts and their data: npx zx scripts/down.ts --cluster ${cluster.name}`,
    })
  const record: ClusterRecord = {
    name: cluster.name,
    provider: cluster.provider,
    subnet: cluster.subnet,
    clientPort: cluster.etcd.clientPort,
    peerPort: cluster.etcd.peerPort,
    members: cluster.hosts.map(({ name, address, connection }) => ({ name, address, ...(connection && { connection }) })),
    etcd: { ...(cluster.etcd.version && { version: cluster.etcd.version }), ...(cluster.etcd.upgradingTo && { upgradingTo: cluster.etcd.upgradingTo }) },
    ...(cluster.vagrant && { vagrant: cluster.vagrant }),
    ...(cluster.own?.inventory && { inventory: cluster.own.inventory }),
    ...(cluster.configFile && { configFile: cluster.configFile }),
  }
  writeFileIfChanged(cluster.paths.record, `${JSON.stringify(record, null, 2)}\n`, 0o600)
  cluster.recorded = true
}

/** The folder that hosts of this cluster have, if there is one. */
export const hostsLeft = ({ paths }: Cluster): string | undefined => [paths.hosts, paths.vagrant].find((folder) => existsSync(folder))

/** The configuration file that a cluster was made with. @throws UsageError when that is gone */
export function recordedConfigFile(name: string): string | undefined {
  const file = /^[a-z0-9][a-z0-9.-]*$/.test(name) ? readRecord(clusterPaths(name).record)?.configFile : undefined
  if (file && !existsSync(file))
    throw new UsageError(`Cluster ${name} was made with the configuration ${file}, which is gone.`, { hint: 'Put it back, or name another one with --config.' })
  return file
}

function readRecord(path: string): ClusterRecord | undefined {
  const source = readFileIfThere(path)
  if (source === undefined) return undefined
  let content: unknown
  try {
    content = JSON.parse(source)
  } catch {
    throw corrupt(path, 'it is not JSON')
  }
  const result = v.safeParse(recordSchema, content)
  if (!result.success) throw corrupt(path, `${v.getDotPath(result.issues[0]) ?? 'it'}: ${result.issues[0].message}`)
  return result.output
}

const corrupt = (path: string, why: string): OperationError =>
  new UsageError(`${path} cannot be understood: ${why}.`, { hint: 'Put a good copy back. If the cluster is gone, remove that file.' })

function refuseContradiction(asked: Config, record: ClusterRecord): void {
  const refuse = (what: string, was: unknown, now: unknown, hint = `Leave ${what} out to go on with the cluster as it is, or choose another name with --cluster.`): never => {
    throw new UsageError(`Cluster ${record.name} was made with ${what} ${was}; it cannot become ${now}.`, { hint })
  }
  if (asked.masters !== undefined && asked.masters !== record.members.length)
    refuse(
      'masters',
      record.members.length,
      asked.masters,
      `Members come and go one at a time: npx zx scripts/scale.ts${record.name === defaults.cluster ? '' : ` --cluster ${record.name}`} --masters ${asked.masters}. Or leave masters out to go on with the cluster as it is.`,
    )
  if (asked.provider && asked.provider !== 'auto' && asked.provider !== record.provider) refuse('provider', record.provider, asked.provider)
  if (asked.vagrant?.provider && record.vagrant && asked.vagrant.provider !== record.vagrant.provider) refuse('vagrant.provider', record.vagrant.provider, asked.vagrant.provider)
  if (asked.subnet && asked.subnet !== record.subnet) refuse('subnet', record.subnet, asked.subnet)
  if (asked.etcd?.clientPort && asked.etcd.clientPort !== record.clientPort) refuse('etcd.clientPort', record.clientPort, asked.etcd.clientPort)
  if (asked.etcd?.peerPort && asked.etcd.peerPort !== record.peerPort) refuse('etcd.peerPort', record.peerPort, asked.etcd.peerPort)
  const version = asked.etcd?.version
  if (version && record.etcd.version && version !== record.etcd.version)
    refuse('etcd.version', record.etcd.version, version, `Leave it out, or say what it runs. An upgrade changes it: npx zx scripts/upgrade.ts --etcd-version ${version}`)
}

async function ownMembers({ hosts, inventory }: NonNullable<Cluster['own']>): Promise<{ name: string; address: string }[]> {
  const listed = hosts ?? (inventory ? await hostsInInventory(inventory) : [])
  return listed.map(({ name, address }) => ({ name, address }))
}

/** master01, master02, … at .101 and up, as the original had them. */
function membersIn(subnet: string, masters: number): { name: string; address: string }[] {
  const prefix = subnet.slice(0, subnet.lastIndexOf('.'))
  return Array.from({ length: masters }, (_, index) => ({ name: `master${String(index + 1).padStart(2, '0')}`, address: `${prefix}.${101 + index}` }))
}

const otherSubnets = (name: string): (string | undefined)[] =>
  recordedClusters()
    .filter((other) => other !== name)
    .map((other) => /"subnet": *"([\d.]+\/24)"/.exec(readFileIfThere(clusterPaths(other).record) ?? '')?.[1])

/** A 127.x.y.0/24 that no recorded cluster has and whose first address has the ports free; the name decides where the search starts. */
async function freeLoopbackSubnet(name: string, ports: number[]): Promise<string> {
  const taken = otherSubnets(name)
  const start = createHash('sha256').update(join(home, name)).digest().readUInt16BE()
  for (let step = 0; step < 256; step++) {
    const place = (start + step * 257) % 65536
    const prefix = `127.${1 + (place % 254)}.${place >> 8}`
    if (taken.includes(`${prefix}.0/24`)) continue
    const free = await Promise.all(ports.map((port) => canListen(`${prefix}.101`, port)))
    if (free.every((answer) => answer !== 'EADDRINUSE')) return `${prefix}.0/24`
  }
  throw new OperationError('No free 127.x.y.0/24 network was found on this machine.', { hint: 'Name one with subnet: in the configuration.' })
}

/** Tries to listen: true, or the system's error code (EADDRINUSE, EADDRNOTAVAIL, …). */
export function canListen(address: string, port: number): Promise<true | string> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => done(true)))
  })
}

/** The host of that name. @throws UsageError naming the nearest one */
export function hostNamed({ name: cluster, hosts }: Cluster, name: string): Host {
  const host = hosts.find((candidate) => candidate.name === name)
  if (host) return host
  throw new UsageError(
    `${cluster} has no host ${name}.${suggest(
      name,
      hosts.map((candidate) => candidate.name),
    )}`,
  )
}

/** For verbs that need a cluster to be there. @throws UsageError naming the nearest one that is */
export function requireRecorded(cluster: Cluster): void {
  if (!cluster.recorded)
    throw new UsageError(`There is no cluster ${cluster.name} here.${suggest(cluster.name, recordedClusters())}`, {
      hint: `Bring it up with: npx zx scripts/up.ts --cluster ${cluster.name}`,
    })
}
