// What adopting needs to know of a running cluster that something else has set up. Nothing is changed.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { withScratch } from '../copies.ts'
import { type Cluster, type Host, workOutURLs } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import type { NewFile } from '../core/files.ts'
import { hostsLeft } from '../core/record.ts'
import { requireEtcd } from '../etcd/binaries.ts'
import { commonNames } from '../etcd/certificates.ts'
import { type Member, memberList } from '../etcd/etcdctl.ts'
import { type Finding, refusal, sentenceOf } from '../etcd/findings.ts'
import { type ForeignHost, isPlain, lackingIn, type RunningEtcd, settingsOf, whyNotAdopted } from '../etcd/foreign.ts'
import { saidByHosts } from '../etcd/playbook.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as pki from '../pki/index.ts'
import type { Observation } from '../plans/types.ts'
import * as vms from '../vms/index.ts'
import { arranged, type ClientFiles, fetchFiles, readStaged, withTheirs } from './adopt-files.ts'
import { lookFirst } from './guard.ts'

/** What the role's module notes of a member that it takes over. */
interface Kept {
  id?: string
  unit?: string
  stopping?: boolean
  taken?: boolean
}
interface Looked {
  etcds: RunningEtcd[]
  kept: Kept
}

export interface Found {
  /** Those whose member is still under its old service. */
  foreign: ForeignHost[]
  /** Those where an earlier run was cut short. */
  half: Host[]
  version: string
  /** The certificates that the members have now, below a folder as the role takes them. */
  files: NewFile[]
  seen: Observation
  /** Members that are known by another peer URL than their host's here: their ids, by host. */
  readdressed: Record<string, string>
}

/** What the members of a cluster of ours show that this machine has no record of: as many as run. */
export interface Ours extends Pick<Found, 'files'> {
  ours: ForeignHost[]
}

/** @throws OperationError with everything that stands against it; but a cluster of ours need not be well */
export async function lookAtForeign(cluster: Cluster, client: ClientFiles | undefined): Promise<Found | Ours> {
  return withScratch(cluster, async (folder) => {
    const copy = await scratchOf(cluster, folder)
    let silent: OperationError | undefined
    const looked = await saidByHosts<Looked>(copy, {
      playbook: 'adopt',
      variables: { etcd_adopt_action: 'look' },
      onUnreachable: (_, why) => void (silent = why),
    })
    const running = cluster.hosts.filter(({ name }) => looked.get(name)?.etcds.length === 1)
    const ours = cluster.begun ? [] : running.map((host) => foreignHost(cluster, host, looked))
    if (isMadeByUs(ours)) return { ours, files: arranged(ours, await fetchFiles(copy, folder, ours), client) }
    if (silent) throw silent
    if (running.length === 0 && hostsLeft(cluster)) throw nothingRuns(cluster)
    const stageOf = ({ name }: Host): Stage => stageIn(cluster, looked.get(name))
    const half = cluster.hosts.filter((host) => stageOf(host) === 'half')
    const foreign = cluster.hosts
      .filter((host) => stageOf(host) === 'not')
      .map((host) => foreignHost(cluster, host, looked))
    const fetched = await fetchFiles(
      copy,
      folder,
      foreign.filter(({ etcd }) => etcd.elsewhere.length === 0),
    )
    refuse(cluster, whyNotAdopted(cluster, foreign), lackingIn(cluster, foreign))
    for (const one of [cluster, copy]) speakAs(one, foreign)
    const staged = readStaged(cluster)
    const files = staged.length > 0 || foreign.length === 0 ? staged : arranged(foreign, fetched, client)
    const asked = files.length > 0 ? await withTheirs(copy, files) : cluster
    const seen = await lookFirst(asked)
    refuse(cluster, obstacles(seen, half).map(sentenceOf))
    const members = await memberList(asked)
    refuse(cluster, strangers(seen, members, half), '', 'List all its servers under hosts in the configuration.')
    const version = foreign[0]?.etcd.version ?? cluster.etcd.version ?? ''
    return { foreign, half, version, files, seen, readdressed: readdressed(cluster, seen, members) }
  })
}

/** Of a cluster of ours without a record: who runs tells what it is. */
const nothingRuns = (cluster: Cluster): OperationError =>
  new OperationError(`etcd runs on no host of ${cluster.name}. Nothing was changed.`, {
    hint:
      'On a host that has data, mend what keeps etcd from running (journalctl -u etcd-member), and start it ' +
      '(systemctl start etcd-member). Then run the same command again. If no host has any data: ' +
      `${command(cluster, 'down')} && ${command(cluster, 'up')}. Then restore a backup: ` +
      command(cluster, 'restore FILE'),
  })

/** Whether the role has set these members up. */
export const isMadeByUs = (running: ForeignHost[]): boolean =>
  running.length > 0 && running.every(({ settings }) => settings.ETCD_PEER_CERT_ALLOWED_CN === commonNames.peer)

