// Temporary folders for tests, and files changed for a while. It loads nothing of the project, whose home folder is
// read from the environment at once.
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new empty folder, removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(roomyFolder(), 'ha-etcd-test-'))
  folders.push(folder)
  return folder
}

/**
 * Where the files of tests lie: in memory where it has room and may hold programs. A disk that all of them write
 * through to at once makes members lose their leader.
 */
export function roomyFolder(): string {
  const [disk, memory, least] = [tmpdir(), '/dev/shm', 8 * 2 ** 30]
  try {
    const mount = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .find((line) => line.split(' ')[1] === memory)
    const { bavail, bsize } = statfsSync(memory)
    return mount && !/\bnoexec\b/.test(mount) && bavail * bsize > least ? memory : disk
  } catch {
    return disk
  }
}

/** What `act` gives while a file holds something else; its content comes back afterwards, however that ends. */
export async function whileHolding<T>(path: string, content: string | Buffer, act: () => Promise<T>): Promise<T> {
  const before = readFileSync(path)
  writeFileSync(path, content)
  return act().finally(() => writeFileSync(path, before))
}

const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
