// unpack: what pack took of a cluster is put in place on this machine, which works on the cluster from then on.
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { withScratch } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { home } from '../core/environment.ts'
import { UsageError } from '../core/errors.ts'
import { type NewFile, readFileIfThere, readGiven, writeFilesAtomic } from '../core/files.ts'
import { readRecord } from '../core/record.ts'
import { run } from '../core/run.ts'
import { type Opener, open } from '../core/sealed.ts'
import { ask } from '../core/shell.ts'
import { counted, listed } from '../core/terminal.ts'
import { movedElsewhere } from '../etcd/consumers.ts'
import { type Manifest, manifestName } from './pack.ts'
import { sayDone, sayPlan } from './say.ts'

const manifestSchema = v.object({ cluster: v.string(), home: v.string(), packed: v.string() })

/**
 * What is there already as it is in the pack stays; the record comes last, so that a run that was cut short is not
 * taken for one that is done.
 * @throws UsageError for a file that is no pack of this cluster; where something else lies here
 */
export async function unpack(
  cluster: Cluster,
  file: string,
  by: () => Promise<Opener>,
  planOnly: boolean,
): Promise<void> {
  const missing = await missingOf(cluster, await unsealed(file, by))
  if (planOnly) return sayPlan(cluster, 'unpack', told(missing))
  await putInPlace(missing)
  const done = missing.length > 0 ? `${counted(missing.length, 'file')} put in place` : 'All was in place already'
  const next = `See how ${cluster.name} is: ${command(cluster, 'verify')}. Work on it from one machine only.`
  sayDone(cluster, 'unpack', `${done}. ${next}`, { file, files: missing.map(({ path }) => path) })
}

/** Of what a pack holds, what is not here. @throws UsageError where something else lies here */
export async function missingOf(cluster: Cluster, content: Uint8Array): Promise<NewFile[]> {
  const files = await withScratch(cluster, (folder) => filesOf(cluster, folder, content))
  const other = files.filter(({ path, content: packed }) => (readFileIfThere(path) ?? packed) !== packed)
  if (other.length > 0) throw inTheWay(cluster, other)
  return files.filter(({ path }) => !existsSync(path))
}

export const told = (files: NewFile[]): string[] => files.map(({ path }) => `put ${path} in place`)

export async function putInPlace(missing: NewFile[]): Promise<void> {
  await writeFilesAtomic(missing)
  run().changes.push(...told(missing))
}

async function unsealed(file: string, by: () => Promise<Opener>): Promise<Uint8Array> {
  const sealed = readGiven(file)
  if (!sealed.subarray(0, 21).toString('latin1').startsWith('age-encryption.org/v1'))
    throw new UsageError(`${file} is no file that pack made: it is not sealed with age.`)
  return open(sealed, await by())
}

/** As they are to be on this machine. @throws UsageError for what is no pack of this cluster */
async function filesOf(cluster: Cluster, folder: string, content: Uint8Array): Promise<NewFile[]> {
  const [tar, files] = [join(folder, 'pack.tar'), join(folder, 'files')]
  writeFileSync(tar, content, { mode: 0o600 })
  mkdirSync(files)
  if ((await ask('tar', ['-xf', tar, '-C', files])).exitCode !== 0) noPack('it holds no archive')
  const { home: from } = manifestIn(cluster, files)
  const record = readRecord(join(files, '.cluster', cluster.name, 'cluster.json')) ?? noPack('it has no record')
  const { certs, state, record: recordHere } = cluster.paths
  const configurations = [join(from, 'cluster.yaml'), record.configFile, record.inventory]
  const mayCome = (name: string): boolean =>
    [certs, state].some((ours) => join(home(), name).startsWith(`${ours}/`)) ||
    configurations.includes(join(from, name))
  const put = namesIn(files).map((name): NewFile => {
    if (!mayCome(name) || !lstatSync(join(files, name)).isFile()) noPack(`${name} does not belong in it`)
    const [path, text] = [join(home(), name), readFileSync(join(files, name), 'utf8')]
    const isPublic = path.startsWith(certs) && !path.endsWith('.key')
    const isConsumer = path.startsWith(join(certs, 'clients')) && path.endsWith('.json')
    const content = (isConsumer ? movedElsewhere(path, text) : text).replaceAll(`${from}/`, `${home()}/`)
    return { path, content, mode: isPublic ? 0o644 : 0o600 }
  })
  return put.toSorted((one, other) => Number(one.path === recordHere) - Number(other.path === recordHere))
}

/** All in the pack but its folders and its manifest. */
const namesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name !== manifestName && !lstatSync(join(folder, name)).isDirectory(),
  )

function manifestIn({ name }: Cluster, folder: string): Manifest {
  const source = readFileIfThere(join(folder, manifestName))
  const manifest = v.safeParse(v.pipe(v.string(), v.parseJson(), manifestSchema), source)
  if (!manifest.success) return noPack(`it has no ${manifestName}`)
  const { cluster } = manifest.output
  if (cluster === name) return manifest.output
  throw new UsageError(`It is a pack of cluster ${cluster}.`, { hint: `Say --cluster ${cluster}.` })
}

function noPack(why: string): never {
  throw new UsageError(`That is no file that pack made: ${why}.`)
}

function inTheWay({ name }: Cluster, files: NewFile[]): UsageError {
  const paths = files.map(({ path }) => path)
  const some = paths.length > 3 ? [...paths.slice(0, 2), counted(paths.length - 2, 'more file')] : paths
  return new UsageError(`Nothing was changed: of ${name} here lies what differs from the pack: ${listed(some)}.`, {
    hint: 'Move aside what is wrong here, or unpack in another folder: HA_ETCD_HOME names it.',
  })
}
