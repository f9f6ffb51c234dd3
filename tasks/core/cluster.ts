// The one typed cluster object: resolved once from what was asked, what is recorded and the defaults.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { freeLoopbackSubnet, membersIn, otherSubnets } from './addresses.ts'
import { command } from './command.ts'
import { checkPorts, checkSubnet, defaults, pkiOf, type Settings } from './config.ts'
import { home } from './environment.ts'
import { OperationError, UsageError } from './errors.ts'
import { withPort } from './ip.ts'
import type { Architecture } from './machines.ts'
import { hostsInInventory, type OwnHost, refuseOtherHosts } from './own-hosts.ts'
import { chooseProvider, freePrivateSubnet, type VagrantSettings, vagrantSettings } from './provider-choice.ts'
import {
  type ClusterPaths,
  type ClusterRecord,
  clusterPaths,
  hostsLeft,
  lostRecord,
  type ProviderName,
  readRecord,
  recordedClusters,
  refuseContradiction,
  replacing,
} from './record.ts'
import { inText, ours, type Remedy, remedy } from './remedy.ts'
import type { EtcdSource } from './schema.ts'
import { suggest } from './suggest.ts'
import { capital } from './terminal.ts'

export interface Host {
  name: string
  address: string
  /** While it moves to another address: the one of the two that it does not have now, or no longer. */
  also?: string | undefined
  /** While it is adopted: its peers speak plain HTTP to it yet. */
  plain?: true | undefined
  /** There for a member that another tool runs, while hosts of ours take its cluster over: its URLs, as it has them. */
  foreign?: { clientURL: string; peerURL: string } | undefined
  clientURL: string
  peerURL: string
  /** How Ansible reaches it, as inventory variables; there once phase vms has brought the host up. */
  connection?: Record<string, string | number | boolean> | undefined
}

/**
 * What a restore or recover is gone on with: a snapshot, or from whose data; the revision to reach; former tokens. Of
 * an adoption: whether all members are taken over; by hosts that join: how many old members there were, and the hosts
 * that there are to be.
 */
export type Begun = NonNullable<ClusterRecord['begun']>

/** One folder of programs, or one for each architecture. */
export type Binaries = string | Partial<Record<Architecture, string>>

/** The cluster as every phase sees it. Paths are absolute, periods in days. */
export interface Cluster {
  name: string
  /** From the first record to `down`: a new cluster of the same name has a new one, as its revisions begin again. */
  life?: string | undefined
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
    /** etcd's initial cluster token: the cluster's name, until a restore gives it a new one. */
    token: string
    /** A folder of the person's own with etcd's programs, or one for each architecture. */
    binaries: Binaries | undefined
    /** The one that the hosts' programs came from, as recorded: it counts while the configuration names none. */
    keptBinaries?: Binaries | undefined
    source: EtcdSource
    mirror: string | undefined
    /** True for a verb that only looks: every etcdctl reads every member, so that folder may hold any version. */
    looksOnly?: boolean | undefined
    clientPort: number
    peerPort: number
    /** Where members listen for metrics and health besides; undefined: nowhere. */
    metricsPort?: number | undefined
    /** Whether that is without TLS. */
    metricsPlain?: boolean | undefined
    environment: Record<string, string>
  }
  /** A restore or recover that is half done. */
  begun?: Begun | undefined
  /** While it is adopted: clients speak plain HTTP to it, and nothing else yet, or may speak it, too. */
  plainClients?: 'only' | 'too' | undefined
  /** Whether the role was run on its hosts: from then on they trust its authority. */
  formed?: boolean | undefined
  /** The highest revision that it is known to have had; undefined where nobody has noted any. */
  highestRevision?: number | undefined
  vagrant?: VagrantSettings | undefined
  /** There for provider ssh: the hosts as they are listed now, or the person's own inventory. */
  own?: { hosts: OwnHost[] | undefined; inventory: string | undefined } | undefined
  pki: typeof defaults.pki
  paths: ClusterPaths
  /** The configuration file it was made with or was given since, when it is not the project's cluster.yaml. */
  configFile: string | undefined
  recorded: boolean
}

/**
 * Builds the cluster from the settings and its record; touches nothing. `resize`: other hosts than recorded are what is
 * wanted. `configures`: false for a verb that changes no configuration: then the record is heard, whatever else is
 * asked. `looks`: true for a verb that changes nothing: any version of etcd's programs does.
 * `formedOnly`: a record counts only once the role was run on its hosts.
 * @throws UsageError when what is asked contradicts the record
 */
