// Phase etcd-role: the Ansible role on every host.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fetchAnsible, findAnsible, indexSilence, oldestAnsible, pythonForAnsible } from '../core/ansible.ts'
import type { Check } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import type { Architecture } from '../core/machines.ts'
import type { Task } from '../core/pipeline.ts'
import { aptInstall, compareVersions, hasApt, isRoot } from '../core/programs.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { ask } from '../core/shell.ts'
import { didYouMean } from '../core/suggest.ts'
import { moveBegun } from '../etcd/advice.ts'
import { type EtcdBinaries, etcdMissing, findEtcd, lookAgain, requireEtcd } from '../etcd/binaries.ts'
import { leaves } from '../etcd/certificates.ts'
import { warningsOf } from '../etcd/faults.ts'
import { fetchEtcd } from '../etcd/fetch.ts'
import { refusal } from '../etcd/findings.ts'
import type { Change } from '../etcd/play-events.ts'
import { type PlaybookOptions, runPlaybook } from '../etcd/playbook.ts'
import { removedSettings } from '../etcd/settings.ts'
import { checkHosts, type HostCheck, hostTable, lackingPrograms, unfit } from './hosts.ts'
import { writeInventory } from './inventory.ts'

export { writeInventory } from './inventory.ts'

/**
 * Writes the inventory and runs the role; the title says what changed. `options`: what this run is limited to, or has
 * besides.
 */
export function tasks(cluster: Cluster, options: Pick<PlaybookOptions, 'limit' | 'variables'> = {}): Task[] {
  return [
    {
      title: 'Write the inventory',
      task: async () => {
        refuseHalfUpgraded(cluster)
        const { version } = await prepare(cluster)
        cluster.etcd.version = version
        cluster.formed = true
        recordCluster(cluster)
      },
    },
    roleTask(cluster, options),
  ]
}

/**
 * Has the hosts run the programs of `cluster.etcd.version`, one after the other, and records nothing: verb upgrade
 * does, once it is verified.
 */
export function upgradeTasks(cluster: Cluster, options: Pick<PlaybookOptions, 'limit' | 'variables'> = {}): Task[] {
  return [{ title: 'Write the inventory', task: async () => void (await prepare(cluster)) }, roleTask(cluster, options)]
}

/** Halfway the record has the version before: to put that back could be a downgrade, which etcd does not survive. */
export function refuseHalfUpgraded(cluster: Cluster): void {
  const begun = moveBegun(cluster)
  if (begun) throw refusal(cluster, begun)
}

function roleTask(cluster: Cluster, options: Pick<PlaybookOptions, 'limit' | 'variables'> = {}): Task {
  return {
    title: 'Run the Ansible role etcd',
    task: async (_, task) => {
      const counts = await runRole(cluster, { ...options, onTask: (name) => void (task.output = name) })
      const hosts = Object.keys(counts)
      run().report.changed = counts
      const changed = Object.entries(counts).filter(([, count]) => count > 0)
      run().changes.push(...changed.map(([host]) => `configured or started ${host}`))
      task.title =
        changed.length > 0
          ? `Run the Ansible role etcd: ${changed.map(([host, count]) => `${host} changed=${count}`).join(', ')}`
          : `Run the Ansible role etcd: nothing to do, changed=0 on ${hosts.length} ` +
            `${hosts.length === 1 ? 'host' : 'hosts'}`
    },
  }
}

/**
 * Where hosts are of another architecture than the programs here, the role refuses before it changes anything: then
 * those are got.
 */
async function runRole(
  cluster: Cluster,
  options: PlaybookOptions & { onTask: (name: string) => void },
): Promise<Record<string, number>> {
  try {
    return await runPlaybook(cluster, options)
  } catch (error) {
    const lacks = error instanceof OperationError && error.more.code === 'architecture'
    if (!lacks || !(await getLacking(cluster, await checkHosts(cluster, options.onTask), options.onTask))) throw error
    return runPlaybook(cluster, options)
  }
}

