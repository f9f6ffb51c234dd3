// A consumer's files in one of its places: what belongs there, how it is brought, and how it is taken away.
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Cluster, sslFolderOf } from '../core/cluster.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import {
  type NewFile,
  nearestThere,
  readFileIfThere,
  realPath,
  removeIfEmpty,
  whyNotWritable,
  writeFileAtomic,
  writeFilesAtomic,
} from '../core/files.ts'
import { isRoot } from '../core/programs.ts'
import { ask } from '../core/shell.ts'
import { type Consumer, consumerPair, type Place } from '../etcd/consumers.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { kinds, type View } from './kinds.ts'

/** What its configuration is made of; without a place it opens what lies here. */
function viewOf(cluster: Cluster, name: string, place?: Place): View {
  const endpoints = cluster.hosts.map(({ clientURL }) => clientURL)
  const paths = place
    ? {
        ca: join(place.folder, 'ca.crt'),
        certificate: join(place.folder, 'client.crt'),
        key: join(place.folder, 'client.key'),
      }
    : { ca: join(cluster.paths.certs, 'ca.crt'), ...consumerPair(cluster, name) }
  return { cluster, endpoints, ...paths }
}

/** Its configuration, by file name. */
export const configuration = (cluster: Cluster, { name, kind }: Consumer, place?: Place): Record<string, string> =>
  kinds[kind]?.files(viewOf(cluster, name, place)) ?? {}

/** All that belongs into a place; paths are names in its folder. The key comes first, as in phase pki. */
function filesFor(cluster: Cluster, consumer: Consumer, place: Place): NewFile[] {
  const { certificate, key } = consumerPair(cluster, consumer.name)
  const content = (path: string): string => readFileIfThere(path) ?? ''
  return [
    { path: 'client.key', content: content(key), mode: Number.parseInt(place.mode ?? '600', 8) },
    { path: 'client.crt', content: content(certificate), mode: 0o644 },
    { path: 'ca.crt', content: content(join(cluster.paths.certs, 'ca.crt')), mode: 0o644 },
    ...Object.entries(configuration(cluster, consumer, place)).map(([path, text]) => ({
      path,
      content: text,
      mode: 0o644,
    })),
  ]
}

/**
 * Brings what belongs there. `first`: nothing was brought there before, so that what lies there is somebody else's.
 * @returns whether anything was changed
 * @throws OperationError where that would write over somebody else's files, or cannot be done
 */
export async function bring(cluster: Cluster, consumer: Consumer, place: Place, first: boolean): Promise<boolean> {
  const files = filesFor(cluster, consumer, place)
  if (!place.host) return bringHere(place, files)
  return play(cluster, place, place.host, files, { etcd_hand_over_first: first })
}

/**
 * For a new place, before anything is made. What is on a host, the play looks at.
 * @throws UsageError where it is the cluster's own, somebody else's files are there, or its owner is nobody
 */
export async function refuseUnfit(cluster: Cluster, consumer: Consumer, place: Place): Promise<void> {
  if (isClustersOwn(cluster, place))
    throw new UsageError(`${placeName(place)} is the cluster's own: --remove would take its certificates away.`, {
      hint: 'Name a folder for this consumer alone.',
    })
  if (place.host) return
  if (place.owner) await idsOf(place.owner)
  const above = nearestThere(place.folder)
  if (!statSync(above).isDirectory())
    throw new UsageError(`${above} is a file: there can be no folder ${place.folder}.`, { hint: 'Name another one.' })
  const why = whyNotWritable(above)
  if (why) throw new UsageError(`Nothing can be made in ${above}: ${why}.`, { hint: 'Name another folder.' })
  const files = filesFor(cluster, consumer, place).map((file) => ({ ...file, path: join(place.folder, file.path) }))
  const foreign = files.find(({ path, content }) => existsSync(path) && readFileIfThere(path) !== content)
  if (foreign)
    throw new UsageError(`${foreign.path} is there already. Nothing was changed.`, {
      hint: 'Name another folder, or move that file aside.',
    })
}

/** A consumer's ca.crt is the cluster's own file there. On a host, the role's folder of certificates is. */
export function isClustersOwn(cluster: Cluster, { host, folder }: Place): boolean {
  const isHere = !host || cluster.provider === 'local'
  const { certs, state } = cluster.paths
  const own = isHere ? [dirname(certs), dirname(state)].map(realPath) : [sslFolderOf(cluster, host)]
  const real = isHere ? realPath(resolve(folder)) : resolve(folder)
  return own.some((one) => `${real}/`.startsWith(`${one}/`))
}

