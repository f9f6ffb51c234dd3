// The record of a cluster, cluster.json: where it and the cluster's other things lie, what it holds, and what
// contradicts it.

import { randomUUID } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Cluster } from './cluster.ts'
import { command } from './command.ts'
import { home } from './environment.ts'
import { OperationError, UsageError } from './errors.ts'
import { entriesIn, readFileIfThere, writeFileAtomic, writeFileIfChanged } from './files.ts'
import { byHand, inText, ours, type Remedy, remedy } from './remedy.ts'
import { type Config, isHostName, vagrantProviders } from './schema.ts'

const providerNames = ['local', 'vagrant', 'ssh'] as const
export type ProviderName = (typeof providerNames)[number]

const memberSchema = v.object({
  name: v.pipe(v.string(), v.check(isHostName)),
  address: v.pipe(v.string(), v.ip()),
  also: v.optional(v.pipe(v.string(), v.ip())),
  plain: v.optional(v.literal(true)),
  foreign: v.optional(v.object({ clientURL: v.string(), peerURL: v.string() })),
  connection: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
})

const recordSchema = v.object({
  name: v.string(),
  life: v.optional(v.string()),
  provider: v.picklist(providerNames),
  subnet: v.string(),
  clientPort: v.number(),
  peerPort: v.number(),
  plainClients: v.optional(v.picklist(['only', 'too'])),
  members: v.pipe(v.array(memberSchema), v.minLength(1)),
  etcd: v.object({
    version: v.optional(v.string()),
    upgradingTo: v.optional(v.string()),
    token: v.optional(v.string()),
    binaries: v.optional(v.union([v.string(), v.record(v.string(), v.string())])),
  }),
  begun: v.optional(
    v.object({
      verb: v.picklist(['restore', 'recover', 'adopt']),
      file: v.optional(v.string()),
      sha256: v.optional(v.string()),
      formerTokens: v.optional(v.array(v.string())),
      from: v.optional(v.string()),
      revision: v.optional(v.number()),
      taken: v.optional(v.boolean()),
      joining: v.optional(v.number()),
      hosts: v.optional(v.array(memberSchema)),
    }),
  ),
  formed: v.optional(v.boolean()),
  highestRevision: v.optional(v.number()),
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

export type ClusterRecord = v.InferOutput<typeof recordSchema>

export type ClusterPaths = ReturnType<typeof clusterPaths>
export function clusterPaths(name: string, root = home()) {
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
    /** The certificates of a cluster that is being adopted, until it has those of its own authority. */
    adopting: join(state, 'adopting'),
    /** There while a replacement is half done. */
    replacing: join(state, 'replacing.json'),
    /** What a scale that was begun is to end with; not there, usually. */
    scaling: join(state, 'scaling.json'),
    /** What is to be done by the clock. It goes with the cluster to another machine. */
    schedules: join(state, 'schedules.json'),
    /** What does it on this machine, and what came of it. */
    schedule: join(state, 'schedule'),
    /** When the cluster was last verified, and whether it was healthy. */
    verified: join(state, 'verified.json'),
  }
}

/** The hosts whose replacement was begun and is not done, and the ids of the members that are to go. */
export const replacing = ({ replacing: path }: ClusterPaths): Record<string, string> =>
  readNote(path, v.record(v.string(), v.string()), 'replace the hosts again whose replacement is not done') ?? {}

/** Notes the hosts whose replacement is half done, and the ids of the members that are to go; none: no note is left. */
export function noteReplacing({ replacing: path }: ClusterPaths, ids: Record<string, string>): void {
  if (Object.keys(ids).length > 0) writeFileAtomic(path, JSON.stringify(ids), 0o600)
  else rmSync(path, { force: true })
}

/** The hosts that a scale was to end with, which was begun and is not done; undefined where there is none. */
export const scaling = ({ scaling: path }: ClusterPaths): string[] | undefined =>
  readNote(path, v.array(v.string()), 'scale again: it goes on from the members that there are')

/** What a verb has noted for itself; undefined where that is nothing. @throws UsageError where it is damaged */
export function readNote<T>(path: string, schema: v.GenericSchema<unknown, T>, then: string): T | undefined {
  const text = readFileIfThere(path)
  if (text === undefined) return undefined
  const found = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text)
  if (found.success) return found.output
  throw new UsageError(`${path} cannot be understood.`, { hint: `Remove that file, then ${then}.` })
}

/** When, in ISO 8601, and how many bytes the largest database had. */
const sizeSchema = v.tuple([v.pipe(v.string(), v.isoTimestamp()), v.number()])
export type Size = v.InferOutput<typeof sizeSchema>

const verifiedSchema = v.object({
  time: v.pipe(v.string(), v.isoTimestamp()),
  healthy: v.boolean(),
  sizes: v.optional(v.array(sizeSchema)),
})
export type Verified = v.InferOutput<typeof verifiedSchema>

/** Notes how a verify ended. Nobody depends on it: where it cannot be written, the work goes on. */
export function noteVerified({ state, verified }: ClusterPaths, found: Verified): void {
  if (!existsSync(state)) return
  try {
    writeFileAtomic(verified, `${JSON.stringify(found)}\n`, 0o600)
  } catch {}
}

