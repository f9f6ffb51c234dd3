// Phase etcd-role: the Ansible role on every host.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import type { Task } from '../core/pipeline.ts'
import {
  aptInstall,
  compareVersions,
  findProgram,
  hasApt,
  isRoot,
  requireProgram,
  versionOf,
} from '../core/programs.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { ask } from '../core/shell.ts'
import { suggest } from '../core/suggest.ts'
import { type EtcdBinaries, etcdMissing, fetchEtcd, findEtcd, requireEtcd } from '../etcd/binaries.ts'
import { leaves } from '../etcd/certificates.ts'
import { warningsOf } from '../etcd/faults.ts'
import { type PlaybookOptions, runPlaybook } from '../etcd/playbook.ts'
import { removedSettings } from '../etcd/settings.ts'
import { checkHosts, hostTable, unfit } from './hosts.ts'
import { writeInventory } from './inventory.ts'

/** Writes the inventory and runs the role; the title says what changed. `options`: what this run is limited to, or has besides. */
export function tasks(cluster: Cluster, options: Pick<PlaybookOptions, 'limit' | 'variables'> = {}): Task[] {
  return [
    {
      title: 'Write the inventory',
      task: async () => {
        refuseHalfUpgraded(cluster)
        const { version } = await prepare(cluster)
        cluster.etcd.version = version
        recordCluster(cluster)
      },
    },
    roleTask(cluster, options),
  ]
}

/** Has the hosts run the programs of `cluster.etcd.version`, one after the other, and records nothing: verb upgrade does, once it is verified. */
export function upgradeTasks(cluster: Cluster, options: Pick<PlaybookOptions, 'limit' | 'variables'> = {}): Task[] {
  return [{ title: 'Write the inventory', task: async () => void (await prepare(cluster)) }, roleTask(cluster, options)]
}

/** Halfway the record has the version before: to put that back could be a downgrade, which etcd does not survive. */
export function refuseHalfUpgraded(cluster: Cluster): void {
  const { name, etcd } = cluster
  const { version = '', upgradingTo: to } = etcd
  if (!to) return
  const down = compareVersions(to, version) < 0
  const finish = command(cluster, `${down ? 'downgrade' : 'upgrade'} --etcd-version ${to}`)
  const back = command(cluster, down ? 'downgrade --cancel' : `upgrade --etcd-version ${version}`)
  throw new OperationError(
    `${down ? 'A downgrade' : 'An upgrade'} of ${name} to etcd ${to} was begun and is not done.`,
    {
      hint: `Finish it: ${finish}; or take it back: ${back}`,
    },
  )
}

function roleTask(cluster: Cluster, options: Pick<PlaybookOptions, 'limit' | 'variables'> = {}): Task {
  return {
    title: 'Run the Ansible role etcd',
    task: async (_, task) => {
      const recap = await runPlaybook(cluster, { ...options, onTask: (name) => void (task.output = name) })
      run.report.changed = Object.fromEntries(recap.map((row) => [row.host, row.changed]))
      const changed = recap.filter((row) => row.changed > 0)
      run.changes.push(...changed.map((row) => `configured or started ${row.host}`))
      task.title =
        changed.length > 0
          ? `Run the Ansible role etcd: ${changed.map((row) => `${row.host} changed=${row.changed}`).join(', ')}`
          : `Run the Ansible role etcd: nothing to do, changed=0 on ${recap.length} ${recap.length === 1 ? 'host' : 'hosts'}`
    },
  }
}

/** What the role would do, in its order, each host's differences below its line. The cluster's inventory must be a copy. */
export async function plan(copy: Cluster, options: Pick<PlaybookOptions, 'variables'> = {}): Promise<string[]> {
  refuseHalfUpgraded(copy)
  await prepare(copy)
  const would: string[] = []
  let step = ''
  await runPlaybook(copy, {
    ...options,
    onTask: (name) => {
      step = name
    },
    onDiff: (host, diff) =>
      would.push([`${host}: ${step.charAt(0).toLowerCase()}${step.slice(1)}`, ...(diff ? [diff] : [])].join('\n')),
  })
  return would
}

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
  const found = await checkHosts(copy, onTask)
  run.report.hosts = Object.fromEntries(found)
  onTable(hostTable(found))
  const failure = unfit(found)
  if (failure) throw failure
}

