// Getting etcd into .tools: by the first of three ways that works, or by the one that the person names.
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { defaults } from '../core/config.ts'
import { OperationError } from '../core/errors.ts'
import { type Architecture, architectureHere, type Machine } from '../core/machines.ts'
import { aptUnpack, compareVersions, fetchTool, hasApt } from '../core/programs.ts'
import { run } from '../core/run.ts'
import { etcdSources } from '../core/schema.ts'
import { ask } from '../core/shell.ts'
import { warningsOf } from './faults.ts'
import { buildWithGo } from './go-build.ts'
import { fetchRelease } from './release.ts'
import { type Got, gotBefore, machineOf, NotThisWay, toolName, type Way } from './ways.ts'

const allWays = etcdSources.filter((source) => source !== 'auto')

/** The ways that a cluster's programs may come by, the first that works first. */
export const waysOf = ({ etcd }: Pick<Cluster, 'etcd'>): readonly Way[] =>
  etcd.source === 'auto' ? allWays : [etcd.source]

/**
 * Gets etcd into .tools for the cluster's hosts: the official release; else built from its Go modules; else the
 * distribution's package. What came by the wrong sum is never passed over for another way.
 * @returns what was got; `told` says by which way, and why not by those before it
 * @throws OperationError when the version asked for cannot be had, with the reason of each way
 */
export async function fetchEtcd(
  cluster: Cluster,
  report: (line: string) => void = () => {},
  architecture: Architecture = architectureHere(),
): Promise<Got> {
  const wanted = cluster.etcd.version
  const version = wanted ?? defaults.etcd.version
  const machine = machineOf(cluster.provider, architecture)
  const ways: Record<Way, () => Promise<Got>> = {
    release: () => fetchRelease(version, machine, { mirror: cluster.etcd.mirror, report }),
    go: () => buildWithGo(version, machine, report),
    distribution: () => unpackDistributions(wanted, machine),
  }
  const closed: string[] = []
  for (const way of waysOf(cluster)) {
    const before = gotBefore([way], machine).find((one) => one.version === version)
    if (before) return { ...before, told: 'got before' }
    try {
      const got = await ways[way]()
      return closed.length > 0 ? { ...got, told: `${got.told} (${closed.join('; ')})` } : got
    } catch (error) {
      if (!(error instanceof NotThisWay)) throw error
      closed.push(`${titles[way]}: ${error.message}`)
    }
  }
  throw new OperationError(`etcd ${version} for ${machine.system}/${machine.architecture} cannot be fetched.`, {
    output: closed.join('\n'),
    hint: `Open one of these ways, or name a folder that has etcd ${wanted ?? '3.4 or later'} with etcd.binaries.`,
  })
}

const titles: Record<Way, string> = { release: 'release', go: 'Go', distribution: 'distribution' }

/** The distribution's package, whatever its version where none is wanted, unpacked rather than installed. */
async function unpackDistributions(wanted: string | undefined, machine: Machine): Promise<Got> {
  if (!hasApt()) throw new NotThisWay('there is no apt-get')
  if (machine.architecture !== architectureHere()) throw new NotThisWay('its packages are for this machine only')
  const folder = await fetchTool(toolName('distribution', machine), async (part) => {
    const packaged = await aptUnpack(['etcd-server', 'etcd-client'], part).catch((error: unknown) => {
      throw error instanceof OperationError ? new NotThisWay(error.message.replace(/\.$/, '')) : error
    })
    if (wanted && packaged !== wanted) throw new NotThisWay(`its package is etcd ${packaged}`)
    mkdirSync(join(part, 'etcd'))
    const programs = ['etcd', 'etcdctl', 'etcdutl'].filter((program) => existsSync(join(part, 'usr/bin', program)))
    if (programs.length < 3 && compareVersions(packaged, '3.6') >= 0) throw new NotThisWay('its package lacks etcdutl')
    for (const program of programs) renameSync(join(part, 'usr/bin', program), join(part, 'etcd', program))
    return { from: join(part, 'etcd'), version: packaged }
  })
  const version = folder.slice(folder.lastIndexOf('-') + 1)
  for (const warning of warningsOf(version)) run().warn(warning)
  return { folder, version, told: "the distribution's package, checked by apt" }
}

/** Whether there is a way to this version at all. Whether the network lets it is another question. */
export async function canFetch(version: string, source: Cluster['etcd']['source'] = 'auto'): Promise<boolean> {
  if (source !== 'distribution') return true
  return hasApt() && (await ask('apt-cache', ['policy', 'etcd-server'])).stdout.includes(`Candidate: ${version}`)
}
