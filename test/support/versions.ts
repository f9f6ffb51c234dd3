// Real etcds of several versions for tests, got as the product gets them, and kept in .tools/ under a name of their
// own.
import { join } from 'node:path'
import { aptUnpack, fetchedFolders, fetchTool, hasApt } from '../../tasks/core/programs.ts'
import { buildWithGo } from '../../tasks/etcd/go-build.ts'
import { machineOf } from '../../tasks/etcd/ways.ts'

const tool = 'tests-etcd'

/** One of each minor version. */
export const ladder = ['3.4.23', '3.5.33', '3.6.14', '3.7.1']

/**
 * The folder with the programs of that version; undefined, with a word to standard output, where they cannot be had.
 */
export async function etcdOf(version: string): Promise<{ folder: string; version: string } | undefined> {
  const before = fetchedFolders(tool).find((folder) => folder.endsWith(`-${version}`))
  if (before) return { folder: before, version }
  try {
    const folder = await (version.startsWith('3.4.') ? unpack(version) : build(version))
    return { folder, version }
  } catch (error) {
    console.log(`etcd ${version} cannot be had here, so what needs it is not tested: ${(error as Error).message}`)
    return undefined
  }
}

const build = async (version: string): Promise<string> =>
  (await buildWithGo(version, machineOf('local'), () => {}, tool)).folder

/** 3.4 is no module that can be required: Debian 12's package. */
function unpack(version: string): Promise<string> {
  if (!hasApt()) throw new Error('there is no apt-get')
  return fetchTool(tool, async (part) => {
    const packaged = await aptUnpack(['etcd-server', 'etcd-client'], part)
    if (packaged !== version) throw new Error(`the package is etcd ${packaged}`)
    return { from: join(part, 'usr/bin'), version }
  })
}
