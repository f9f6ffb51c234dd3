// Work on copies: what may be written to is thrown away, so that the cluster itself is left as it is.
import { cpSync, existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from './core/cluster.ts'
import { OperationError } from './core/errors.ts'
import { readFileIfThere } from './core/files.ts'
import { isSignallable } from './core/processes.ts'

/**
 * Calls `work` with the cluster as it is, but for a copy of its certificates and an inventory of its own.
 * @param leftOut files that `work` does not need: keys of the authority, say
 */
export function withCopies<T>(
  cluster: Cluster,
  work: (copy: Cluster) => Promise<T>,
  leftOut: string[] = [],
): Promise<T> {
  return withScratch(cluster, async (folder) => {
    const certs = join(folder, 'certs')
    const filter = (path: string): boolean => !leftOut.includes(path)
    try {
      if (existsSync(cluster.paths.certs))
        cpSync(cluster.paths.certs, certs, { recursive: true, preserveTimestamps: true, filter })
      const paths = { ...cluster.paths, certs, inventory: join(folder, 'inventory.yml') }
      return await work({ ...cluster, paths })
    } catch (error) {
      throw ofOriginal(error, certs, cluster.paths.certs)
    }
  })
}

/** Calls `work` with a folder that only we may enter (0700), since private keys come into it, and removes it. */
export async function withScratch<T>(cluster: Cluster, work: (folder: string) => Promise<T>): Promise<T> {
  removeLeftCopies(cluster)
  const folder = mkdtempSync(join(placeFor(cluster), `${prefix}${process.pid}-`))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What it says of the copy, which nobody will find, is true of what was copied. */
function ofOriginal(error: unknown, copy: string, original: string): unknown {
  if (!(error instanceof OperationError)) return error
  const said = <T>(what: T): T => JSON.parse(JSON.stringify(what).replaceAll(copy, original)) as T
  return Object.assign(error, { message: said(error.message), more: said(error.more) })
}

/** With the cluster's own things, where `down` removes it; a look at a cluster that is not there makes no folder. */
const placeFor = ({ paths }: Cluster): string => (existsSync(paths.state) ? paths.state : tmpdir())

const prefix = 'ha-etcd-copy-'
/** Where Ansible unpacks the role's modules, on local hosts here; each has a note whose it is (etcd_payloads.py). */
const payload = /^ansible_etcd_.*_payload_/

/** The process that a folder is of; NaN: nobody's. A note that is not there yet, or still empty, is being written. */
const ownerOf = (path: string, name: string): number =>
  payload.test(name)
    ? Number(readFileIfThere(join(path, 'pid')) || process.pid)
    : Number.parseInt(name.slice(prefix.length), 10)

/** What a run that was killed left: private keys above all must not lie about. */
export function removeLeftCopies({ paths }: Cluster): void {
  for (const folder of [tmpdir(), paths.state].filter((place) => existsSync(place))) {
    for (const name of readdirSync(folder).filter((entry) => entry.startsWith(prefix) || payload.test(entry))) {
      const path = join(folder, name)
      const mine = lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.()
      if (mine && !isSignallable(ownerOf(path, name))) rmSync(path, { recursive: true, force: true })
    }
  }
}