/** What of it is plain HTTP stays so until all members can do TLS; run again, the record says how far that is. */
function speakAs(cluster: Cluster, foreign: ForeignHost[]): void {
  if (foreign.length === 0 || cluster.begun) return
  if (isPlain(foreign, 'client')) cluster.plainClients = 'only'
  for (const host of cluster.hosts) if (isPlain(foreign, 'peer')) host.plain = true
  workOutURLs(cluster)
}

/** How far a host's member is taken over. */
type Stage = 'not' | 'half' | 'taken'

/** What the role noted on the host stays there: it counts while this very adoption is under way. */
export function stageIn({ begun, life }: Cluster, { etcds, kept }: Looked = { etcds: [], kept: {} }): Stage {
  if (!begun || kept.id !== life || !kept.stopping) return 'not'
  return kept.taken && etcds.some(({ unit }) => unit === 'etcd-member') ? 'taken' : 'half'
}

/** The hosts whose member is still under its old service, or was when it was last there. */
export async function untaken(cluster: Cluster): Promise<string[]> {
  const kept = await withScratch(cluster, async (folder) =>
    saidByHosts<Looked>(await scratchOf(cluster, folder), {
      playbook: 'adopt',
      variables: { etcd_adopt_action: 'look' },
    }),
  )
  const isTaken = ({ id, taken }: Kept = {}): boolean => id === cluster.life && taken === true
  return cluster.hosts.flatMap(({ name }) => (isTaken(kept.get(name)?.kept) ? [] : [name]))
}

/** The cluster with its state in a folder that is thrown away, and its hosts as Ansible reaches them. */
async function scratchOf(cluster: Cluster, folder: string): Promise<Cluster> {
  const [sshConfig, inventory] = [join(folder, 'ssh-config'), join(folder, 'inventory.yml')]
  const paths = { ...cluster.paths, state: folder, certs: join(folder, 'certs'), sshConfig, inventory }
  const etcd = { ...cluster.etcd, version: undefined, looksOnly: true, environment: {} }
  const copy = { ...cluster, formed: undefined, etcd, paths, hosts: cluster.hosts.map((host) => ({ ...host })) }
  await vms.note(copy)
  for (const made of [paths.certs, join(folder, 'lock')]) mkdirSync(made, { mode: 0o700 })
  await pki.ensureCertificates(copy) // of an authority that is thrown away: the role wants some
  etcdRole.writeInventory(copy, await requireEtcd(copy))
  return copy
}

/** @throws OperationError where none runs, or several do */
function foreignHost({ begun }: Cluster, host: Host, looked: Map<string, Looked>): ForeignHost {
  const { etcds = [] } = looked.get(host.name) ?? {}
  const [etcd, another] = etcds
  const hint = begun
    ? 'Start it there. If its data is lost, put a new member in its place by the means that it was set up with.'
    : 'Start it there; or take the host out of the configuration, where it has none.'
  const no = (reason: string): OperationError =>
    new OperationError(`${host.name}: ${reason}. Nothing was changed.`, { hint })
  if (!etcd) throw no('no etcd runs here')
  if (another) throw no(`${etcds.length} etcds run here`)
  return { host, etcd, settings: settingsOf(etcd) }
}

/** What adopting itself puts right, or is about; who the members are is judged by their ids. */
export const putRight: Finding['code'][] = [
  ...(['other-name', 'other-client-url', 'other-peer-url', 'mixed-versions'] as const),
  ...(['member-missing', 'stranger-member'] as const),
]

export const obstacles = ({ findings }: Observation, stopped: Host[]): Finding[] =>
  findings.filter(
    ({ code, host }) =>
      !putRight.includes(code) && !(code === 'member-down' && stopped.some(({ name }) => name === host)),
  )

/** Members that none of the hosts runs. */
export function strangers({ hosts }: Observation, members: Member[], stopped: Host[]): string[] {
  const known = Object.values(hosts).map(({ answer }) => answer?.member)
  return members
    .filter(({ id, peerURLs }) => !known.includes(id) && !stopped.some(({ peerURL }) => peerURLs.includes(peerURL)))
    .map(({ id, name, peerURLs }) => `member ${id} (${[name, ...peerURLs].join(', ')}) is on none of the hosts`)
}

export function readdressed(cluster: Cluster, { hosts }: Observation, members: Member[]): Record<string, string> {
  const ids = cluster.hosts.flatMap(({ name, peerURL }) => {
    const member = members.find(({ id }) => id === hosts[name]?.answer?.member)
    return member && !member.peerURLs.includes(peerURL) ? [[name, member.id]] : []
  })
  return Object.fromEntries(ids)
}

/** All at once: the first as the reason, the others below it. @throws OperationError where there is one */
export function refuse(cluster: Cluster, [first, ...others]: string[], lacks = '', hint?: string): void {
  if (first === undefined && lacks === '') return
  const missing = lacks ? ['The configuration lacks what the members have:', lacks] : []
  const error = first
    ? refusal(cluster, { code: 'not-adoptable', reason: first })
    : refusal(cluster, { code: 'settings-missing' })
  const lines = first ? [...others.map((reason) => `Also: ${reason}.`), ...missing] : [lacks]
  throw new OperationError(error.message, { ...error.more, ...(hint && { hint }), lines })
}
