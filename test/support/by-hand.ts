// What befalls a real local cluster, made by hand: members and data that go, and what a person may do with etcdctl.
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, type Host, hostNamed, resolveCluster } from '../../tasks/core/cluster.ts'
import { loadSettings } from '../../tasks/core/config.ts'
import { inRun, Run } from '../../tasks/core/run.ts'
import { call, endpointStatus, memberList } from '../../tasks/etcd/etcdctl.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { moveLeader } from '../../tasks/etcd/maintenance.ts'
import { memberOf } from '../../tasks/etcd/membership.ts'
import { crashMember } from '../../tasks/vms/index.ts'
import { loseHosts } from './load.ts'
import { environmentOfTests, type Home } from './verbs.ts'
import { pause } from './wait.ts'

/** What scripts run in, for this home. */
export const environmentOf = (home: Home): NodeJS.ProcessEnv => ({
  ...environmentOfTests(),
  HA_ETCD_HOME: home.path,
  HA_ETCD_PROVIDER: 'local',
})

/** Calls `act` with the home's cluster, as a verb has it. `speed`: of the run's clock, which measures patience. */
export function withCluster<T>(home: Home, act: (cluster: Cluster) => Promise<T>, speed = 1): Promise<T> {
  const started = Date.now()
  const silent = { write: () => true }
  const clock = (): number => started + (Date.now() - started) * speed
  const run = new Run({ env: environmentOf(home), stdout: silent, stderr: silent, clock })
  return inRun(run, async () =>
    act(await resolveCluster(loadSettings({}), { configures: false, looks: true })),
  ).finally(() => run.end())
}

/** Where a local host's member has its data. */
const dataOf = (home: Home, host: string): string =>
  join(home.path, '.cluster/etcd-cluster-1/hosts', host, 'var/lib/etcd/member')

export const hasData = (home: Home, host: string): boolean => existsSync(join(dataOf(home, host), 'wal'))

type Deed = (home: Home, cluster: Cluster, host: Host) => Promise<unknown>

const stop: Deed = (_, cluster, host) => crashMember(cluster, host)

const wipe: Deed = async (home, cluster, host) => {
  await stop(home, cluster, host)
  if (hasData(home, host.name)) renameSync(dataOf(home, host.name), join(home.path, `wiped-${Date.now()}`))
}

const lead: Deed = async (_, cluster, { name }) => {
  const statuses = await endpointStatus(cluster)
  const known = statuses.flatMap((one) => (one.ok ? [one] : []))
  const leader = known.find(({ value }) => value.leaderId === value.memberId)
  const heir = known.find(({ endpoint }) => endpoint === hostNamed(cluster, name).clientURL)
  if (leader && heir && leader !== heir) await moveLeader(cluster, leader.endpoint, heir.value.memberId)
}

/** etcd wants every voter connected for 5 s before it changes who they are. */
async function membership(cluster: Cluster, host: Host | undefined, ...words: string[]): Promise<void> {
  const endpoints = cluster.hosts.filter((one) => one !== host).map(({ clientURL }) => clientURL)
  for (let tries = 1; ; tries++) {
    try {
      return void (await call(cluster, ['member', ...words], { endpoints, timeoutMs: 5000 }))
    } catch (error) {
      if (tries === 8) throw error
      await pause(1000)
    }
  }
}

const remove: Deed = async (_, cluster, host) => {
  const endpoints = cluster.hosts.filter((one) => one !== host).map(({ clientURL }) => clientURL)
  const member = memberOf(host, await memberList(cluster, { endpoints }))
  if (member) await membership(cluster, host, 'remove', member.id)
}

const addStranger =
  (...flags: string[]): Deed =>
  (_, cluster, { peerURL }) =>
    membership(cluster, undefined, 'add', 'stranger', `--peer-urls=${peerURL.replace(/\d+:/, '99:')}`, ...flags)

/** As etcd itself raises one. */
const alarm =
  (kind: 'NOSPACE' | 'CORRUPT'): Deed =>
  async (_, cluster, host) => {
    const member = memberOf(host, await memberList(cluster))
    const gateway = openGateway(cluster, 1)
    const request = { action: 'ACTIVATE', memberID: BigInt(`0x${member?.id}`).toString(), alarm: kind }
    await gateway.ask(host.clientURL, 'maintenance/alarm', request).finally(() => gateway.close())
  }

/** By what they are called in a story; each about one host. */
export const deeds: Record<string, Deed> = {
  stop,
  wipe,
  lose: async (home, _, { name }) => loseHosts(home, [name]),
  'give the lead to': lead,
  'remove by hand': remove,
  'add as a learner by hand, not started,': async (home, cluster, host) => {
    await remove(home, cluster, host)
    await membership(cluster, host, 'add', host.name, '--learner', `--peer-urls=${host.peerURL}`)
  },
  'add a strange learner beside': addStranger('--learner'),
  'add a strange voter beside': addStranger(),
  'raise NOSPACE on': alarm('NOSPACE'),
  'raise CORRUPT on': alarm('CORRUPT'),
}

export const befall = (home: Home, deed: string, name: string): Promise<unknown> =>
  withCluster(home, async (cluster) => deeds[deed]?.(home, cluster, hostNamed(cluster, name)))