export async function resolveCluster(
  { asked: all, configFile }: Settings,
  { resize = false, configures = true, looks = false, formedOnly = false } = {},
): Promise<Cluster> {
  const name = all.cluster ?? defaults.cluster
  const usual = clusterPaths(name)
  const found = readRecord(usual.record)
  const record = formedOnly && !found?.formed ? undefined : found
  // Until all members of a cluster that is adopted have certificates of ours, they let in who has one of theirs.
  const paths = { ...usual, ...(looks && existsSync(usual.adopting) && { certs: usual.adopting }) }
  const asked = record && !configures ? withoutRecorded(all) : all
  if (record) refuseContradiction(resize ? { ...asked, masters: undefined } : asked, record)
  const clientPort = asked.etcd?.clientPort ?? record?.clientPort ?? defaults.etcd.clientPort
  const peerPort = asked.etcd?.peerPort ?? record?.peerPort ?? defaults.etcd.peerPort
  const choice = record
    ? { provider: record.provider, reason: 'as recorded when the cluster was made' }
    : await chooseProvider(asked, paths.vagrant)
  checkPorts({ ...asked.etcd, clientPort, peerPort })
  const ports = [clientPort, peerPort, asked.etcd?.metricsPort ?? []].flat()
  checkSubnet(choice.provider, asked.subnet, choice.reason)
  const own =
    choice.provider === 'ssh' ? { hosts: asked.hosts, inventory: asked.inventory ?? record?.inventory } : undefined
  const subnet = own ? '' : (record?.subnet ?? asked.subnet ?? (await freeSubnet(choice.provider, name, ports)))
  const named = configures && !resize && (own?.hosts || own?.inventory) ? own : undefined
  if (record?.formed && named?.hosts) refuseOtherHosts(record.members, named.hosts, 'the configuration')
  const members =
    named && !record?.formed
      ? (await ownMembers(named)).map((host) => record?.members.find((one) => isSameHost(one, host)) ?? host)
      : (record?.members ?? (own ? await ownMembers(own) : membersIn(subnet, asked.masters ?? defaults.masters)))
  const how = { clientPort, peerPort, plainClients: record?.plainClients }
  const asHost = (member: RecordedMember): Host => hostOf(member, how)
  const wanted = resize ? await membersAsked(own, subnet, asked.masters) : record?.begun?.hosts
  return {
    name,
    life: record?.life,
    provider: choice.provider,
    providerReason: choice.reason,
    subnet,
    hosts: members.map(asHost),
    ...(wanted && { wanted: wanted.map(asHost) }),
    etcd: {
      version: asked.etcd?.version ?? record?.etcd.version,
      upgradingTo: record?.etcd.upgradingTo,
      token: record?.etcd.token ?? name,
      binaries: asked.etcd?.binaries as Binaries | undefined,
      keptBinaries: all.etcd?.version ? undefined : (record?.etcd.binaries as Binaries | undefined),
      source: asked.etcd?.source ?? defaults.etcd.source,
      mirror: asked.etcd?.mirror,
      looksOnly: looks,
      clientPort,
      peerPort,
      metricsPort: asked.etcd?.metricsPort,
      metricsPlain: asked.etcd?.metricsPlain,
      environment: asked.etcd?.environment ?? {},
    },
    begun: record?.begun,
    plainClients: record?.plainClients,
    formed: record?.formed,
    highestRevision: record?.highestRevision,
    vagrant: choice.provider === 'vagrant' ? await vagrantSettings(asked, record?.vagrant) : undefined,
    own,
    pki: pkiOf(asked),
    paths,
    configFile: configFile === join(home(), 'cluster.yaml') ? undefined : configFile,
    recorded: record !== undefined,
  }
}

function withoutRecorded({
  masters,
  provider,
  subnet,
  etcd: { version, clientPort, peerPort, ...etcd } = {},
  ...asked
}: Settings['asked']): Settings['asked'] {
  return { ...asked, etcd, ...(asked.vagrant && { vagrant: { ...asked.vagrant, provider: undefined } }) }
}

const freeSubnet = async (provider: ProviderName, name: string, ports: number[]): Promise<string> =>
  provider === 'local' ? freeLoopbackSubnet(name, ports) : freePrivateSubnet(otherSubnets(name))

/** The hosts that a resize is to end with; undefined where it says nothing of them. */
async function membersAsked(
  own: Cluster['own'],
  subnet: string,
  masters?: number,
): Promise<RecordedMember[] | undefined> {
  if (own) return ownMembers(own)
  return masters ? membersIn(subnet, masters) : undefined
}

