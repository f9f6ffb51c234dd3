// Phase etcd-role: the Ansible role on every host.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fetchAnsible, findAnsible, indexSilence, oldestAnsible, pythonForAnsible } from '../core/ansible.ts'
import type { Check } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { type Task, titled } from '../core/pipeline.ts'
import { aptInstall, compareVersions, hasApt, isRoot } from '../core/programs.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { ask } from '../core/shell.ts'
import { didYouMean } from '../core/suggest.ts'
import { counted } from '../core/terminal.ts'
import { moveBegun } from '../etcd/advice.ts'
import {
  type EtcdBinaries,
  etcdMissing,
  findEtcd,
  lookAgain,
  noteVersion,
  requireEtcd,
  sayKept,
} from '../etcd/binaries.ts'
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

/** What a run of the role is limited to, or has besides. */
type RoleOptions = Pick<PlaybookOptions, 'limit' | 'variables'>

/** Writes the inventory and runs the role; the title says what changed. */
export function tasks(cluster: Cluster, options: RoleOptions = {}): Task[] {
  let first = false
  return [
    {
      title: 'Write the inventory',
      task: async () => {
        refuseHalfUpgraded(cluster)
        const { version } = await prepare(cluster)
        first = !cluster.formed
        cluster.formed = true
        await noteVersion(cluster, version)
      },
    },
    roleTask(cluster, options, (error) => {
      // Until a host has something of the cluster, a person may correct which hosts these are.
      if (!first || !(error instanceof OperationError && error.more.untouched)) return
      cluster.formed = undefined
      recordCluster(cluster)
    }),
  ]
}

/** Has the hosts run the programs of `cluster.etcd.version`, one after the other, and records nothing. */
export function upgradeTasks(cluster: Cluster, options: RoleOptions = {}): Task[] {
  return [{ title: 'Write the inventory', task: async () => void (await prepare(cluster)) }, roleTask(cluster, options)]
}

/** Halfway the record has the version before: to put that back could be a downgrade, which etcd does not survive. */
export function refuseHalfUpgraded(cluster: Cluster): void {
  const begun = moveBegun(cluster)
  if (begun) throw refusal(cluster, begun)
}

const roleTask = (cluster: Cluster, options: RoleOptions, onFailure: (error: unknown) => void = () => {}): Task =>
  titled('Run the Ansible role etcd', async (onTask) => {
    const counts = await runRole(cluster, { ...options, onTask }).catch((error: unknown) => {
      onFailure(error)
      throw error
    })
    run().report.changed = counts
    const changed = Object.entries(counts).filter(([, count]) => count > 0)
    run().changes.push(...changed.map(([host]) => `configured or started ${host}`))
    const what = changed.map(([host, count]) => `${host} changed=${count}`).join(', ')
    const nothing = `nothing to do, changed=0 on ${counted(Object.keys(counts).length, 'host')}`
    return `Run the Ansible role etcd: ${what || nothing}`
  })

/** Once `up` has verified it, the record has its revision: from then on it has data to lose. */
const knowing = <T extends PlaybookOptions>({ highestRevision }: Cluster, options: T): T => ({
  ...options,
  variables: { etcd_formed: highestRevision !== undefined, ...options.variables },
})

/** The role refuses hosts of another architecture before it changes anything: then their programs are got. */
async function runRole(
  cluster: Cluster,
  options: PlaybookOptions & { onTask: (name: string) => void },
): Promise<Record<string, number>> {
  try {
    return await runPlaybook(cluster, knowing(cluster, options))
  } catch (error) {
    const lacks = error instanceof OperationError && error.more.code === 'architecture'
    if (!lacks || !(await getLacking(cluster, await checkHosts(cluster, options.onTask), options.onTask))) throw error
    return runPlaybook(cluster, knowing(cluster, options))
  }
}

