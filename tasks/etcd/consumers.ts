// The software that was given a certificate of its own: its kind, and the folders that hold its files.
import { basename, join } from 'node:path'
import * as v from 'valibot'
import type { Cluster } from '../core/cluster.ts'
import { entriesIn, readFileIfThere } from '../core/files.ts'
import { run } from '../core/run.ts'

/** A folder with a consumer's files. */
const place = v.object({
  /** A host of the cluster; none: this machine. */
  host: v.optional(v.string()),
  folder: v.string(),
  /** As USER or USER:GROUP; none: whoever writes. */
  owner: v.optional(v.string()),
  /** Of the private key, as 0640; none: 0600. */
  mode: v.optional(v.string()),
})

/** What a consumer was last told of. Certificates by their SHA-256 fingerprints. */
const told = v.object({
  endpoints: v.array(v.string()),
  authorities: v.array(v.string()),
  certificate: v.string(),
  /** How members are scraped. */
  metrics: v.optional(v.string()),
})

const schema = v.object({ kind: v.string(), places: v.array(place), told: v.optional(told) })

export type Place = v.InferOutput<typeof place>
export type Told = v.InferOutput<typeof told>
/** `name`: its certificate's common name. */
export type Consumer = { name: string } & v.InferOutput<typeof schema>

const folderOf = ({ paths }: Cluster): string => join(paths.certs, 'clients')

/** A consumer's certificate and its key; `pairName`: below certs/<cluster>/, without its end. */
export const pairName = (name: string): string => `clients/${name}`
export const consumerPair = ({ paths }: Cluster, name: string): { certificate: string; key: string } => ({
  certificate: join(paths.certs, `${pairName(name)}.crt`),
  key: join(paths.certs, `${pairName(name)}.key`),
})

export const consumerFile = (cluster: Cluster, name: string): string => join(folderOf(cluster), `${name}.json`)

/** The kind of one whose file is damaged: it keeps its certificate, and is brought nothing. */
export const unknownKind = 'unknown'

/** Those that `connect` knows, by name. */
export function consumersOf(cluster: Cluster): Consumer[] {
  const folder = folderOf(cluster)
  const files = entriesIn(folder).filter((file) => file.endsWith('.json'))
  return files.toSorted().map((file) => read(join(folder, file)))
}

function read(path: string): Consumer {
  const found = understood(path, readFileIfThere(path) ?? '')
  const name = basename(path, '.json')
  if (!found) run().warn(`${path} is damaged: put it back from your copy of certs/, or connect ${name} again.`)
  return found ?? { name, kind: unknownKind, places: [] }
}

/** Undefined where it is damaged. */
function understood(path: string, text: string): Consumer | undefined {
  const noted = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text)
  return noted.success ? { name: basename(path, '.json'), ...noted.output } : undefined
}

/** What is true of a consumer on another machine: the folders that it had on the first one are none of that one's. */
export function movedElsewhere(path: string, text: string): string {
  const consumer = understood(path, text)
  return consumer ? inFile({ ...consumer, places: consumer.places.filter(({ host }) => host !== undefined) }) : text
}

/** A consumer as its file has it; the name is the file's own. */
export const inFile = ({ name: _, ...rest }: Partial<Consumer>): string => `${JSON.stringify(rest, null, 2)}\n`
