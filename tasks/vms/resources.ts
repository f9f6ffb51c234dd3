// Memory and disk of this machine: whether they do for the hosts that a provider brings up here.
import { existsSync, statfsSync } from 'node:fs'
import { availableParallelism, freemem } from 'node:os'
import type { Check } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { readFileIfThere } from '../core/files.ts'
import { bytes } from '../core/terminal.ts'

/** @param perHost bytes that a host and its member need */
export const memoryCheck = (cluster: Cluster, perHost: number): Check => ({
  title: 'Check memory',
  look: async () => {
    const needed = cluster.hosts.length * perHost
    const meminfo = readFileIfThere('/proc/meminfo')
    const free = Number(/MemAvailable:\s+(\d+)/.exec(meminfo ?? '')?.[1] ?? 0) * 1024 || freemem()
    return free >= needed
      ? `${bytes(free)} free, ${availableParallelism()} processors`
      : {
          detail: `${bytes(free)} of memory are free; ${cluster.hosts.length} members need ${bytes(needed)}.`,
          remedy: 'End other programs, or choose fewer masters.',
          warning: true,
        }
  },
})

/** `perHost`: bytes for a new host and its member. `folders`: where data will be; the first that is there counts. */
export const diskCheck = (cluster: Cluster, perHost: number, folders: string[], remedy: string): Check => ({
  title: 'Check disk',
  look: async () => {
    const folder = [...folders, '/'].find(existsSync) ?? '/'
    const { bavail, bsize } = statfsSync(folder)
    const needed = cluster.recorded ? 16 * 2 ** 20 : cluster.hosts.length * perHost
    return bavail * bsize >= needed
      ? `${bytes(bavail * bsize)} free`
      : {
          detail:
            `The disk of ${folder} has ${bytes(bavail * bsize)} free; ${cluster.hosts.length} ` +
            `members need ${bytes(needed)}.`,
          remedy,
        }
  },
})