type RecordedMember = ClusterRecord['members'][number]
/** Until the role was run on its hosts, a person may correct their list. */
const isSameHost = (one: RecordedMember, other: RecordedMember): boolean =>
  one.name === other.name && one.address === other.address
type Ports = Pick<ClusterRecord, 'clientPort' | 'peerPort' | 'plainClients'>
const hostOf = (member: RecordedMember, { clientPort, peerPort, plainClients }: Ports): Host => ({
  ...member,
  clientURL: `${plainClients === 'only' ? 'http' : 'https'}://${withPort(member.address, clientPort)}`,
  peerURL: `${member.plain ? 'http' : 'https'}://${withPort(member.address, peerPort)}`,
  ...member.foreign,
})

/** Works the hosts' URLs out again, once members speak otherwise than before. */
export function workOutURLs({ hosts, plainClients, etcd: { clientPort, peerPort } }: Cluster): void {
  for (const host of hosts) Object.assign(host, hostOf(host, { clientPort, peerPort, plainClients }))
}

/** Takes over which hosts are recorded now: for whoever looks on while another run adds or removes some. */
export function followRecord(cluster: Cluster): void {
  const record = readRecord(cluster.paths.record)
  if (record) cluster.hosts = record.members.map((member) => hostOf(member, record))
}

async function ownMembers({
  hosts,
  inventory,
}: NonNullable<Cluster['own']>): Promise<{ name: string; address: string }[]> {
  const listed = hosts ?? (inventory ? await hostsInInventory(inventory) : [])
  return listed.map(({ name, address }) => ({ name, address }))
}

/** The hosts that are ours to work on: those of members that another tool runs are not. */
export const ownHosts = ({ hosts }: Pick<Cluster, 'hosts'>): Host[] => hosts.filter(({ foreign }) => !foreign)

/** Where a host's etcd has its certificates; by default as the role has it (etcd_ssl_directory). */
export const sslFolderOf = ({ hosts }: Pick<Cluster, 'hosts'>, host: string): string =>
  String(hosts.find(({ name }) => name === host)?.connection?.etcd_ssl_directory ?? '/etc/ssl/etcd')

export function hostNamed({ name: cluster, hosts }: Cluster, name: string): Host {
  const host = hosts.find((candidate) => candidate.name === name)
  if (host) return host
  const names = hosts.map((candidate) => candidate.name)
  throw new UsageError(`${cluster} has no host ${name}.${suggest(name, names)}`)
}

/** The hosts whose replacement was begun and is not done; one that went since needs none. */
export const beingReplaced = ({ paths, hosts }: Cluster): string[] =>
  Object.keys(replacing(paths)).filter((name) => hosts.some((host) => host.name === name))

/** The hosts that are known by two addresses, while they move from one to the other. */
export const movingHosts = ({ hosts }: Cluster): string[] => hosts.flatMap(({ name, also }) => (also ? [name] : []))

/** A restore or recover that is half done, as a clause, and what finishes it: a row of etcd/findings.ts. */
export const halfDone = ({ what, name }: { what: string; name: string }): string =>
  `${what === 'adopt' ? 'the adoption' : `a ${what}`} of ${name} is half done`
export function finishBegun({ begun = { verb: 'restore' } }: Cluster): Remedy {
  const { verb, file = 'FILE', from, taken } = begun
  if (taken) return remedy`Once clients trust its ca.crt, finish it: ${ours('adopt', '--finish')}`
  return remedy`Finish it: ${ours(verb, ...(verb === 'restore' ? [file] : from ? ['--from', from] : []))}`
}

/** @throws OperationError while a restore or recover is half done: any other verb could mix old data with new */
export function refuseHalfDone(cluster: Cluster): void {
  const { begun, name } = cluster
  if (!begun) return
  const helps = finishBegun(cluster)
  throw new OperationError(`${capital(halfDone({ what: begun.verb, name }))}.`, {
    code: 'half-restored',
    hint: inText(cluster, helps),
    remedy: helps,
  })
}

/** For verbs that need a cluster to be there. @throws UsageError naming the nearest one that is */
export function requireRecorded(cluster: Cluster): void {
  const left = hostsLeft(cluster)
  if (!cluster.recorded && left) throw lostRecord(cluster, left)
  if (!cluster.recorded)
    throw new UsageError(`There is no cluster ${cluster.name} here.${suggest(cluster.name, recordedClusters())}`, {
      hint:
        `Bring it up: ${command(cluster, 'up')}. If it runs on servers of yours already: ` +
        `${command(cluster, 'adopt --plan')}`,
    })
}
