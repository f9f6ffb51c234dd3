// Work on copies: what may be written to is thrown away, so that the cluster itself is left as it is.
import { cpSync, existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from './core/cluster.ts'
import { isSignallable } from './core/processes.ts'

/**
 * Calls `work` with the cluster as it is, but for a copy of its certificates and an inventory of its own.
 * @param leftOut files that `work` does not need: keys of the authority, say
 */
export async function withCopies<T>(
  cluster: Cluster,
  work: (copy: Cluster) => Promise<T>,
  leftOut: string[] = [],
): Promise<T> {
  removeLeftCopies(cluster)
  // 0700: it holds copies of private keys
  const folder = mkdtempSync(join(placeFor(cluster), `${prefix}${process.pid}-`))
  try {
    const certs = join(folder, 'certs')
    const filter = (path: string): boolean => !leftOut.includes(path)
    if (existsSync(cluster.paths.certs))
      cpSync(cluster.paths.certs, certs, { recursive: true, preserveTimestamps: true, filter })
    return await work({ ...cluster, paths: { ...cluster.paths, certs, inventory: join(folder, 'inventory.yml') } })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * With the cluster's own things, where `down` removes it; a cluster of which nothing is there yet gets no folder by
 * being looked at.
 */
const placeFor = ({ paths }: Cluster): string => (existsSync(paths.state) ? paths.state : tmpdir())

const prefix = 'ha-etcd-copy-'

/** What a run that was killed left: private keys must not lie about. */
export function removeLeftCopies({ paths }: Cluster): void {
  for (const folder of [tmpdir(), paths.state].filter((place) => existsSync(place))) {
    for (const name of readdirSync(folder).filter((entry) => entry.startsWith(prefix))) {
      const path = join(folder, name)
      const mine = lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.()
      if (mine && !isSignallable(Number.parseInt(name.slice(prefix.length), 10)))
        rmSync(path, { recursive: true, force: true })
    }
  }
}
