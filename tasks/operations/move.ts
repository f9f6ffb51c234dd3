// move: members go on at other addresses of their hosts, one after the other, while the cluster serves.
import { membershipActs } from '../acts/members.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { inOrder, type Task } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { listed } from '../core/terminal.ts'
import { call, memberList } from '../etcd/etcdctl.ts'
import { memberOf } from '../etcd/membership.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as pki from '../pki/index.ts'
import { inOrderOfRisk } from '../plans/in-turn.ts'
import * as vms from '../vms/index.ts'
import { beforeMove, ofConnected } from './clients.ts'
import { type GuardOptions, lookFirst, refuseUnhealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, proveItWorks, type Step, told } from './steps.ts'

/**
 * Moves each host whose listed address is another one than the recorded. Run again after a kill, it goes on: a host
 * bears its other address in the record until all is done.
 * @throws UsageError where the listed hosts are others
 */
export async function move(cluster: Cluster, plan: boolean): Promise<void> {
  const wanted = requireSameHosts(cluster)
  etcdRole.refuseHalfUpgraded(cluster)
  const due = cluster.hosts.filter((host) => host.address !== to(wanted, host).address)
  const names = due.map(({ name }) => name)
  const begun = cluster.hosts.filter(({ also }) => also !== undefined)
  if (due.length + begun.length === 0)
    return sayDone(cluster, 'move', 'Every member has the address that is listed.', { moved: [] })
  await note(cluster, wanted)
  await requireAddresses(cluster, wanted, due)
  if (!plan) await restartStranded(cluster, begun)
  const seen = await lookFirst(cluster)
  refuseUnhealthy(cluster, seen, whileMoving(begun))
  const theirs = ofConnected(cluster, 'endpoints')
  const clients = `clients need the new endpoints as well: ${command(cluster, 'env')}${theirs}`
  const before = beforeMove(cluster, wanted)
  const moving =
    `Move ${listed(names)} to the addresses that are listed now? Each restarts once; ` +
    `${before ? `before that, ${before}` : clients}.`
  const steps: Step[] = [
    ...(before ? [told(`you: ${before}`)] : []),
    ...(begun.length > 0 ? [finishBegun(cluster, wanted)] : []),
    {
      ...inOrder('Install certificates that name both addresses', () => nameBoth(cluster, wanted, names)),
      would: names.map((name) => `install certificates on ${name} that name both addresses, which restarts nobody`),
    },
    ...inOrderOfRisk(seen, names).map((name) => moveOne(cluster, wanted, name)),
    {
      ...inOrder('Install certificates without old addresses that are gone', () => nameOne(cluster)),
      would: ['install certificates without the old addresses, where hosts have them no longer'],
    },
    proveItWorks(cluster),
    told(`you: ${clients}`),
  ]
  if (!(await carryOutSteps(cluster, 'move', steps, plan, begun.length > 0 ? undefined : moving))) return
  const where = cluster.hosts.map(({ name, address }) => `${name} at ${address}`)
  const left = cluster.hosts.filter(({ also }) => also).map(({ name }) => name)
  const clean =
    ` Then take the old address from one host after the other (${listed(left)}), and each time restart its etcd: ` +
    `${command(cluster, 'restart HOST')}. At last take them out of the certificates: ${command(cluster, 'move')}`
  const after = left.length > 0 ? clean : ''
  const now = `Now ${clients}.`
  sayDone(cluster, 'move', `${cluster.name} has ${listed(where)}; it is verified. ${now}${after}`, {
    moved: [...new Set([...begun.map(({ name }) => name), ...names])],
    withOldAddress: left,
    clients: now,
  })
}

/** What is seen of a host between its member's new URL and its restart stops nobody who goes on. */
const whileMoving = (begun: Host[]): GuardOptions => ({
  allowDown: begun.map(({ name }) => name),
  allow: begun.length > 0 ? ['other-peer-url', 'other-client-url'] : [],
})

/** @throws UsageError where hosts come or go: that is scale's work */
function requireSameHosts(cluster: Cluster): Host[] {
  const { hosts, wanted = [] } = cluster
  const others = [...hosts, ...wanted].filter(({ name }) => ![hosts, wanted].every((list) => has(list, name)))
  const [other] = others
  if (!other) return wanted
  throw new UsageError(`${other.name} is ${has(hosts, other.name) ? 'on no list any more' : 'no member'}.`, {
    hint: `Hosts come and go by ${command(cluster, 'scale')}. List the hosts as they are, with their new addresses.`,
  })
}

const has = (list: Host[], name: string): boolean => list.some((host) => host.name === name)
const to = (wanted: Host[], { name }: Pick<Host, 'name'>): Host => wanted.find((host) => host.name === name) as Host

/** Hosts are reached from now on as they are listed. */
async function note(cluster: Cluster, wanted: Host[]): Promise<void> {
  await vms.note({ ...cluster, hosts: wanted })
  for (const host of cluster.hosts) host.connection = to(wanted, host).connection
}

