// etcd's own programs: which ones this cluster runs, and fetching them when there are none.
import { createHash } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { defaults } from '../core/config.ts'
import { projectFolder } from '../core/environment.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import {
  aptUnpack,
  compareVersions,
  fetchedFolders,
  fetchTool,
  findProgram,
  hasApt,
  versionOf,
} from '../core/programs.ts'
import { run } from '../core/run.ts'
import { ask } from '../core/shell.ts'

/** A folder with etcd and etcdctl, and their version. */
export interface EtcdBinaries {
  folder: string
  version: string
}

const oldest = '3.4.0'
/** Its `etcdctl endpoint health` ends where any ETCDCTL_* is set, as all our calls do; mended in 3.6.1 (etcd-io/etcd#20118). */
const deaf = '3.6.0'
const found = new Map<string, EtcdBinaries>()

/**
 * The programs this cluster runs: the person's own folder; else the version asked for or recorded,
 * on PATH or in .tools/; else what PATH has; else the newest in .tools/. Undefined: none, fetchEtcd gets them.
 * PATH's are passed over where they are to be pushed to hosts and are not for Linux (Homebrew's).
 * @throws UsageError when they are too old or 3.6.0; when the person's own are incomplete, or another version than recorded
 */
export async function findEtcd(cluster: Cluster): Promise<EtcdBinaries | undefined> {
  const { binaries, version, upgradingTo, looksOnly } = cluster.etcd
  const key = `${cluster.provider} ${binaries} ${version} ${upgradingTo}`
  const known = found.get(key)
  if (known) return known
  const answer = binaries ? await own(binaries, looksOnly ? undefined : version, upgradingTo) : await search(cluster)
  if (answer) found.set(key, usable(answer))
  return answer
}

/** As findEtcd, where they must be there. @throws OperationError */
export async function requireEtcd(cluster: Cluster): Promise<EtcdBinaries> {
  const answer = await findEtcd(cluster)
  if (answer) return answer
  throw new OperationError(await etcdMissing(cluster), { hint: 'Get what is missing with: npx zx scripts/doctor.ts' })
}

/** That findEtcd found none, in a sentence. */
export async function etcdMissing(cluster: Cluster): Promise<string> {
  const wanted = `etcd${cluster.etcd.version ? ` ${cluster.etcd.version}` : ''} and etcdctl`
  const onPath = await etcdOnPath()
  return onPath && !serves(cluster, onPath)
    ? `${wanted} for the hosts were not found: those in ${onPath.folder} are not for Linux, which the hosts run.`
    : `${wanted} were not found.`
}

/** As requireEtcd, to be run on this machine: where it is no Linux, the hosts' programs do not run here, and PATH's are taken. @throws OperationError */
export async function requireEtcdHere(cluster: Cluster): Promise<EtcdBinaries> {
  if (cluster.provider === 'local' || process.platform === 'linux') return requireEtcd(cluster)
  const onPath = await etcdOnPath()
  if (onPath) return usable(onPath)
  throw new OperationError('etcd and etcdctl for this machine were not found.', {
    hint: 'Put them on PATH (macOS: brew install etcd); those for the hosts are fetched.',
  })
}

/** The path of an etcdctl that runs here: on Linux, of the version that the cluster runs. */
export const etcdctlPath = async (cluster: Cluster): Promise<string> =>
  join((await requireEtcdHere(cluster)).folder, 'etcdctl')

/**
 * Gets etcd into .tools/: the official release, checked against its pinned SHA-256; where that cannot be
 * reached, the distribution's package, unpacked there.
 * @returns what was got and, in words, from where
 * @throws OperationError when the version asked for cannot be had
 */
export async function fetchEtcd(cluster: Cluster): Promise<EtcdBinaries & { source: string }> {
  const wanted = cluster.etcd.version
  const version = wanted ?? defaults.etcd.version
  const release = await fetchRelease(version, cluster.provider === 'local' ? process.platform : 'linux')
  if ('folder' in release)
    return { folder: release.folder, version, source: `the official release ${version}, SHA-256 checked` }
  const hint = `Put etcd and etcdctl ${wanted ?? '(3.4 or later)'} on PATH, or name their folder with etcd.binaries in the configuration.`
  if (!hasApt()) throw new OperationError(`etcd ${version} could not be fetched: ${release.unavailable}.`, { hint })
  const folder = await fetchTool('etcd', async (part) => {
    const packaged = await aptUnpack(['etcd-server', 'etcd-client'], part)
    if (wanted && packaged !== wanted)
      throw new OperationError(
        `etcd ${wanted} could not be fetched (${release.unavailable}), and the distribution's package is ${packaged}.`,
        { hint },
      )
    mkdirSync(join(part, 'etcd'))
    const programs = ['etcd', 'etcdctl', 'etcdutl'].filter((program) => existsSync(join(part, 'usr/bin', program))) // etcdutl: from 3.5 on
    for (const program of programs) renameSync(join(part, 'usr/bin', program), join(part, 'etcd', program))
    return { from: join(part, 'etcd'), version: packaged }
  })
  return {
    folder,
    version: folder.slice(folder.lastIndexOf('-') + 1),
    source: `the distribution's package, since the official release ${version} cannot be reached`,
  }
}

