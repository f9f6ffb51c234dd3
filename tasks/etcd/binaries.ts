// etcd's own programs: which ones this cluster runs.
import { dirname, join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { defaults } from '../core/config.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { type Architecture, architectureHere, architectures, unameOf } from '../core/machines.ts'
import { compareVersions, findProgram, versionOf } from '../core/programs.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { listed } from '../core/terminal.ts'
import { waysOf } from './fetch.ts'
import { complete, kindOf, refuseUnfit } from './program-files.ts'
import { gotBefore, machineOf } from './ways.ts'

/** A folder with etcd, etcdctl and etcdutl (which 3.4 does not have), and their version. */
export interface EtcdBinaries {
  folder: string
  version: string
  /** For hosts of several architectures: the folder of each, this machine's among them. */
  folders?: Partial<Record<Architecture, string>>
}

const oldest = '3.4.0'
/** Its `etcdctl endpoint health` ends where any ETCDCTL_* is set, as ours are (etcd-io/etcd#20118; 3.6.1 mends it). */
const deaf = '3.6.0'
/** What this run found before. */
const found = (): Map<string, EtcdBinaries> => run().once('etcd', () => new Map())

/**
 * The programs this cluster runs: the person's own folder; else the version asked for or recorded, from the folder that
 * was theirs before, on PATH or in .tools/; else what PATH has; else the default version in .tools/, or the
 * distribution's. Undefined: none, fetchEtcd gets them. PATH is passed over where etcd.source names a way, and where
 * its programs are to be pushed to hosts that they are not for.
 * @throws UsageError when they are too old or 3.6.0; when the person's own are unfit, or another version than recorded
 */
export async function findEtcd(cluster: Cluster): Promise<EtcdBinaries | undefined> {
  const { binaries, keptBinaries, version, upgradingTo, source } = cluster.etcd
  const key = JSON.stringify([cluster.provider, source, binaries, keptBinaries, version, upgradingTo])
  const known = found().get(key)
  if (known) return known
  const answer = binaries ? await own(cluster) : ((await kept(cluster)) ?? (await search(cluster)))
  if (answer) found().set(key, usable(answer))
  return answer
}

/** What the role gets of the folder; where there is one for each architecture, by what the hosts call that. */
export const byMachine = (
  { folder, folders }: EtcdBinaries,
  of: (folder: string) => string = (one) => one,
): string | Record<string, string> =>
  folders
    ? Object.fromEntries(Object.entries(folders).map(([name, path]) => [unameOf(name as Architecture), of(path)]))
    : of(folder)

/** Programs were got since: they are looked for again. */
export const lookAgain = (): void => found().clear()

/** As findEtcd, where they must be there. @throws OperationError */
export async function requireEtcd(cluster: Cluster): Promise<EtcdBinaries> {
  const answer = await findEtcd(cluster)
  if (answer) return answer
  throw new OperationError(await etcdMissing(cluster), {
    hint: `Get what is missing with: ${command(cluster, 'doctor')}`,
  })
}

/** That findEtcd found none, in a sentence. */
export async function etcdMissing(cluster: Cluster): Promise<string> {
  const { version, keptBinaries } = cluster.etcd
  const wanted = `etcd${version ? ` ${version}` : ''} and etcdctl`
  const onPath = await etcdOnPath()
  return onPath && !serves(cluster, onPath)
    ? `${wanted} for the hosts were not found: those in ${onPath.folder} are not for Linux, which the hosts run.`
    : `${wanted} were not found${keptBinaries ? `: ${foldersOf(keptBinaries)} no longer has them` : ''}.`
}

/**
 * As requireEtcd, to be run on this machine: where it is no Linux, the hosts' programs do not run here, and PATH's are
 * taken.
 * @throws OperationError
 */
export async function requireEtcdHere(cluster: Cluster): Promise<EtcdBinaries> {
  if (cluster.provider === 'local' || process.platform === 'linux') return requireEtcd(cluster)
  const [onPath, fetched] = [await etcdOnPath(), gotBefore(waysOf(cluster), machineOf('local'))[0]]
  const mine = onPath ?? fetched
  if (mine) return usable({ folder: mine.folder, version: mine.version })
  throw new OperationError('etcd and etcdctl for this machine were not found.', {
    hint: 'Put them on PATH (macOS: brew install etcd); those for the hosts are fetched.',
  })
}

/** The path of an etcdctl that runs here: on Linux, of the version that the cluster runs. */
export const etcdctlPath = async (cluster: Cluster): Promise<string> =>
  join((await requireEtcdHere(cluster)).folder, 'etcdctl')

/** While an upgrade is under way the folder may have the version that it leads to. */
async function own(cluster: Cluster): Promise<EtcdBinaries> {
  const { version, upgradingTo, looksOnly } = cluster.etcd
  const mine = await ownPrograms(cluster)
  if (version && !looksOnly && mine.version !== version && mine.version !== upgradingTo)
    throw new UsageError(`etcd.binaries: ${mine.folder} has etcd ${mine.version}, but this cluster runs ${version}.`, {
      hint: `Name a folder that has etcd ${version}. What an upgrade would need: ${command(cluster, 'upgrade --plan')}`,
    })
  return mine
}

/** From the folder that etcd.binaries named before, as long as it has this very version. */
async function kept(cluster: Cluster): Promise<EtcdBinaries | undefined> {
  const { keptBinaries: binaries, version } = cluster.etcd
  if (!binaries) return undefined
  try {
    const programs = await ownPrograms({ ...cluster, etcd: { ...cluster.etcd, binaries } })
    return programs.version === version ? programs : undefined
  } catch (error) {
    if (error instanceof UsageError) return undefined
    throw error
  }
}

/** Has the record say what the hosts run from now on, and which folder of the person's own that came from. */
export async function noteVersion(cluster: Cluster, version: string | undefined): Promise<void> {
  Object.assign(cluster.etcd, { version, upgradingTo: undefined })
  cluster.etcd.keptBinaries = cluster.etcd.binaries ?? ((await kept(cluster)) && cluster.etcd.keptBinaries)
  recordCluster(cluster)
}

/**
 * Which programs the hosts get where etcd.binaries was taken out of the configuration; '' where it was not, or where a
 * move brings others.
 */
export async function sayKept(cluster: Cluster, { folder, version }: EtcdBinaries): Promise<string> {
  const { binaries, keptBinaries, looksOnly } = cluster.etcd
  if (binaries || !keptBinaries || looksOnly) return ''
  const before = foldersOf(keptBinaries)
  return (await kept(cluster))
    ? `etcd.binaries is gone from the configuration: the hosts keep the programs of ${before}. ` +
        `Name another folder to change them, or say etcd.version: ${version}.`
    : `etcd.binaries is gone from the configuration, and ${before} has no etcd ${version}: ` +
        `the hosts get that version from ${folder}.`
}

const foldersOf = (binaries: string | object): string =>
  listed(typeof binaries === 'string' ? [binaries] : Object.values(binaries))

/** The person's own programs, whatever their version. @throws UsageError where they are unfit */
export async function ownPrograms({ etcd: { binaries = '' } }: Cluster): Promise<EtcdBinaries> {
  const here = architectureHere()
  const folders = typeof binaries === 'string' ? { [here]: binaries } : binaries
  const folder = folders[here]
  if (!folder)
    throw new UsageError(`etcd.binaries has no folder for ${here}, which this machine is.`, {
      hint: 'Name one: status, verify and backup run etcdctl here.',
    })
  const mine = usable({ folder, version: await refuseUnfit(folder, here) })
  for (const [other, path] of Object.entries(folders) as [Architecture, string][])
    if (other !== here) await refuseUnfit(path, other, mine.version)
  return typeof binaries === 'string' ? mine : { ...mine, folders }
}

/** The version in the person's own folder; undefined where they name none. @throws UsageError where that is unfit */
export async function ownVersion({ etcd: { binaries } }: Cluster): Promise<string | undefined> {
  const folder = typeof binaries === 'string' ? binaries : binaries?.[architectureHere()]
  return folder && refuseUnfit(folder, architectureHere())
}

async function search(cluster: Cluster): Promise<EtcdBinaries | undefined> {
  const { version, source } = cluster.etcd
  const any = source === 'auto' ? await etcdOnPath() : undefined
  const onPath = any && serves(cluster, any) ? any : undefined
  if (onPath && (!version || onPath.version === version)) return withOthers(cluster, onPath)
  const fetched = gotBefore(waysOf(cluster), machineOf(cluster.provider))
  const chosen =
    fetched.find((candidate) => candidate.version === (version ?? defaults.etcd.version)) ??
    (version ? undefined : fetched.find(({ way }) => way === 'distribution'))
  return chosen && withOthers(cluster, { folder: chosen.folder, version: chosen.version })
}

/** With the same version for other architectures, where it was fetched for hosts. */
function withOthers(cluster: Cluster, mine: EtcdBinaries): EtcdBinaries {
  if (cluster.provider === 'local') return mine
  const others = architectures.flatMap((architecture) => {
    const fetched = gotBefore(waysOf(cluster), machineOf(cluster.provider, architecture))
    const same = fetched.find(({ version }) => version === mine.version)
    return same && architecture !== architectureHere() ? [[architecture, same.folder]] : []
  })
  if (others.length === 0) return mine
  return { ...mine, folders: { [architectureHere()]: mine.folder, ...Object.fromEntries(others) } }
}

/** Only where all are there that this version needs: without etcdutl a backup could not be proven from 3.6 on. */
async function etcdOnPath(): Promise<EtcdBinaries | undefined> {
  const path = findProgram('etcd')
  const folder = path && dirname(path)
  const version = folder && (await versionOf(path))
  if (!version || !(await versionOf(join(folder, 'etcdctl'), ['version']).catch(() => undefined))) return undefined
  return compareVersions(version, '3.6') >= 0 && !complete(folder) ? undefined : { folder, version }
}

/** Whether the programs run where the members do: on hosts they must be Linux's, or scripts that start such. */
const serves = ({ provider }: Cluster, { folder }: EtcdBinaries): boolean =>
  provider === 'local' ||
  ['etcd', 'etcdctl'].map((name) => kindOf(join(folder, name))).every((kind) => kind !== 'other')

/** The same programs, where we can work with their version. @throws UsageError */
function usable(binaries: EtcdBinaries): EtcdBinaries {
  const { folder, version } = binaries
  const old = compareVersions(version, oldest) < 0 ? 'too old: 3.4 or later is needed.' : ''
  const reason =
    version === deaf
      ? 'of no use here: its etcdctl cannot be told by ETCDCTL_* whom to ask (etcd-io/etcd#20118). Take a later 3.6.'
      : old
  if (!reason) return binaries
  throw new UsageError(`etcd in ${folder} is ${version}, which is ${reason}`, {
    hint: 'Put a newer etcd first on PATH, or name its folder with etcd.binaries in the configuration.',
  })
}