/** That each host has its new address, and every other one reaches it there. @throws OperationError */
async function requireAddresses(cluster: Cluster, wanted: Host[], due: Host[]): Promise<void> {
  const addresses = due.map((host) => to(wanted, host).address)
  const twice = addresses.find((address) => cluster.hosts.some((host) => host.address === address))
  if (twice)
    throw new UsageError(`${twice} is a member's address now.`, { hint: 'Let the members move one after the other.' })
  const found = await vms.addressesSeen(cluster, addresses, cluster.etcd.peerPort)
  for (const host of due) {
    const { address } = to(wanted, host)
    if (!found[host.name]?.has.includes(address))
      throw new OperationError(`${host.name} does not have the address ${address}. Nothing was changed.`, {
        hint: 'Give the host its new address beside the old one first, then run this again.',
      })
    const blind = cluster.hosts.filter(({ name }) => !found[name]?.reaches.includes(address)).map(({ name }) => name)
    if (blind.length > 0)
      throw new OperationError(`${listed(blind)} cannot reach ${host.name} at ${address}. Nothing was changed.`, {
        hint: `Open the ports ${cluster.etcd.clientPort} and ${cluster.etcd.peerPort} between the hosts there.`,
      })
  }
}

/**
 * Connections from an address that a host has no longer are not ended: etcd goes on writing into them, and hears
 * nobody, until TCP gives up after a quarter of an hour (tcp_retries2). Members that commit nothing are restarted.
 */
async function restartStranded(cluster: Cluster, begun: Host[]): Promise<void> {
  const gone = begun.length > 0 ? await withoutOld(cluster) : []
  if (gone.length === 0) return
  const { hosts } = await lookFirst(cluster)
  for (const host of gone.filter(({ name }) => !hosts[name]?.answer?.commits)) {
    await vms.restartMember(cluster, host)
    run().changes.push(`restarted ${host.name}`)
  }
}

/** The moved hosts that no longer have their old address. */
async function withoutOld(cluster: Cluster): Promise<Host[]> {
  const moved = cluster.hosts.filter(({ also }) => also !== undefined)
  const old = moved.flatMap(({ also }) => also ?? [])
  const seen = await vms.addressesSeen(cluster, old, cluster.etcd.peerPort)
  return moved.filter(({ name, also = '' }) => !seen[name]?.has.includes(also))
}

/** A run that was cut short may have left a member whose URL is ahead of the record, or of its own listeners. */
const finishBegun = (cluster: Cluster, wanted: Host[]): Step => ({
  ...inOrder('Finish what was begun', async () => {
    const members = await memberList(cluster)
    for (const host of cluster.hosts) {
      const goal = to(wanted, host)
      if (host.address !== goal.address && memberOf(host, members)?.peerURLs.includes(goal.peerURL)) arrive(host, goal)
    }
    recordCluster(cluster)
    return [...pki.tasks(cluster), ...etcdRole.tasks(cluster, atBoth)]
  }),
  would: ['finish what was begun'],
})

function nameBoth(cluster: Cluster, wanted: Host[], names: string[]): Task[] {
  for (const host of cluster.hosts.filter(({ name }) => names.includes(name))) {
    const goal = to(wanted, host)
    if (host.address !== goal.address) host.also = goal.address
  }
  recordCluster(cluster)
  return [...pki.tasks(cluster), ...etcdRole.tasks(cluster)]
}

function moveOne(cluster: Cluster, wanted: Host[], name: string): Step {
  const host = to(cluster.hosts, { name })
  const goal = to(wanted, host)
  return {
    ...inOrder(`Move ${name} to ${goal.address}`, () => [
      { title: 'Have another member lead', task: () => handOver(cluster, name) },
      { title: `Have it known by ${goal.peerURL}`, task: () => announce(cluster, host, goal) },
      ...etcdRole.tasks(cluster, atBoth),
      {
        title: 'Wait until all members are healthy',
        task: async () => refuseUnhealthy(cluster, await lookFirst(cluster), {}),
      },
    ]),
    would: [`move ${name} to ${goal.address}: its peer URL first, then restart it there`],
    skip: () => host.address === goal.address && 'an earlier run did',
  }
}

/** Every other member must be well, and one of them takes the lead over. */
async function handOver(cluster: Cluster, from: string): Promise<void> {
  const seen = await lookFirst(cluster)
  refuseUnhealthy(cluster, seen, {})
  const heir = cluster.hosts.find(({ name }) => name !== from)
  if (seen.leader === from && heir) await membershipActs['hand over'](cluster, { do: 'hand over', from, to: heir.name })
}

/** From here to its restart the others do not hear it: so the restart comes at once. */
async function announce(cluster: Cluster, host: Host, goal: Host): Promise<void> {
  const member = memberOf(host, await memberList(cluster))
  if (!member) throw new OperationError(`${host.name} is no member any more.`)
  await call(cluster, ['member', 'update', member.id, `--peer-urls=${goal.peerURL}`], {})
  arrive(host, goal)
  recordCluster(cluster)
  run().changes.push(`moved ${host.name} to ${goal.address}`)
}

/** Its etcd listens at the old address still, at the new one nobody: the checks would miss it there. */
const atBoth = { variables: { etcd_doctor: false } }

const arrive = (host: Host, { address, clientURL, peerURL }: Host): Host =>
  Object.assign(host, { also: host.address, address, clientURL, peerURL })

/** A host that has its old address still may call the others from it, and they look it up in its certificate. */
async function nameOne(cluster: Cluster): Promise<Task[]> {
  for (const host of await withoutOld(cluster)) host.also = undefined
  recordCluster(cluster)
  return [...pki.tasks(cluster), ...etcdRole.tasks(cluster)]
}