/** What the role would do, in its order. The cluster's inventory must be a copy. */
export async function changes(copy: Cluster, options: Pick<PlaybookOptions, 'variables'> = {}): Promise<Change[]> {
  refuseHalfUpgraded(copy)
  await prepare(copy)
  const would: Change[] = []
  await runPlaybook(copy, { ...knowing(copy, options), onChange: (change) => void would.push(change) })
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

/** Gets the programs that hosts of another architecture lack. @returns whether any host lacked some */
async function getLacking(
  cluster: Cluster,
  found: Map<string, HostCheck[]>,
  onTask: (name: string) => void,
): Promise<boolean> {
  const lacking = cluster.etcd.binaries ? [] : lackingPrograms(found)
  if (lacking.length === 0) return false
  const { version } = await requireEtcd(cluster)
  for (const architecture of lacking) {
    const { told } = await fetchEtcd({ ...cluster, etcd: { ...cluster.etcd, version } }, onTask, architecture)
    run().changes.push(`${architecture}: etcd ${version}: ${told}`)
  }
  lookAgain()
  await prepare(cluster)
  return true
}

/** Writes the inventory; returns the hosts' programs. @throws OperationError when a certificate or etcd is missing */
export async function prepare(cluster: Cluster): Promise<EtcdBinaries> {
  if (cluster.hosts.some(({ connection }) => connection?.etcd_service_manager === 'supervisor'))
    throw refusal(cluster, { code: 'under-supervisord', name: cluster.name }, 'Nothing was changed: ')
  const binaries = await requireEtcd(cluster)
  const own = leaves(cluster).filter(({ consumer }) => consumer === undefined)
  const missing = own.find(({ certificate, key }) => !existsSync(certificate) || !existsSync(key))
  if (missing) throw refusal(cluster, { code: 'certificate-missing', what: missing.title })
  refuseRemovedSettings(cluster, binaries.version)
  for (const warning of [await sayKept(cluster, binaries), ...warningsOf(binaries.version)])
    if (warning) run().warn(warning)
  await warnOfUnknownSettings(cluster, binaries)
  writeInventory(cluster, binaries)
  return binaries
}

/** @throws UsageError for a setting that the version no longer has: etcd would go on without what a person asked for */
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

/** What the role needs of this machine. */
export const checks = (cluster: Cluster): Check[] => [ansibleCheck, etcdCheck(cluster)]

const ansibleCheck: Check = {
  title: 'Check Ansible',
  look: async () => {
    const found = await findAnsible()
    if (!found) return { detail: 'ansible-playbook was not found.', remedy: ansibleRemedy }
    if (compareVersions(found.version, oldestAnsible) >= 0) return `ansible-core ${found.version}`
    const detail = `Ansible in ${found.folder} is ${found.version}, which is too old: 2.14 or later is needed.`
    return { detail, remedy: ansibleRemedy }
  },
  mend: {
    // Packages of the index change nothing outside the project; where it cannot be reached, apt-get is asked for.
    question: async () => {
      const { silence } = await index()
      if (!silence || !canInstall()) return undefined
      return `Ansible is missing, and cannot be fetched (${silence}). Install the package ansible-core with apt-get?`
    },
    impossible: async () => ((await pythonForAnsible()) || canInstall() ? undefined : ansibleRemedy),
    run: async (report) => {
      const { python, silence } = await index()
      if (python && !silence) return `ansible-core ${await fetchAnsible(python, report)} fetched, checked by its hashes`
      if (!canInstall())
        throw new OperationError(`Ansible was not found, and cannot be fetched: ${silence}.`, { hint: ansibleRemedy })
      await aptInstall(['ansible-core'], report)
      return `ansible-core ${(await findAnsible())?.version} installed with apt-get`
    },
  },
}

/** The Python to fetch Ansible with; `silence`: why the index cannot be asked with it. */
async function index(): Promise<{ python?: string; silence: string | undefined }> {
  const python = await pythonForAnsible()
  return python ? { python, silence: await indexSilence(python) } : { silence: 'there is no Python 3.9 or later' }
}

const canInstall = (): boolean => hasApt() && isRoot()

const ansibleRemedy =
  'Install ansible-core 2.14 or later, or Python 3.9 or later with which it can be fetched ' +
  '(PIP_INDEX_URL names a mirror).'

const etcdCheck = (cluster: Cluster): Check => ({
  title: 'Check etcd',
  look: async () => {
    const binaries = await findEtcd(cluster)
    if (!binaries) return { detail: await etcdMissing(cluster), remedy: 'Put etcd, etcdctl and etcdutl on PATH.' }
    refuseRemovedSettings(cluster, binaries.version)
    return `etcd ${binaries.version} in ${binaries.folder}`
  },
  mend: {
    run: async (report) => {
      const { version, told } = await fetchEtcd(cluster, report)
      return `etcd ${version}: ${told}`
    },
  },
})