/** Writes the inventory. @returns the programs that the hosts are to run. @throws OperationError when a certificate or etcd is missing */
export async function prepare(cluster: Cluster): Promise<EtcdBinaries> {
  const binaries = await requireEtcd(cluster)
  const missing = leaves(cluster).find(({ certificate, key }) => !existsSync(certificate) || !existsSync(key))
  if (missing)
    throw new OperationError(`The certificate ${missing.title}, or its key, is missing.`, {
      hint: 'Make what is missing with: npx zx scripts/pki.ts',
    })
  refuseRemovedSettings(cluster, binaries.version)
  for (const warning of warningsOf(binaries.version)) warnOnce(warning)
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
  for (const name of names.filter((one) => !known.includes(one))) {
    const near = suggest(name, known)
    warnOnce(
      `etcd.environment: etcd ${version} knows no ${name}, and will ignore it.${near.startsWith(' Did') ? near : ''}`,
    )
  }
}

function warnOnce(warning: string): void {
  if (warning && !run.warnings.includes(warning)) run.warnings.push(warning)
}

/** Read by etcd or its image without being flags. */
const notFlags = /^ETCD_(UNSUPPORTED_ARCH|IMAGE_\w+)$/

/** What the role needs of this machine. */
export const checks = (cluster: Cluster): Check[] => [ansibleCheck, etcdCheck(cluster)]

const ansibleCheck: Check = {
  title: 'Check Ansible',
  look: async () => {
    const program = findProgram('ansible-playbook')
    const version = program && (await ansibleVersion(program))
    if (!version) return { detail: 'ansible-playbook was not found.', remedy: 'Install ansible-core 2.14 or later.' }
    return compareVersions(version, '2.14.0') < 0
      ? {
          detail: `${program} is Ansible ${version}, which is too old: 2.14 or later is needed.`,
          remedy: 'Put a newer one first on PATH, for example with: pipx install ansible-core',
        }
      : `ansible-core ${version}`
  },
  mend: {
    question: 'Ansible is missing. Install the package ansible-core with apt-get?',
    impossible: () => {
      if (findProgram('ansible-playbook'))
        return 'Put ansible-core 2.14 or later first on PATH, for example with: pipx install ansible-core'
      if (!hasApt()) return 'Install ansible-core 2.14 or later, for example with: pipx install ansible-core'
      return isRoot() ? undefined : 'Install it with: sudo apt-get install --no-install-recommends ansible-core'
    },
    run: async (report) => {
      await aptInstall(['ansible-core'], report)
      return `ansible-core ${await ansibleVersion(requireProgram('ansible-playbook'))} installed with apt-get`
    },
  },
}

const etcdCheck = (cluster: Cluster): Check => ({
  title: 'Check etcd',
  look: async () => {
    const binaries = await findEtcd(cluster)
    if (binaries) refuseRemovedSettings(cluster, binaries.version)
    return binaries
      ? `etcd ${binaries.version} in ${binaries.folder}`
      : { detail: await etcdMissing(cluster), remedy: 'Put etcd and etcdctl on PATH.' }
  },
  mend: {
    run: async () => {
      const { version, source } = await fetchEtcd(cluster)
      return `etcd ${version} fetched from ${source}`
    },
  },
})

/** `--version` takes Ansible half a second; its own Python knows it at once. */
async function ansibleVersion(program: string): Promise<string | undefined> {
  const python = /^#!\s*(\/\S+python\S*)\s*$/.exec(readFileSync(program, 'utf8').split('\n', 1)[0] ?? '')?.[1]
  return (
    (python && (await versionOf(python, ['-c', 'import ansible.release; print(ansible.release.__version__)']))) ||
    versionOf(program)
  )
}
