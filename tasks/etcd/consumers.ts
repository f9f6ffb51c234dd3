// The software that was given a certificate of its own: its kind, and the folders that hold its files.
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { readFileIfThere } from '../core/files.ts'
import { run } from '../core/run.ts'

/** A folder with a consumer's files: here, or on a host of the cluster. */
export interface Place {
  host?: string | undefined
  folder: string
  /** As USER or USER:GROUP; none: whoever writes. */
  owner?: string | undefined
  /** Of the private key, as 0640; none: 0600. */
  mode?: string | undefined
}

/** What a consumer was last told of. Certificates by their SHA-256 fingerprints. */
export interface Told {
  endpoints: string[]
  authorities: string[]
  certificate: string
}

export interface Consumer {
  /** Its certificate's common name. */
  name: string
  kind: string
  places: Place[]
  told?: Told | undefined
}

const folderOf = ({ paths }: Cluster): string => join(paths.certs, 'clients')

export const consumerFile = (cluster: Cluster, name: string): string => join(folderOf(cluster), `${name}.json`)

/** The kind of one whose file is damaged: it keeps its certificate, and is brought nothing. */
export const unknownKind = 'unknown'

/** Those that `connect` knows, by name. */
export function consumersOf(cluster: Cluster): Consumer[] {
  const folder = folderOf(cluster)
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'))
  return files.toSorted().map((file) => read(join(folder, file)))
}

function read(path: string): Consumer {
  try {
    const { kind, places, told } = JSON.parse(readFileIfThere(path) ?? '') as Consumer
    if (typeof kind !== 'string' || !Array.isArray(places)) throw new Error('it names no kind or no places')
    return { name: basename(path, '.json'), kind, places, told }
  } catch {
    const name = basename(path, '.json')
    run().warn(`${path} is damaged: put it back from your copy of certs/, or connect ${name} again.`)
    return { name, kind: unknownKind, places: [] }
  }
}

/** Of a consumer's file, what is true on another machine: its folders there are not this machine's. */
export function movedElsewhere(text: string): string {
  const noted = JSON.parse(text) as Consumer
  return inFile({ ...noted, places: noted.places.filter(({ host }) => host !== undefined) })
}

/** A consumer as its file has it; the name is the file's own. */
export const inFile = ({ name: _, ...rest }: Partial<Consumer>): string => `${JSON.stringify(rest, null, 2)}\n`
