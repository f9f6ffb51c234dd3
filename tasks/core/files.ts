// Files that are either there whole or not at all.
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Writes a file atomically: temporary file beside it, fsync, rename, fsync of the folder.
 * Missing folders are made with mode 0700. A kill at any moment leaves the old file or the new one.
 * @param mode permission bits of the file, e.g. 0o600
 */
export function writeFileAtomic(path: string, content: string | Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    const fd = openSync(temporary, 'wx', mode)
    try {
      writeSync(fd, typeof content === 'string' ? Buffer.from(content) : content)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  syncFolder(dirname(path))
}

/** As writeFileAtomic, but leaves a file alone that already has this content and mode. Returns whether it wrote. */
export function writeFileIfChanged(path: string, content: string, mode: number): boolean {
  if (readFileIfThere(path) === content && (statSync(path).mode & 0o777) === mode) return false
  writeFileAtomic(path, content, mode)
  return true
}

/** The file's text, or undefined where there is none. Any other failure is thrown. */
export function readFileIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
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
