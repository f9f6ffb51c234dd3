// What befalls a real local cluster, made by hand: members and data that go, and what a person may do with etcdctl.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, type Host, hostNamed, resolveCluster } from '../../tasks/core/cluster.ts'
import { loadSettings } from '../../tasks/core/config.ts'
import { inRun, Run } from '../../tasks/core/run.ts'
import { call, endpointStatus, memberList } from '../../tasks/etcd/etcdctl.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { moveLeader } from '../../tasks/etcd/maintenance.ts'
import { memberOf } from '../../tasks/etcd/membership.ts'
import { crashMember } from '../../tasks/vms/index.ts'
import { certsOf, expire, expireLeaves, installForeign } from './authority.ts'
import { lose, onHost, rootOf, signalEtcd } from './on-host.ts'
import type { Home } from './verbs.ts'
import { pause } from './wait.ts'

/** Calls `act` with the home's cluster, as a verb has it. `speed`: of the run's clock, which measures patience. */
export function withCluster<T>(home: Home, act: (cluster: Cluster) => Promise<T>, speed = 1): Promise<T> {
  const started = Date.now()
  const silent = { write: () => true }
  const clock = (): number => started + (Date.now() - started) * speed
  const run = new Run({ env: home.environment(), stdout: silent, stderr: silent, clock })
  return inRun(run, async () =>
    act(await resolveCluster(loadSettings({}), { configures: false, looks: true })),
  ).finally(() => run.end())
}

export const hasData = (home: Home, host: string): boolean =>
  existsSync(join(rootOf(home, host), 'var/lib/etcd/member/wal'))

type Deed = (home: Home, cluster: Cluster, host: Host) => Promise<unknown>

const stop: Deed = (_, cluster, host) => crashMember(cluster, host)

const wipe: Deed = async (home, cluster, host) => {
  await stop(home, cluster, host)
  await onHost(home, host.name, 'rm -rf "$ROOT/var/lib/etcd/member"')
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
  lose: (home, _, { name }) => lose(home, name),
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

/** The disk that has a member's data becomes a small one, and fills up. */
const fillDisk: Deed = async (home, cluster, host) => {
  await stop(home, cluster, host)
  const data = '"$ROOT/var/lib/etcd"'
  await onHost(
    home,
    host.name,
    `cp -a ${data} /var/tmp/kept; mount -t tmpfs -o size=400m tmpfs ${data}; cp -a /var/tmp/kept/. ${data}; ` +
      `chown --reference /var/tmp/kept ${data}; chmod --reference /var/tmp/kept ${data}; rm -r /var/tmp/kept; ` +
      `dd if=/dev/zero of=${data}/filler 2>/dev/null || true; systemctl start etcd-member || true`,
  )
}

/** What would keep stories drawn at random from many a verb; some of it is about all hosts. */
const worseDeeds: Record<string, Deed> = {
  freeze: (home, _, { name }) => signalEtcd(home, name, 'SIGSTOP'),
  resume: (home, _, { name }) => signalEtcd(home, name, 'SIGCONT'),
  'fill the disk of': fillDisk,
  'make room on': (home, _, { name }) => onHost(home, name, 'rm "$ROOT/var/lib/etcd/filler"'),
  'give certificates of another authority to': (home, _, { name }) => installForeign(home, name),
  'move the certificates aside on': (home, _, { name }) =>
    onHost(home, name, 'mv "$ROOT/etc/ssl/etcd" "$ROOT/etc/ssl/etcd.aside"'),
  'switch off': async ({ machines }, _, { name }) => machines?.kill(name),
  'switch on': async ({ machines }, _, { name }) => machines?.boot(name),
  'enable a downgrade by hand': (_, cluster) => call(cluster, ['downgrade', 'enable', '3.6'], { timeoutMs: 5000 }),
  'let the authority expire': (home) => expire(home),
  'let all certificates expire': (home) => expireLeaves(home),
  'lose the key of the authority': async (home) => rmSync(join(certsOf(home), 'ca.key')),
  "lose the clients' certificate here": async (home) => rmSync(join(certsOf(home), 'etcd-client.crt')),
  'lose the certificates here': async (home) => rmSync(certsOf(home), { recursive: true }),
}

const allDeeds = { ...deeds, ...worseDeeds }
/** What befalls in a line of a story, and whom. */
export const deedIn = (line: string): string | undefined =>
  Object.keys(allDeeds).find((deed) => line === deed || line.startsWith(`${deed} master`))

export const befall = (home: Home, deed: string, name = 'master01'): Promise<unknown> =>
  withCluster(home, async (cluster) => allDeeds[deed]?.(home, cluster, hostNamed(cluster, name)))
