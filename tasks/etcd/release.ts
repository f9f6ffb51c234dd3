// etcd's official release, from its site or from a mirror of it, checked against the sums that are pinned here.
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import * as v from 'valibot'
import { DownloadError, type DownloadOptions, download } from '../core/download.ts'
import { projectFolder } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { writeFileIfChanged } from '../core/files.ts'
import type { Machine } from '../core/machines.ts'
import { downloadsFolder, fetchTool, toolsFolder } from '../core/programs.ts'
import { readNote } from '../core/record.ts'
import { clock } from '../core/run.ts'
import { ask } from '../core/shell.ts'
import { type Got, NotThisWay, toolName } from './ways.ts'

/** SHA-256 in hexadecimal, by version and architecture. */
export type Sums = Record<string, Record<string, string>>

export interface ReleaseOptions {
  /** Where a mirror has the same layout as `official`. */
  mirror?: string | undefined
  report?: (line: string) => void
  pinned?: Sums
  stallMs?: number
}

const official = 'https://github.com/etcd-io/etcd/releases/download'
const pinnedHere = (): Sums => JSON.parse(readFileSync(join(projectFolder, 'tasks/etcd/releases.json'), 'utf8')) as Sums
/** The sums of releases that are not pinned, as they were when each was first used. */
const seenFile = (): string => join(toolsFolder(), 'etcd-sums.json')
const sums = v.record(v.string(), v.record(v.string(), v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))))
const seen = (): Sums =>
  readNote(seenFile(), sums, 'run the same command again: each release counts as one that is first used') ?? {}

/**
 * Downloads the release into .tools. A version that is not pinned is checked against SHA256SUMS of the same place, for
 * which only the transport vouches; its sum is recorded, and another one refused from then on.
 * @throws NotThisWay where it cannot be had
 * @throws OperationError when what came is not what it must be; nothing of it stays
 */
export async function fetchRelease(version: string, machine: Machine, options: ReleaseOptions = {}): Promise<Got> {
  const { mirror, report = () => {}, pinned = pinnedHere(), stallMs } = options
  if (machine.system !== 'linux') throw new NotThisWay('only the release for Linux is fetched')
  const { architecture } = machine
  const name = `etcd-v${version}-linux-${architecture}`
  const place = `${(mirror ?? official).replace(/\/+$/, '')}/v${version}`
  const known = pinned[version]?.[architecture]
  const sum = known ?? (await listedSum(place, version, architecture, `${name}.tar.gz`))
  const onProgress = progress(report, `${name}.tar.gz`)
  const archive = await fetchArchive(`${place}/${name}.tar.gz`, sum, { onProgress, ...(stallMs && { stallMs }) })
  const folder = await fetchTool(toolName('release', machine), async (part) => {
    await unpack(archive, part, version)
    return { from: join(part, name), version }
  })
  rmSync(archive)
  if (known)
    return { folder, version, told: `the official release from ${new URL(place).host}, SHA-256 as pinned here` }
  const before = seen()
  const now = { ...before, [version]: { ...before[version], [architecture]: sum } }
  writeFileIfChanged(seenFile(), `${JSON.stringify(now, null, 2)}\n`, 0o600)
  const vouched = `its SHA-256 is not pinned here: only the connection to ${new URL(place).host} vouches for it`
  return { folder, version, told: `the release from ${new URL(place).host}; ${vouched}; ${sum} was recorded` }
}

/** The sum that SHA256SUMS of that place gives. @throws OperationError when another one was recorded before */
async function listedSum(place: string, version: string, architecture: string, archive: string): Promise<string> {
  const { protocol, host } = new URL(place)
  if (protocol !== 'https:')
    throw new NotThisWay(`etcd ${version} is not pinned here, and ${host} has no TLS to vouch for it`)
  const file = join(downloadsFolder(), `SHA256SUMS-${process.pid}`)
  const { path } = await download(`${place}/SHA256SUMS`, file).catch(asNotThisWay)
  const list = readFileSync(path, 'utf8')
  rmSync(path)
  const line = new RegExp(`^([0-9a-f]{64})[ *]+${archive.replaceAll('.', '\\.')}$`, 'm')
  const sum = line.exec(list)?.[1]
  if (!sum) throw new NotThisWay(`SHA256SUMS of ${host} does not list ${archive}`)
  const before = seen()[version]?.[architecture]
  if (!before || before === sum) return sum
  throw new OperationError(
    `The release of etcd ${version} was changed: ${host} says that its SHA-256 is ${sum}, but it was ${before}.`,
    { hint: `Do not use it. Where etcd's maintainers say why, take that sum out of ${seenFile()} and run this again.` },
  )
}

function asNotThisWay(error: unknown): never {
  throw error instanceof DownloadError ? new NotThisWay(error.message) : error
}

/** @returns its path. A part that an earlier run got may have spoilt it: then once more from the start. */
async function fetchArchive(url: string, expected: string, options: DownloadOptions): Promise<string> {
  for (;;) {
    const { path, resumed } = await download(url, join(downloadsFolder(), basename(url)), options).catch(asNotThisWay)
    const sum = await sha256(path)
    if (sum === expected) return path
    rmSync(path)
    if (!resumed)
      throw new OperationError(`What came from ${url} is not the release: its SHA-256 is ${sum}, not ${expected}.`, {
        hint: 'Something on the way changed the file. Do not use it; try another network or mirror.',
      })
  }
}

/** A line of progress, five times a second at most. */
function progress(report: (line: string) => void, name: string): (received: number, total?: number) => void {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)
  let last = 0
  return (received, total) => {
    if (clock() - last < 200 && received !== total) return
    last = clock()
    report(`${name}: ${megabytes(received)}${total ? ` of ${megabytes(total)}` : ''} MB`)
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) hash.update(chunk)
  return hash.digest('hex')
}

async function unpack(archive: string, into: string, version: string): Promise<void> {
  const { exitCode, stderr } = await ask('tar', ['-xzf', archive, '-C', into, '--no-same-owner'])
  if (exitCode !== 0)
    throw new OperationError(`The release of etcd ${version} could not be unpacked.`, { output: stderr })
}
