// Which way a cluster may go from one etcd version to another, and what must be done before. Pure: it asks nobody.
import { compareVersions } from '../core/programs.ts'

/** `impossible`: no way leads there. `first`: what must be done before. `beware`: what to know. Each a sentence. */
export interface UpgradePath {
  impossible?: string
  first: string[]
  beware: string[]
}

/** Settings that a version (the first that lacks them) no longer knows; etcd would go on without what they said. */
const removed: { since: string; pattern: RegExp }[] = [
  { since: '3.5', pattern: /^ETCD_(DEBUG|LOG_PACKAGE_LEVELS)$/ },
  { since: '3.6', pattern: /^ETCD_(ENABLE_V2|EXPERIMENTAL_ENABLE_V2V3|PROXY(_.*)?)$/ },
  { since: '3.7', pattern: /^ETCD_EXPERIMENTAL_/ },
]

/** The rules of an upgrade. `environment`: the names of the person's own ETCD_* settings. */
export function upgradePath(from: string, to: string, environment: string[]): UpgradePath {
  const first: string[] = []
  const beware: string[] = []
  const [[major = 0, minor = 0], [toMajor = 0, toMinor = 0]] = [parts(from), parts(to)]
  if (compareVersions(to, from) < 0)
    return { impossible: `There is no way back from etcd ${from} to ${to}: it would not understand the data. Restore a backup instead.`, first, beware }
  // 3.5.0 to 3.5.2 may lose data when they crash under load (etcd's postmortem of 2022, etcd-io/etcd#13766).
  if (within(to, '3.5.0', '3.5.2')) return { impossible: `Version ${to} of etcd can corrupt its data when it crashes (etcd-io/etcd#13766). Take 3.5.20 or later.`, first, beware }
  if (toMajor !== major) return { impossible: `There is no way from etcd ${from} to another major version.`, first, beware }
  if (toMinor > minor + 1) first.push(`Upgrade to etcd ${major}.${minor + 1} first: one minor version at a time.`)
  if (minor === 5 && toMinor > 5 && compareVersions(from, '3.5.32') < 0)
    first.push('Upgrade to etcd 3.5.32 or later first: before that, 3.5 does not leave its data ready for 3.6.')
  for (const { since, pattern } of removed) {
    const gone = environment.filter((name) => pattern.test(name))
    if (compareVersions(from, since) < 0 && compareVersions(to, since) >= 0 && gone.length > 0)
      first.push(`Take ${gone.join(', ')} out of etcd.environment and run up: etcd ${since} no longer has it.`)
  }
  if (within(to, '3.5.1', '3.5.19')) beware.push(`etcd ${to} cannot promote learners reliably (etcd-io/etcd#19557): scale and replace need 3.5.20 or later.`)
  return { first, beware }
}

/** What the versions that members run now mean: '' where the upgrade may begin or go on. */
export function refusalOfMix(running: string[], from: string, to: string): string {
  const others = [...new Set(running)].filter((version) => version !== from && version !== to)
  return others.length > 0 ? `members run etcd ${others.join(' and ')}, which is neither ${from}, as recorded, nor ${to}` : ''
}

const parts = (version: string): number[] => version.split('.').map(Number)
const within = (version: string, least: string, most: string): boolean => compareVersions(version, least) >= 0 && compareVersions(version, most) <= 0