type Checksums = Record<string, Record<string, string>>
const checksums = (): Checksums =>
  JSON.parse(readFileSync(join(projectFolder, 'tasks/etcd/releases.json'), 'utf8')) as Checksums

/** The official releases whose SHA-256 is pinned here. */
export const pinnedVersions = (): string[] => Object.keys(checksums())

/** Whether fetchEtcd knows where to get this version. Whether the network lets it is another question. */
export async function canFetch(version: string): Promise<boolean> {
  if (pinnedVersions().includes(version)) return true
  return hasApt() && (await ask('apt-cache', ['policy', 'etcd-server'])).stdout.includes(`Candidate: ${version}`)
}

/** While an upgrade is under way the folder may have the version that it leads to. */
async function own(
  folder: string,
  version: string | undefined,
  upgradingTo: string | undefined,
): Promise<EtcdBinaries> {
  const mine = await binariesIn(folder)
  if (!mine)
    throw new UsageError(`etcd.binaries: ${folder} does not have both etcd and etcdctl that run on this machine.`)
  usable(mine)
  if (version && mine.version !== version && mine.version !== upgradingTo)
    throw new UsageError(`etcd.binaries: ${folder} has etcd ${mine.version}, but this cluster runs ${version}.`, {
      hint: `Name a folder with the version it runs; or upgrade: npx zx scripts/upgrade.ts --etcd-version ${mine.version}`,
    })
  return mine
}

async function search(cluster: Cluster): Promise<EtcdBinaries | undefined> {
  const { version } = cluster.etcd
  const any = await etcdOnPath()
  const onPath = any && serves(cluster, any) ? any : undefined
  if (onPath && (!version || onPath.version === version)) return onPath
  if (cluster.provider === 'local' && process.platform !== 'linux') return undefined // what is fetched is for Linux
  const fetched = fetchedFolders('etcd').map((folder) => ({
    folder,
    version: folder.slice(folder.lastIndexOf('-') + 1),
  }))
  return fetched.find((candidate) => !version || candidate.version === version)
}

async function etcdOnPath(): Promise<EtcdBinaries | undefined> {
  const path = findProgram('etcd')
  return path ? binariesIn(dirname(path)) : undefined
}

/** Whether the programs can run where the members do: pushed to hosts they must be ELF files, or scripts that start some. */
const serves = ({ provider }: Cluster, { folder }: EtcdBinaries): boolean =>
  provider === 'local' ||
  ['etcd', 'etcdctl']
    .map((name) => firstBytes(join(folder, name), 4))
    .every((start) => start === '\x7fELF' || start.startsWith('#!'))

function firstBytes(path: string, count: number): string {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(count)
    readSync(file, bytes)
    return bytes.toString('latin1')
  } finally {
    closeSync(file)
  }
}

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

async function binariesIn(folder: string): Promise<EtcdBinaries | undefined> {
  if (!existsSync(join(folder, 'etcdctl'))) return undefined
  const [etcd, etcdctl] = await Promise.all([
    versionOf(join(folder, 'etcd')),
    versionOf(join(folder, 'etcdctl'), ['version']),
  ])
  return etcd && etcdctl ? { folder, version: etcd } : undefined
}

/** The official release, or why it is not to be had. @throws OperationError when what came is not what was pinned */
async function fetchRelease(version: string, system: string): Promise<{ folder: string } | { unavailable: string }> {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const expected = system === 'linux' ? checksums()[version]?.[architecture] : undefined
  if (!expected) return { unavailable: `no checksum of etcd ${version} for ${system}/${architecture} is pinned here` }
  const name = `etcd-v${version}-linux-${architecture}`
  const url = `https://github.com/etcd-io/etcd/releases/download/v${version}/${name}.tar.gz`
  const archive = await download(url)
  if (!archive) return { unavailable: `${new URL(url).host} cannot be reached` }
  const sum = createHash('sha256').update(archive).digest('hex')
  if (sum !== expected)
    throw new OperationError(`What came from ${url} is not the release: its SHA-256 is ${sum}, not ${expected}.`, {
      hint: 'Something on the way changed the file. Do not use it; try another network.',
    })
  const folder = await fetchTool('etcd', async (part) => {
    writeFileSync(join(part, 'etcd.tar.gz'), archive)
    const { exitCode, stderr } = await ask('tar', ['-xzf', join(part, 'etcd.tar.gz'), '-C', part, '--no-same-owner'])
    if (exitCode !== 0)
      throw new OperationError(`The release of etcd ${version} could not be unpacked.`, { output: stderr })
    return { from: join(part, name), version }
  })
  return { folder }
}

async function download(url: string): Promise<Buffer | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([run.signal, AbortSignal.timeout(300_000)]) })
    return response.ok ? Buffer.from(await response.arrayBuffer()) : undefined
  } catch {
    run.throwIfStopped()
    return undefined
  }
}
