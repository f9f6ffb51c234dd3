// Work on copies: what may be written to is thrown away, so that the cluster itself is left as it is.
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from './core/cluster.ts'

/** Calls `work` with the cluster as it is, but for a copy of its certificates and an inventory of its own. */
export async function withCopies<T>(cluster: Cluster, work: (copy: Cluster) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'ha-etcd-copy-')) // 0700: it holds copies of private keys
  try {
    const certs = join(folder, 'certs')
    if (existsSync(cluster.paths.certs)) cpSync(cluster.paths.certs, certs, { recursive: true, preserveTimestamps: true })
    return await work({ ...cluster, paths: { ...cluster.paths, certs, inventory: join(folder, 'inventory.yml') } })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