/** Local hosts are this machine; a folder may have several names. */
export function isSamePlace({ provider }: Cluster, one: Place, other: Place): boolean {
  const hostOf = ({ host }: Place): string => (provider === 'local' ? '' : (host ?? ''))
  const folderOf = ({ host, folder }: Place): string =>
    provider === 'local' || !host ? realPath(resolve(folder)) : resolve(folder)
  return hostOf(one) === hostOf(other) && folderOf(one) === folderOf(other)
}

/** Each folder that is missing, so that others may enter it, whatever the umask. */
function makeOpenFolder(folder: string): void {
  if (existsSync(folder)) return
  makeOpenFolder(dirname(folder))
  mkdirSync(folder)
  chmodSync(folder, 0o755)
}

async function bringHere({ folder, owner }: Place, files: NewFile[]): Promise<boolean> {
  const ids = owner === undefined ? undefined : await idsOf(owner)
  if (!existsSync(folder)) {
    makeOpenFolder(folder)
    if (ids) chownSync(folder, ids.uid, ids.gid)
  }
  const there = files.map((file) => ({ ...file, path: join(folder, file.path), owner: ids }))
  const due = there.filter((file) => !isAsWanted(file, ids))
  await writeFilesAtomic(due)
  return due.length > 0
}

type Ids = NonNullable<NewFile['owner']>

function isAsWanted({ path, content, mode }: NewFile, ids: Ids | undefined): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found || (found.mode & 0o777) !== mode || readFileIfThere(path) !== content) return false
  return !ids || (found.uid === ids.uid && found.gid === ids.gid)
}

/** Of USER or USER:GROUP; without a group the user's own. @throws UsageError where there is none, or not for us */
async function idsOf(owner: string): Promise<Ids> {
  const [user = '', group] = owner.split(':')
  const [uid, gid] = await Promise.all([
    ask('id', ['-u', '--', user]),
    group === undefined ? ask('id', ['-g', '--', user]) : ask('getent', ['group', group]),
  ])
  const found = {
    uid: Number.parseInt(uid.stdout, 10),
    gid: Number.parseInt(group === undefined ? gid.stdout : (gid.stdout.split(':')[2] ?? ''), 10),
  }
  if (Number.isNaN(found.uid)) throw new UsageError(`There is no user ${user} on this machine.`)
  if (Number.isNaN(found.gid)) throw new UsageError(`There is no group ${group} on this machine.`)
  if (!isRoot() && found.uid !== process.getuid?.())
    throw new UsageError(`Only root may give files to ${user}.`, { hint: 'Run this as root, or without --owner.' })
  return found
}

/** Over a file, since keys are never in a command line. */
async function play(cluster: Cluster, place: Place, host: string, files: NewFile[], how: object): Promise<boolean> {
  const staged = join(cluster.paths.state, 'hand-over.json')
  const rows = files.map(({ path: name, mode, content }) => ({
    ...{ name, mode: mode.toString(8) },
    content: Buffer.from(content).toString('base64'),
  }))
  writeFileAtomic(staged, JSON.stringify(rows), 0o600)
  try {
    const changed = await runPlaybook(cluster, {
      playbook: 'hand-over',
      limit: [host],
      variables: {
        etcd_hand_over_file: staged,
        etcd_hand_over_folder: place.folder,
        ...(place.owner && { etcd_hand_over_owner: place.owner }),
        ...how,
      },
    })
    return Object.values(changed).some((count) => count > 0)
  } finally {
    rmSync(staged, { force: true })
  }
}

/** Takes away what was brought there; the folder goes if nothing else is in it. */
export async function takeAway(cluster: Cluster, consumer: Consumer, place: Place): Promise<void> {
  const files = filesFor(cluster, consumer, place)
  if (place.host) {
    const gone = files.map((file) => ({ ...file, content: '' }))
    if (cluster.hosts.some(({ name }) => name === place.host))
      await play(cluster, place, place.host, gone, { etcd_hand_over_gone: true })
  } else if (statSync(place.folder, { throwIfNoEntry: false })?.isDirectory()) {
    for (const { path } of files) rmSync(join(place.folder, path), { force: true })
    removeIfEmpty(place.folder)
  }
}

/** As a person knows it: a folder, or HOST:FOLDER. */
export const placeName = ({ host, folder }: Place): string => (host ? `${host}:${folder}` : folder)

/** What stops a place, in one sentence with what helps. */
export const notBrought = ({ name }: Consumer, place: Place, error: Error): OperationError =>
  new OperationError(`The files of ${name} in ${placeName(place)} could not be brought up to date.`, {
    output: error.message,
    hint: `Mend that, then run the same command again; if ${name} is not to use the cluster any more`,
    verb: `connect --remove ${name}`,
  })
