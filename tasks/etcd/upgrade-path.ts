// Which way a cluster may go from one etcd version to another, and what must be done before. Pure: it asks nobody.
import { compareVersions } from '../core/programs.ts'
import { faultOf } from './faults.ts'
import { removedSettings, settingsToCome } from './settings.ts'

/** `impossible`: no way leads there. `first`: what must be done before. `beware`: what to know. Each a sentence. */
export interface UpgradePath {
  impossible?: string
  first: string[]
  beware: string[]
}

/** The patch release that a minor version must have before the next one, by etcd's upgrade guides to 3.6 and 3.7. */
const readyForNext: Record<number, string> = { 5: '3.5.32', 6: '3.6.11' }

/** The last minor version whose rules are known here. */
const lastKnown = 7

/** The rules of an upgrade. `environment`: the person's own ETCD_* settings. */
export function upgradePath(from: string, to: string, environment: Record<string, string>): UpgradePath {
  const first: string[] = []
  const beware: string[] = []
  const impossible = noWayUp(from, to)
  if (impossible) return { impossible, first, beware }
  const [, minor = 0] = parts(from)
  const [, toMinor = 0] = parts(to)
  const gone = removedSettings(environment, to).filter(({ since }) => compareVersions(from, since) < 0)
  for (const since of new Set(gone.map((one) => one.since))) {
    const ofIt = gone.filter((one) => one.since === since)
    const names = ofIt.map(({ name }) => name).join(', ')
    const instead = ofIt.filter(({ now }) => now).map(({ now }) => now)
    const hint = instead.length > 0 ? ` Set instead: ${instead.join(', ')}.` : ''
    first.push(`Take ${names} out of etcd.environment and run up: etcd ${since} no longer has it.${hint}`)
  }
  if (minor === 4 && toMinor > 4)
    beware.push('With etcdctl auth enabled, members of 3.4 and 3.5 cannot work side by side (etcd-io/etcd#11943).')
  if (toMinor > Math.max(minor, lastKnown))
    beware.push(`etcd 3.${toMinor} is newer than what is known here: read etcd's guide of the upgrade to it first.`)
  return { first, beware }
}

/** Why no single upgrade leads there; '' where one does. */
function noWayUp(from: string, to: string): string {
  const [[major = 0, minor = 0], [toMajor = 0, toMinor = 0]] = [parts(from), parts(to)]
  if (compareVersions(to, from) < 0)
    return `etcd ${to} is older than ${from}: verb downgrade goes down, one minor version at a time.`
  const fault = faultOf(to)
  if (fault) return fault
  if (toMajor !== major) return `There is no way from etcd ${from} to another major version.`
  const ready = readyForNext[minor]
  if (ready && toMinor > minor && compareVersions(from, ready) < 0)
    return `Upgrade to etcd ${ready} or later first: an older one may block the way to ${major}.${minor + 1}.`
  return toMinor > minor + 1 ? `Upgrade to etcd ${major}.${minor + 1} first: one minor version at a time.` : ''
}

/** The rules of a downgrade: within a minor version, or one down by etcd's own API, which 3.6 and later have. */
export function downgradePath(from: string, to: string, environment: Record<string, string>): UpgradePath {
  const first: string[] = []
  const beware: string[] = []
  const [[major = 0, minor = 0], [toMajor = 0, toMinor = 0]] = [parts(from), parts(to)]
  const impossible = (reason: string): UpgradePath => ({ impossible: reason, first, beware })
  if (compareVersions(to, from) > 0) return impossible(`etcd ${to} is newer than ${from}: verb upgrade goes up.`)
  const fault = compareVersions(to, from) < 0 && faultOf(to)
  if (fault) return impossible(fault)
  if (toMajor !== major) return impossible(`There is no way from etcd ${from} to another major version.`)
  const instead = `Restore a backup of ${major}.${toMinor} where that runs.`
  if (toMinor < minor && minor < 6)
    return impossible(`etcd ${major}.${minor} has no way down: only 3.6 and later have one. ${instead}`)
  if (toMinor < minor - 1)
    return impossible(`Go down to etcd ${major}.${minor - 1} first: one minor version at a time.`)
  for (const { name, was } of settingsToCome(environment, to).filter(() => toMinor < minor)) {
    const before = was ? ` There it is ${was}.` : ''
    first.push(`Take ${name} out of etcd.environment and run up: etcd ${major}.${toMinor} does not know it.${before}`)
  }
  return { first, beware }
}

const parts = (version: string): number[] => version.split('.').map(Number)
