// Programs this project needs: where they are, which version, and getting what is missing on Debian's kin.

import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { home, unheard } from './environment.ts'
import { notFound, OperationError } from './errors.ts'
import { entriesIn } from './files.ts'
import { run } from './run.ts'
import { ask, work } from './shell.ts'

/** Programs fetched for this project, a folder for each program and version. */
export const toolsFolder = (): string => join(home(), '.tools')

/** Where a download is kept until it is whole and checked. */
export const downloadsFolder = (): string => join(toolsFolder(), 'downloads')

/** The program's path: on PATH, else in .tools/<tool>-<version>/; undefined where there is none. */
export function findProgram(name: string, tool?: string): string | undefined {
  const folders = searchPath().split(delimiter).filter(Boolean)
  return [...folders, ...(tool ? fetchedFolders(tool) : [])].map((folder) => join(folder, name)).find(isExecutable)
}

/** As findProgram, for a program that must be there by now. @throws OperationError */
export function requireProgram(name: string, tool?: string): string {
  const path = findProgram(name, tool)
  if (!path) throw notFound(name)
  return path
}

/** .tools/<name>-<version> folders, the highest version first. */
export function fetchedFolders(name: string): string[] {
  const versionIn = (entry: string): string => entry.slice(name.length + 1)
  return entriesIn(toolsFolder())
    .filter((entry) => entry.startsWith(`${name}-`) && /^\d/.test(versionIn(entry)) && !entry.includes('.part'))
    .sort((a, b) => compareVersions(versionIn(b), versionIn(a)))
    .map((entry) => join(toolsFolder(), entry))
}

/** Negative, zero or positive, as a is lower than, equal to or higher than b. Versions are numbers with dots. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let place = 0; place < 3; place++) {
    const difference = (left?.[place] ?? 0) - (right?.[place] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The person's own PATH, for a program that is started with nothing else of their environment. */
export const searchPath = (): string => run().env.PATH ?? ''

/** The first number with dots in what `program ...args` prints; undefined where it does not run. Asked once a run. */
export function versionOf(program: string, args = ['--version']): Promise<string | undefined> {
  const fetched = program.startsWith(`${toolsFolder()}/`)
    ? /-(\d+\.\d+(\.\d+)?)$/.exec(dirname(program))?.[1]
    : undefined
  if (fetched) return Promise.resolve(fetched)
  return run().once([program, ...args].join(' '), async () => {
    const { stdout, stderr, exitCode } = await ask(program, args, { env: unheard('ETCDCTL_'), timeout: 30_000 })
    return exitCode === 0 ? /\d+\.\d+(\.\d+)?/.exec(stdout + stderr)?.[0] : undefined
  })
}

export const hasApt = (): boolean => findProgram('apt-get') !== undefined && findProgram('dpkg') !== undefined

export const isRoot = (): boolean => process.getuid?.() === 0

/** Installs packages through apt; needs root. @throws OperationError with apt's last words */
export async function aptInstall(packages: string[], report: (line: string) => void): Promise<void> {
  await refreshPackageLists(packages[0] ?? '')
  await apt(['install', '--yes', '--no-install-recommends', ...packages], {
    onLine: (line) => void (line.startsWith('Setting up ') && report(line)),
  })
}

/** Unpacks packages into a folder, without root and without installing them. @returns the version of the first */
export async function aptUnpack(packages: string[], into: string): Promise<string> {
  await refreshPackageLists(packages[0] ?? '')
  const downloads = join(into, 'packages')
  mkdirSync(downloads, { recursive: true })
  await apt(['download', ...packages], { cwd: downloads })
  const files = readdirSync(downloads)
  for (const file of files) {
    const { exitCode, stderr } = await ask('dpkg', ['-x', join(downloads, file), into])
    if (exitCode !== 0) throw new OperationError(`The package ${file} could not be unpacked.`, { output: stderr })
  }
  rmSync(downloads, { recursive: true })
  const first = files.find((file) => file.startsWith(`${packages[0]}_`)) ?? ''
  return /_(?:\d+%3a)?(\d+\.\d+(\.\d+)?)/.exec(first)?.[1] ?? '0.0.0'
}

/** Makes .tools/<name>-<version> whole or not at all: `fill` gets a folder, and says which one in it becomes that. */
export async function fetchTool(
  name: string,
  fill: (folder: string) => Promise<{ from: string; version: string }>,
): Promise<string> {
  mkdirSync(toolsFolder(), { recursive: true })
  const part = mkdtempSync(join(toolsFolder(), `${name}-.part`))
  try {
    const { from, version } = await fill(part)
    const target = join(toolsFolder(), `${name}-${version}`)
    chmodSync(from, 0o755)
    if (!existsSync(target)) renameSync(from, target)
    return target
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
}

/** A machine may have no package lists yet. Only root can fetch them. */
async function refreshPackageLists(name: string): Promise<void> {
  const { stdout } = await ask('apt-cache', ['show', '--no-all-versions', name])
  if (stdout === '' && isRoot()) await apt(['update'])
}

let aptIsBusy: Promise<unknown> = Promise.resolve()

/** One apt-get at a time: it holds locks of its own, and not all of its commands wait for them. */
function apt(args: string[], options: { cwd?: string; onLine?: (line: string) => void } = {}): Promise<void> {
  const turn = aptIsBusy.then(() => runApt(args, options))
  aptIsBusy = turn.catch(() => undefined)
  return turn
}

async function runApt(args: string[], options: { cwd?: string; onLine?: (line: string) => void }): Promise<void> {
  const settings = ['-o', 'DPkg::Lock::Timeout=60', '-o', 'APT::Sandbox::User=root']
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const { exitCode, stdout, stderr } = await work('apt-get', [...settings, ...args], { ...options, env })
  if (exitCode !== 0)
    throw new OperationError(`apt-get ${args.filter((word) => !word.startsWith('-')).join(' ')} failed.`, {
      output: stderr || stdout,
      hint: 'Run apt-get update as root, then the same command again.',
    })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The minor version: 3.5 of 3.5.33. */
export const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.')
