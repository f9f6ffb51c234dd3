// The files of etcd's programs: whether a folder has what it must, for the machine that is to run them.
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../core/errors.ts'
import { type Architecture, architectureHere, byElf } from '../core/machines.ts'
import { compareVersions, versionOf } from '../core/programs.ts'

const names = ['etcd', 'etcdctl', 'etcdutl'] as const

/** Whether all three are there. */
export const complete = (folder: string): boolean => names.every((name) => existsSync(join(folder, name)))

/**
 * Refuses a person's own folder where a program is missing, not executable, made for another architecture, or of
 * another version. Programs of another architecture do not run here: they must bear `expected` in them.
 * @returns the version
 * @throws UsageError with a sentence of its own for each
 */
export async function refuseUnfit(folder: string, architecture: Architecture, expected?: string): Promise<string> {
  const there = names.filter((name) => name !== 'etcdutl' || existsSync(join(folder, name)))
  for (const name of there) refuseFile(join(folder, name), name, architecture)
  const foreign = architecture !== architectureHere()
  const versions = foreign ? [] : await Promise.all(there.map((name) => versionIn(folder, name)))
  const silent = foreign ? undefined : there.find((_, index) => !versions[index])
  if (silent)
    throw new UsageError(`etcd.binaries: ${folder}/${silent} does not run on this machine.`, {
      hint: `See why: ${folder}/${silent} ${wordsFor(silent)}`,
    })
  const version = expected ?? versions[0] ?? ''
  const other = foreign
    ? there.find((name) => !readFileSync(join(folder, name)).includes(version))
    : there.find((_, index) => versions[index] !== version)
  if (other)
    throw new UsageError(
      foreign
        ? `etcd.binaries: ${folder}/${other} is not of version ${version}, as the programs for this machine are.`
        : `etcd.binaries: ${folder} has etcd ${version}, but its ${other} is of ${versions[there.indexOf(other)]}.`,
      { hint: 'Take all three programs from one release.' },
    )
  if (!there.includes('etcdutl') && compareVersions(version, '3.5') >= 0) throw missing(folder, 'etcdutl')
  return version
}

const missing = (folder: string, name: string): UsageError =>
  new UsageError(`etcd.binaries: ${folder} has no ${name}.`, {
    hint: 'A folder needs etcd, etcdctl and etcdutl of one version; only 3.4 has no etcdutl.',
  })

function refuseFile(path: string, name: string, architecture: Architecture): void {
  if (!existsSync(path)) throw missing(path.slice(0, -name.length - 1), name)
  try {
    accessSync(path, constants.X_OK)
  } catch {
    throw new UsageError(`etcd.binaries: ${path} is not executable.`, { hint: `Make it so: chmod +x ${path}` })
  }
  const kind = kindOf(path)
  if (kind === 'script' || kind === architecture || (kind === 'other' && process.platform !== 'linux')) return
  const made = kind === 'other' ? 'no program for Linux' : `made for ${kind}, not for ${architecture}`
  throw new UsageError(`etcd.binaries: ${path} is ${made}.`, {
    hint: 'For hosts of several architectures name a folder for each, as cluster.example.yaml shows.',
  })
}

const wordsFor = (name: string): string => (name === 'etcd' ? '--version' : 'version')

const versionIn = (folder: string, name: string): Promise<string | undefined> =>
  versionOf(join(folder, name), [wordsFor(name)]).catch(() => undefined)

/** The architecture of a Linux program, by its ELF header; a script, which starts some other; or something else. */
export function kindOf(path: string): Architecture | 'script' | 'other' {
  const head = Buffer.alloc(20)
  const file = openSync(path, 'r')
  try {
    readSync(file, head)
  } finally {
    closeSync(file)
  }
  if (head.toString('latin1', 0, 2) === '#!') return 'script'
  if (head.toString('latin1', 0, 4) !== '\x7fELF') return 'other'
  return byElf(head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18)) ?? 'other'
}
