// Work on copies: what may be written to is thrown away, so that the cluster itself is left as it is.
import { cpSync, existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from './core/cluster.ts'
import { isSignallable } from './core/processes.ts'

/** Calls `work` with the cluster as it is, but for a copy of its certificates and an inventory of its own. */
export async function withCopies<T>(cluster: Cluster, work: (copy: Cluster) => Promise<T>): Promise<T> {
  removeLeftCopies()
  const folder = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`)) // 0700: it holds copies of private keys
  try {
    const certs = join(folder, 'certs')
    if (existsSync(cluster.paths.certs)) cpSync(cluster.paths.certs, certs, { recursive: true, preserveTimestamps: true })
    return await work({ ...cluster, paths: { ...cluster.paths, certs, inventory: join(folder, 'inventory.yml') } })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const prefix = 'ha-etcd-copy-'

/** What a run that was killed left: private keys must not lie about. */
function removeLeftCopies(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const path = join(tmpdir(), name)
    const mine = lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.()
    if (mine && !isSignallable(Number.parseInt(name.slice(prefix.length), 10))) rmSync(path, { recursive: true, force: true })
  }
}
