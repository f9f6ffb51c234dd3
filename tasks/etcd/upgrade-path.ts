// Which way a cluster may go from one etcd version to another, and what must be done before. Pure: it asks nobody.
import { compareVersions } from '../core/programs.ts'
import { faultOf } from './faults.ts'

/** `impossible`: no way leads there. `first`: what must be done before. `beware`: what to know. Each a sentence. */
export interface UpgradePath {
  impossible?: string
  first: string[]
  beware: string[]
}

/**
 * Settings (NAME=value) that a version, the first that lacks them, no longer knows; etcd would start and ignore them.
 * From etcd's upgrade guides (etcd.io/docs, Upgrading) and changelogs, and its flags compared branch by branch
 * (release-3.4 to release-3.7 of etcd-io/etcd). 3.5 does not start with the logger capnslog, nor 3.6 with V2_DEPRECATION=not-yet.
 */
const removed: { since: string; pattern: RegExp }[] = [
  {
    since: '3.5',
    pattern:
      /^ETCD_(DEBUG|LOG_OUTPUT|LOG_PACKAGE_LEVELS|EXPERIMENTAL_BACKEND_BBOLT_FREELIST_TYPE|NEXT_CLUSTER_VERSION_COMPATIBLE)=|^ETCD_LOGGER=capnslog$/,
  },
  {
    since: '3.6',
    pattern: /^ETCD_(ENABLE_V2|EXPERIMENTAL_ENABLE_V2V3|PROXY(_[A-Z_]+)?)=|^ETCD_V2_DEPRECATION=not-yet$/,
  },
  { since: '3.7', pattern: /^ETCD_(EXPERIMENTAL_[A-Z_]+|DISCOVERY|DISCOVERY_PROXY)=/ },
]

/** The patch release that a minor version must have before the next one, by etcd's upgrade guides to 3.6 and 3.7. */
const readyForNext: Record<number, string> = { 5: '3.5.32', 6: '3.6.11' }

/** The rules of an upgrade. `environment`: the person's own ETCD_* settings. */
export function upgradePath(from: string, to: string, environment: Record<string, string>): UpgradePath {
  const first: string[] = []
  const beware: string[] = []
  const [[major = 0, minor = 0], [toMajor = 0, toMinor = 0]] = [parts(from), parts(to)]
  if (compareVersions(to, from) < 0)
    return {
      impossible: `There is no way back from etcd ${from} to ${to} here: an older etcd may not understand what a newer one wrote. Restore a backup of then instead.`,
      first,
      beware,
    }
  const fault = faultOf(to)
  if (fault) return { impossible: fault, first, beware }
  if (toMajor !== major)
    return { impossible: `There is no way from etcd ${from} to another major version.`, first, beware }
  if (toMinor > minor + 1)
    first.push(
      `Upgrade to etcd ${major}.${minor + 1} first (upgrade --etcd-version ${major}.${minor + 1}.x): one minor version at a time.`,
    )
  const ready = readyForNext[minor]
  if (ready && toMinor > minor && compareVersions(from, ready) < 0)
    first.push(
      `Upgrade to etcd ${ready} or later first: an older ${major}.${minor} may block the way to ${major}.${minor + 1}.`,
    )
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  for (const { since, pattern } of removed) {
    const gone = settings.filter((setting) => pattern.test(setting)).map((setting) => setting.split('=')[0])
    if (compareVersions(from, since) < 0 && compareVersions(to, since) >= 0 && gone.length > 0)
      first.push(`Take ${gone.join(', ')} out of etcd.environment and run up: etcd ${since} no longer has it.`)
  }
  if (minor === 4 && toMinor > 4)
    beware.push('With etcdctl auth enabled, members of 3.4 and 3.5 cannot work side by side (etcd-io/etcd#11943).')
  // In force from 3.5.1, mended in 3.5.20 (etcd.io/blog/2025/upgrade_from_3.5_to_3.6_issue).
  if (compareVersions(to, '3.5.1') >= 0 && compareVersions(to, '3.5.20') < 0)
    beware.push(
      `etcd ${to} notes a promotion in one of two places only (etcd-io/etcd#19557): after scale or replace, go to 3.5.32 or later before 3.6.`,
    )
  return { first, beware }
}

/** What the versions that members run now mean: '' where the upgrade may begin or go on. */
export function refusalOfMix(running: string[], from: string, to: string): string {
  const others = [...new Set(running)].filter((version) => version !== from && version !== to)
  return others.length > 0
    ? `members run etcd ${others.join(' and ')}, which is neither ${from}, as recorded, nor ${to}`
    : ''
}

const parts = (version: string): number[] => version.split('.').map(Number)
