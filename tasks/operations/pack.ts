// pack: all that this machine alone knows of a cluster, in one file that only the right key or passphrase opens.
// unpack puts it in place on another machine. The members' data is not in it: that is what backup is for.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { withScratch } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { home } from '../core/environment.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { writeFileAtomic } from '../core/files.ts'
import { run, today } from '../core/run.ts'
import { type Seal, seal } from '../core/sealed.ts'
import { ask } from '../core/shell.ts'
import { bytes, counted } from '../core/terminal.ts'
import { sayDone, sayPlan } from './say.ts'

/** The file in the pack that says what it is. `home`: paths below it are of the machine that it was packed on. */
export interface Manifest {
  cluster: string
  home: string
  packed: string
}
export const manifestName = 'ha-etcd.json'

/**
 * Writes the pack, by default beside the cluster's folder. `by`: asked for only once it is known what to seal.
 * @throws UsageError where that file is there already
 */
export async function pack(cluster: Cluster, file: string, by: () => Promise<Seal>, planOnly: boolean): Promise<void> {
  if (existsSync(file)) throw new UsageError(`${file} is there already.`, { hint: 'Name another file.' })
  const files = filesOf(cluster)
  sayWhatIsNot(cluster)
  if (planOnly) return sayPlan(cluster, 'pack', [...files.map((path) => `put in ${path}`), `seal it, as ${file}`])
  const sealedBy = await by()
  const sealed = await seal(await archive(cluster, files), sealedBy)
  writeFileAtomic(file, sealed, 0o600)
  const size = bytes(sealed.length)
  sayDone(cluster, 'pack', `${counted(files.length, 'file')} of ${cluster.name} are in ${file} (${size}).`, {
    file,
    files,
  })
}

/**
 * Paths below home: the certificates with their keys, what is recorded, and the configuration where it lies there. The
 * last verify is of this machine: with it, unpack would find another one in the way.
 */
function filesOf(cluster: Cluster): string[] {
  const { certs, state, vagrant, verified } = cluster.paths
  const own = [cluster.configFile ?? join(home(), 'cluster.yaml'), cluster.own?.inventory]
  const all = [
    ...filesIn(certs),
    ...filesIn(state, false).filter((path) => path !== verified),
    ...filesIn(vagrant),
    ...own.filter((path) => path && isFile(path)),
  ]
  return all.map((path) => relative(home(), path ?? '')).filter((path) => !path.startsWith('..'))
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

function filesIn(folder: string, recursive = true): string[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder, { recursive, encoding: 'utf8' }).filter((name) => !name.endsWith('.tmp'))
  return names.map((name) => join(folder, name)).filter(isFile)
}

function sayWhatIsNot({ provider, own, configFile }: Cluster): void {
  const outside = [configFile, own?.inventory].filter((path) => path && relative(home(), path).startsWith('..'))
  for (const path of outside) run().warn(`${path} is not in the pack: take it to the other machine yourself.`)
  if (provider === 'ssh') run().warn('No ssh key is in the pack: the hosts must let the other machine in, too.')
  if (provider === 'local')
    run().warn('The hosts are on this machine, and so is their data: backup is what keeps that.')
}

/** What pack seals: a tar archive. */
export const archive = (cluster: Cluster, files = filesOf(cluster)): Promise<Uint8Array> =>
  withScratch(cluster, async (folder) => {
    const manifest: Manifest = { cluster: cluster.name, home: home(), packed: today().toISOString() }
    writeFileSync(join(folder, manifestName), `${JSON.stringify(manifest, null, 2)}\n`)
    const path = join(folder, 'pack.tar')
    const { exitCode, stderr } = await ask('tar', ['-cf', path, '-C', folder, manifestName, '-C', home(), ...files])
    if (exitCode !== 0) throw new OperationError('tar could not put the files together.', { output: stderr })
    return readFileSync(path)
  })
