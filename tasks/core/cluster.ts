// The one typed cluster object: resolved once from what was asked, what is recorded and the defaults.
import { join } from 'node:path'
import { freeLoopbackSubnet, membersIn, otherSubnets } from './addresses.ts'
import { command } from './command.ts'
import { checkSubnet, defaults, type Settings } from './config.ts'
import { home } from './environment.ts'
import { OperationError, UsageError } from './errors.ts'
import type { Architecture } from './machines.ts'
import { hostsInInventory, type OwnHost, refuseOtherHosts } from './own-hosts.ts'
import { chooseProvider, freePrivateSubnet, type VagrantSettings, vagrantSettings } from './provider-choice.ts'
import {
  type ClusterPaths,
  type ClusterRecord,
  clusterPaths,
  type ProviderName,
  readRecord,
  recordedClusters,
  refuseContradiction,
} from './record.ts'
import { inText, ours, type Remedy, remedy } from './remedy.ts'
import type { EtcdSource, KeyAlgorithm } from './schema.ts'
import { suggest } from './suggest.ts'
import { capital } from './terminal.ts'

/** One host of the cluster, and the etcd member that lives on it. */
export interface Host {
  name: string
  address: string
  clientURL: string
  peerURL: string
  /** How Ansible reaches it, as inventory variables; there once phase vms has brought the host up. */
  connection?: Record<string, string | number | boolean> | undefined
}

/**
 * What a restore or a recover needs to be gone on with. restore: its snapshot, by path and sum. recover: from whose
 * data, until the new cluster is formed. Both: the revision that the data is raised to, and the tokens before.
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
    /** By which way programs are got where there are none. */
    source: EtcdSource
    /** Where a mirror of the official release is. */
    mirror: string | undefined
    /**
     * True for a verb that only looks: then that folder may hold any version, since every etcdctl reads every member.
     */
    looksOnly?: boolean | undefined
    clientPort: number
    peerPort: number
    environment: Record<string, string>
  }
  /** A restore or recover that was begun and is not done. */
  begun?: Begun | undefined
  /** Whether the role was run on its hosts: from then on they trust its authority. */
  formed?: boolean | undefined
  /** The highest revision that it is known to have had; undefined where nobody has noted any. */
  highestRevision?: number | undefined
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

/**
 * Builds the cluster from the settings and its record; touches nothing. `resize`: other hosts than recorded are what is
 * wanted. `configures`: false for a verb that changes no configuration: then the record is heard, whatever else is
 * asked. `looks`: true for a verb that changes nothing: any version of etcd's programs does.
 * @throws UsageError when what is asked contradicts the record
 */
export async function resolveCluster(
  { asked: all, configFile }: Settings,
  { resize = false, configures = true, looks = false } = {},
): Promise<Cluster> {
  const name = all.cluster ?? defaults.cluster
  const paths = clusterPaths(name)
  const record = readRecord(paths.record)
  const asked = record && !configures ? withoutRecorded(all) : all
  if (record) refuseContradiction(resize ? { ...asked, masters: undefined } : asked, record)
  const clientPort = asked.etcd?.clientPort ?? record?.clientPort ?? defaults.etcd.clientPort
  const peerPort = asked.etcd?.peerPort ?? record?.peerPort ?? defaults.etcd.peerPort
  const choice = record
    ? { provider: record.provider, reason: 'as recorded when the cluster was made' }
    : await chooseProvider(asked, paths.vagrant)
  checkSubnet(choice.provider, asked.subnet, choice.reason)
  const own =
    choice.provider === 'ssh' ? { hosts: asked.hosts, inventory: asked.inventory ?? record?.inventory } : undefined
  const subnet = own
    ? ''
    : (record?.subnet ??
      asked.subnet ??
      (choice.provider === 'local'
        ? await freeLoopbackSubnet(name, [clientPort, peerPort])
        : freePrivateSubnet(otherSubnets(name))))
  if (record && own?.hosts && !resize && configures) refuseOtherHosts(record.members, own.hosts, 'the configuration')
  const members =
    record?.members ?? (own ? await ownMembers(own) : membersIn(subnet, asked.masters ?? defaults.masters))
  const asHost = (member: RecordedMember): Host => hostOf(member, clientPort, peerPort)
  const wanted = !resize
    ? undefined
    : own
      ? await ownMembers(own)
      : asked.masters
        ? membersIn(subnet, asked.masters)
        : undefined
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
      source: asked.etcd?.source ?? defaults.etcd.source,
      mirror: asked.etcd?.mirror,
      looksOnly: looks,
      clientPort,
      peerPort,
      environment: asked.etcd?.environment ?? {},
    },
    begun: record?.begun,
    formed: record?.formed,
    highestRevision: record?.highestRevision,
    vagrant: choice.provider === 'vagrant' ? await vagrantSettings(asked, record?.vagrant) : undefined,
    own,
    pki: { ...defaults.pki, ...(asked.pki as Partial<Cluster['pki']>) },
    paths,
    configFile: configFile === join(home(), 'cluster.yaml') ? undefined : configFile,
    recorded: record !== undefined,
  }
}

/** What was asked, but for what the record has. */
function withoutRecorded({
  masters,
  provider,
  subnet,
  etcd: { version, clientPort, peerPort, ...etcd } = {},
  ...asked
}: Settings['asked']): Settings['asked'] {
  return { ...asked, etcd, ...(asked.vagrant && { vagrant: { ...asked.vagrant, provider: undefined } }) }
}

type RecordedMember = ClusterRecord['members'][number]
const hostOf = (member: RecordedMember, clientPort: number, peerPort: number): Host => ({
  ...member,
  clientURL: `https://${member.address}:${clientPort}`,
  peerURL: `https://${member.address}:${peerPort}`,
})

/** Takes over which hosts are recorded now: for whoever looks on while another run adds or removes some. */
export function followRecord(cluster: Cluster): void {
  const record = readRecord(cluster.paths.record)
  if (record) cluster.hosts = record.members.map((member) => hostOf(member, record.clientPort, record.peerPort))
}

async function ownMembers({
  hosts,
  inventory,
}: NonNullable<Cluster['own']>): Promise<{ name: string; address: string }[]> {
  const listed = hosts ?? (inventory ? await hostsInInventory(inventory) : [])
  return listed.map(({ name, address }) => ({ name, address }))
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

/** A restore or recover that is half done, as a clause, and what finishes it: a row of etcd/findings.ts. */
export const halfDone = ({ what, name }: { what: string; name: string }): string =>
  `a ${what} of ${name} was begun and is not done`
export function finishBegun({ begun = { verb: 'restore' } }: Cluster): Remedy {
  const { verb, file = 'FILE', from } = begun
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
  if (!cluster.recorded)
    throw new UsageError(`There is no cluster ${cluster.name} here.${suggest(cluster.name, recordedClusters())}`, {
      hint: `Bring it up with: ${command(cluster, 'up')}`,
    })
}
