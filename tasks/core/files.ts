// Files that are either there whole or not at all.
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { isSystemError, UsageError } from './errors.ts'

export interface NewFile {
  path: string
  content: string
  mode: number
  /** Whose it is to be; none: this process's. Only root may give a file away. */
  owner?: { uid: number; gid: number } | undefined
}

const sync = promisify(fsync)
const temporaryName = /\.[0-9a-f]{8}\.tmp$/
const temporaryFor = (path: string): string => `${path}.${randomBytes(4).toString('hex')}.tmp`

/**
 * Writes a file atomically: temporary file beside it, fsync, rename, fsync of the folder.
 * Missing folders are made with mode 0700. A kill at any moment leaves the old file or the new one.
 */
export function writeFileAtomic(path: string, content: string | Uint8Array, mode: number): void {
  makeFolder(dirname(path))
  const temporary = temporaryFor(path)
  try {
    writeFileSync(temporary, content, { flag: 'wx', mode, flush: true })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw withPath(error, path)
  }
  syncFolder(dirname(path))
}

/** As writeFileAtomic for many files: the disk is waited for once, and then they appear in the order given. */
export async function writeFilesAtomic(files: NewFile[]): Promise<void> {
  const folders = [...new Set(files.map(({ path }) => dirname(path)))]
  folders.forEach(makeFolder)
  const pending = files.map((file) => ({ ...file, temporary: temporaryFor(file.path) }))
  try {
    await Promise.all(pending.map(writeTemporary))
    for (const { path, temporary } of pending) renameSync(temporary, path)
  } catch (error) {
    for (const { temporary } of pending) rmSync(temporary, { force: true })
    throw error
  }
  await Promise.all(folders.map(syncBesideOthers))
}

/** Writes at once, and waits for the disk beside others. */
async function writeTemporary(file: NewFile & { temporary: string }): Promise<void> {
  const { path, content, mode, owner, temporary } = file
  let fd: number | undefined
  try {
    fd = openSync(temporary, 'wx', mode)
    if (owner) fchownSync(fd, owner.uid, owner.gid)
    fchmodSync(fd, mode) // whatever the umask
    writeFileSync(fd, content) // unlike writeSync, to its end or not at all: a disk that fills up takes a part
    await sync(fd)
  } catch (error) {
    throw withPath(error, path)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** Removes the temporary files that a killed run left in a folder. Only whoever holds the cluster's lock may. */
export function removeHalfWritten(folder: string, recursive: boolean, which = (_name: string): boolean => true): void {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder, { recursive, encoding: 'utf8' }))
    if (temporaryName.test(name) && which(name)) rmSync(join(folder, name), { force: true })
}

/** A write on a full disk does not say where, nor does who reads a folder. */
const withPath = (error: unknown, path: string): NodeJS.ErrnoException =>
  Object.assign(error as NodeJS.ErrnoException, { path })

/** Makes a folder, and those above it that are missing, for this user alone (0700). */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    // On a read-only file system Node says ENOENT here (nodejs/node#47098); the first missing folder says why.
    let first = path
    while (!existsSync(dirname(first))) first = dirname(first)
    mkdirSync(first, { mode: 0o700 })
    makeFolder(path)
  }
}

/** As writeFileAtomic, but leaves a file alone that already has this content and mode. Returns whether it wrote. */
export function writeFileIfChanged(path: string, content: string, mode: number): boolean {
  if (readFileIfThere(path) === content && (statSync(path).mode & 0o777) === mode) return false
  writeFileAtomic(path, content, mode)
  return true
}

/** The file's text, or undefined where there is none, as of a process that just ended. Any other failure is thrown. */
export function readFileIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw withPath(error, path)
  }
}

/** A file that a person named. @throws UsageError where it cannot be read */
export function readGiven(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'it is not there' : code === 'EISDIR' ? 'it is a folder' : code
    throw new UsageError(`${path} cannot be read: ${why}.`)
  }
}

/** Without links, as far as it is there: a file or folder may have several names. */
export function realPath(path: string): string {
  if (existsSync(path)) return realpathSync(path)
  return path === dirname(path) ? path : join(realPath(dirname(path)), basename(path))
}

/** The path itself, or the nearest folder above it that is there. */
export const nearestThere = (path: string): string => (existsSync(path) ? path : nearestThere(dirname(path)))

/**
 * The system's code (EACCES, EROFS) where this user cannot make anything in that folder; else undefined. Only trying
 * shows it: /proc takes nothing, though its modes allow it.
 */
export function whyNotWritable(folder: string): string | undefined {
  try {
    rmdirSync(mkdtempSync(join(folder, '.ha-etcd-')))
    return undefined
  } catch (error) {
    if (!isSystemError(error)) throw error
    return error.code
  }
}

/** What lies in a folder; nothing where there is none. */
export const entriesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : [])

/** Removes a folder that has nothing in it; any other is left alone. */
export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    // EBUSY: something is mounted there.
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** As syncFolder; several wait for the disk at once. */
async function syncBesideOthers(path: string): Promise<void> {
  const fd = openSync(path, 'r')
  try {
    await sync(fd)
  } finally {
    closeSync(fd)
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