/** How the last verify ended; undefined where there was none, or the note cannot be read. */
export function lastVerified({ verified }: ClusterPaths): Verified | undefined {
  const found = v.safeParse(v.pipe(v.string(), v.parseJson(), verifiedSchema), readFileIfThere(verified))
  return found.success ? found.output : undefined
}

export function recordedClusters(): string[] {
  const folder = join(home(), '.cluster')
  return entriesIn(folder).filter((name) => existsSync(join(folder, name, 'cluster.json')))
}

/** Every later run goes by it. @throws OperationError when there are hosts of a cluster whose record was lost */
export function recordCluster(cluster: Cluster): void {
  const left = hostsLeft(cluster)
  if (!cluster.recorded && !cluster.formed && left) throw lostRecord(cluster, left)
  cluster.life ??= randomUUID()
  const { version, upgradingTo, token, keptBinaries: binaries, clientPort, peerPort } = cluster.etcd
  const record: ClusterRecord = {
    name: cluster.name,
    life: cluster.life,
    provider: cluster.provider,
    subnet: cluster.subnet,
    clientPort,
    peerPort,
    plainClients: cluster.plainClients,
    members: cluster.hosts.map(({ clientURL: _, peerURL: __, ...member }) => member),
    etcd: { version, upgradingTo, token: token === cluster.name ? undefined : token, binaries },
    begun: cluster.begun,
    formed: cluster.formed || undefined,
    highestRevision: cluster.highestRevision,
    vagrant: cluster.vagrant,
    inventory: cluster.own?.inventory,
    configFile: cluster.configFile,
  }
  writeFileIfChanged(cluster.paths.record, `${JSON.stringify(record, null, 2)}\n`, 0o600)
  cluster.recorded = true
}

/** Where they are, or are listed: the role's inventory is written after the record. */
export const hostsLeft = ({ provider, paths }: Cluster): string | undefined =>
  [paths.hosts, paths.vagrant, ...(provider === 'ssh' && !existsSync(paths.record) ? [paths.inventory] : [])].find(
    (path) => existsSync(path),
  )

/** What is said, and what helps, where the record is lost: a row of etcd/findings.ts, too. */
export const withoutRecord = {
  sentence: ({ name, at, what }: Record<'name' | 'at' | 'what', string>): string =>
    `There are hosts of cluster ${name} in ${at}, but its record ${what} is missing`,
  remedy: ({ provider }: Pick<Cluster, 'provider'>): Remedy =>
    provider === 'ssh'
      ? remedy`${byHand('Put the record back from your copy')}. If there is no copy, take up what the hosts have: \
${ours('adopt')}`
      : remedy`${byHand('Put the record back')}, or remove the hosts and their data: ${ours('down')}`,
}

/** A record that is there no longer, though hosts are. */
export function lostRecord(cluster: Cluster, at: string): OperationError {
  const helps = withoutRecord.remedy(cluster)
  const sentence = withoutRecord.sentence({ name: cluster.name, at, what: cluster.paths.record })
  return new OperationError(`${sentence}.`, { code: 'no-record', hint: inText(cluster, helps), remedy: helps })
}

/** The configuration file that a cluster was made with. @throws UsageError when that is gone */
export function recordedConfigFile(name: string): string | undefined {
  const file = /^[a-z0-9][a-z0-9.-]*$/.test(name) ? readRecord(clusterPaths(name).record)?.configFile : undefined
  if (file && !existsSync(file))
    throw new UsageError(`Cluster ${name} was made with the configuration ${file}, which is gone.`, {
      hint: 'Put it back, or name another one with --config.',
    })
  return file
}

export function readRecord(path: string): ClusterRecord | undefined {
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
  new UsageError(`${path} cannot be understood: ${why}.`, {
    hint: 'Put a good copy back. If there is none, remove that file, and run the same command again.',
  })

/** @throws UsageError where what is asked cannot become of the recorded cluster */
export function refuseContradiction(asked: Config, record: ClusterRecord): void {
  const { masters, provider, subnet, etcd: { clientPort, peerPort, version } = {} } = asked
  const pairs: [what: string, was: unknown, now: unknown, hint?: string][] = [
    [
      'masters',
      record.members.length,
      masters,
      `Members come and go one at a time: ${command(record, `scale --masters ${masters}`)}. Or ` +
        'leave masters out to go on with the cluster as it is.',
    ],
    ['provider', record.provider, provider === 'auto' ? undefined : provider],
    ['vagrant.provider', record.vagrant?.provider, asked.vagrant?.provider],
    ['subnet', record.subnet, subnet],
    ['etcd.clientPort', record.clientPort, clientPort],
    ['etcd.peerPort', record.peerPort, peerPort],
    [
      'etcd.version',
      record.etcd.version,
      version,
      'Leave it out, or say what it runs. An upgrade changes it: ' +
        `${command(record, `upgrade --etcd-version ${version}`)}`,
    ],
  ]
  for (const [what, was, now, hint] of pairs)
    if (was !== undefined && now !== undefined && was !== now)
      throw new UsageError(`Cluster ${record.name} was made with ${what} ${was}; it cannot become ${now}.`, {
        hint: hint ?? `Leave ${what} out to go on with the cluster as it is, or choose another name with --cluster.`,
      })
}