/** What the role would do, in its order. The cluster's inventory must be a copy. */
export async function changes(copy: Cluster, options: Pick<PlaybookOptions, 'variables'> = {}): Promise<Change[]> {
  refuseHalfUpgraded(copy)
  await prepare(copy)
  const would: Change[] = []
  await runPlaybook(copy, { ...options, onChange: (change) => void would.push(change) })
  return would
}

/** A change as a line of a plan. */
export const inWords = ({ host, name }: Change): string => `${host}: ${name.charAt(0).toLowerCase()}${name.slice(1)}`

/** What the role would do, a line each, with the differences below it. */
export const plan = async (copy: Cluster, options: Pick<PlaybookOptions, 'variables'> = {}): Promise<string[]> =>
  (await changes(copy, options)).map((change) => [inWords(change), change.diff].filter(Boolean).join('\n'))

/** The hosts on which these changes restart etcd. */
export const restarted = (changes: Change[]): string[] =>
  changes.flatMap(({ host, act }) => (act === 'etcd_host.restart' ? [host] : []))

/**
 * Checks what the hosts offer; the cluster's inventory must be a copy.
 * @param onTable called with the outcome as a table, whatever it is
 * @throws OperationError naming the host that cannot carry etcd, and what to do
 */
export async function checkTheHosts(
  copy: Cluster,
  onTask: (name: string) => void,
  onTable: (table: string) => void,
): Promise<void> {
  await prepare(copy)
  let found = await checkHosts(copy, onTask)
  if (await getLacking(copy, found, onTask)) found = await checkHosts(copy, onTask)
  run().report.hosts = Object.fromEntries(found)
  onTable(hostTable(found))
  const failure = unfit(found)
  if (failure) throw failure
}

/**
 * Gets what hosts of another architecture need, by what the checks found.
 * @returns whether there was anything to get
 */
async function getLacking(
  cluster: Cluster,
  found: Map<string, HostCheck[]>,
  onTask: (name: string) => void,
): Promise<boolean> {
  const lacking = cluster.etcd.binaries ? [] : lackingPrograms(found)
  for (const architecture of lacking)
    run().changes.push(`${architecture}: ${await fetchFor(cluster, architecture, onTask)}`)
  if (lacking.length === 0) return false
  lookAgain()
  await prepare(cluster)
  return true
}

/** Gets the version that this cluster runs for hosts of another architecture. */
async function fetchFor(cluster: Cluster, architecture: Architecture, onTask: (name: string) => void): Promise<string> {
  const { version } = await requireEtcd(cluster)
  const { told } = await fetchEtcd({ ...cluster, etcd: { ...cluster.etcd, version } }, onTask, architecture)
  return `etcd ${version}: ${told}`
}

/**
 * Writes the inventory.
 * @returns the programs that the hosts are to run.
 * @throws OperationError when a certificate or etcd is missing
 */
export async function prepare(cluster: Cluster): Promise<EtcdBinaries> {
  if (cluster.hosts.some(({ connection }) => connection?.etcd_service_manager === 'supervisor'))
    throw refusal(cluster, { code: 'under-supervisord', name: cluster.name }, 'Nothing was changed: ')
  const binaries = await requireEtcd(cluster)
  const missing = leaves(cluster).find(({ certificate, key }) => !existsSync(certificate) || !existsSync(key))
  if (missing) throw refusal(cluster, { code: 'certificate-missing', what: missing.title })
  refuseRemovedSettings(cluster, binaries.version)
  for (const warning of warningsOf(binaries.version)) run().warn(warning)
  await warnOfUnknownSettings(cluster, binaries)
  writeInventory(cluster, binaries)
  return binaries
}

/**
 * @throws UsageError for a setting that the version no longer has: etcd would start, and go on without what a person
 * asked for
 */
function refuseRemovedSettings({ etcd }: Cluster, version: string): void {
  const [gone] = removedSettings(etcd.environment, version)
  if (gone)
    throw new UsageError(
      `etcd.environment: etcd ${version} no longer has ${gone.name}=${etcd.environment[gone.name]}.`,
      { hint: gone.now ? `Set instead: ${gone.now}` : `Take it out: etcd ${gone.since} and later go on without it.` },
    )
}

