// The ways to get etcd's programs: their folders in .tools, and that a way is not open here.

import { architectureHere, type Machine } from '../core/machines.ts'
import { fetchedFolders } from '../core/programs.ts'
import type { EtcdSource } from '../core/schema.ts'

export type Way = Exclude<EtcdSource, 'auto'>

/** What a way got: the programs' folder and version; `told`: where they come from and who vouches for them. */
export interface Got {
  folder: string
  version: string
  told: string
}

/** This way is not open here, for the reason that its message gives as a clause; another may be. */
export class NotThisWay extends Error {}

/** .tools/<this>-<version> holds what a way got: the folder's name is the record of it. */
export const toolName = (way: Way, { system, architecture }: Machine): string => `etcd-${way}-${system}-${architecture}`

/** What was got for that machine by these ways, in their order, each way's highest version first. */
export const gotBefore = (ways: readonly Way[], machine: Machine): { way: Way; folder: string; version: string }[] =>
  ways.flatMap((way) =>
    fetchedFolders(toolName(way, machine)).map((folder) => ({
      way,
      folder,
      version: folder.slice(folder.lastIndexOf('-') + 1),
    })),
  )

/** The machine that the programs fetched here are for; members on this machine run its own, hosts run Linux. */
export const machineOf = (provider: string, architecture = architectureHere()): Machine => ({
  system: provider === 'local' && process.platform === 'darwin' ? 'darwin' : 'linux',
  architecture,
})
