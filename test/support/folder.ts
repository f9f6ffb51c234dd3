// Temporary folders for tests, and files changed for a while. It loads nothing of the project, whose home folder is
// read from the environment at once.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new empty folder, removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ha-etcd-test-'))
  folders.push(folder)
  return folder
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