/** etcd ignores a variable that it does not know, and says so in its log only. */
async function warnOfUnknownSettings({ etcd }: Cluster, { folder, version }: EtcdBinaries): Promise<void> {
  const names = Object.keys(etcd.environment).filter((name) => !notFlags.test(name))
  if (names.length === 0) return
  const { stdout, stderr } = await ask(join(folder, 'etcd'), ['--help'])
  const known = [...`${stdout}${stderr}`.matchAll(/^\s*--([a-z][a-z0-9-]*)/gm)].map(
    ([, flag = '']) => `ETCD_${flag.toUpperCase().replaceAll('-', '_')}`,
  )
  if (known.length === 0) return
  for (const name of names.filter((one) => !known.includes(one)))
    run().warn(`etcd.environment: etcd ${version} knows no ${name}, and will ignore it.${didYouMean(name, known)}`)
}

/** Read by etcd or its image without being flags. */
const notFlags = /^ETCD_(UNSUPPORTED_ARCH|IMAGE_\w+)$/

/** Before anything is got or asked. @throws UsageError for a person's own folder of programs that is unfit */
export async function refuseUnfitPrograms(cluster: Cluster): Promise<void> {
  if (cluster.etcd.binaries) await findEtcd(cluster)
}

/** What the role needs of this machine. */
export const checks = (cluster: Cluster): Check[] => [ansibleCheck, etcdCheck(cluster)]

const ansibleCheck: Check = {
  title: 'Check Ansible',
  look: async () => {
    const found = await findAnsible()
    if (!found) return { detail: 'ansible-playbook was not found.', remedy: ansibleRemedy }
    return compareVersions(found.version, oldestAnsible) < 0
      ? {
          detail: `Ansible in ${found.folder} is ${found.version}, which is too old: 2.14 or later is needed.`,
          remedy: ansibleRemedy,
        }
      : `ansible-core ${found.version}`
  },
  mend: {
    // Packages of the index change nothing outside the project; where it cannot be reached, apt-get is asked for.
    question: async () => {
      const python = await pythonForAnsible()
      const silence = python ? await indexSilence(python) : 'there is no Python 3.9 or later'
      if (!silence || !canInstall()) return undefined
      return `Ansible is missing, and cannot be fetched (${silence}). Install the package ansible-core with apt-get?`
    },
    impossible: async () => ((await pythonForAnsible()) || canInstall() ? undefined : ansibleRemedy),
    run: async (report) => {
      const python = await pythonForAnsible()
      const silence = python ? await indexSilence(python) : 'there is no Python 3.9 or later'
      if (python && !silence) return `ansible-core ${await fetchAnsible(python, report)} fetched, checked by its hashes`
      if (!canInstall())
        throw new OperationError(`Ansible was not found, and cannot be fetched: ${silence}.`, { hint: ansibleRemedy })
      await aptInstall(['ansible-core'], report)
      return `ansible-core ${(await findAnsible())?.version} installed with apt-get`
    },
  },
}

const canInstall = (): boolean => hasApt() && isRoot()

const ansibleRemedy =
  'Install ansible-core 2.14 or later, or Python 3.9 or later with which it can be fetched ' +
  '(PIP_INDEX_URL names a mirror).'

const etcdCheck = (cluster: Cluster): Check => ({
  title: 'Check etcd',
  look: async () => {
    const binaries = await findEtcd(cluster)
    if (binaries) refuseRemovedSettings(cluster, binaries.version)
    return binaries
      ? `etcd ${binaries.version} in ${binaries.folder}`
      : { detail: await etcdMissing(cluster), remedy: 'Put etcd, etcdctl and etcdutl on PATH.' }
  },
  mend: {
    run: async (report) => {
      const { version, told } = await fetchEtcd(cluster, report)
      return `etcd ${version}: ${told}`
    },
  },
})
