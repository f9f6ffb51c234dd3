// What a fault needs of the hosts: why it cannot be made there.
import type { Cluster } from '../core/cluster.ts'
import { bytes, listed } from '../core/terminal.ts'
import { shell } from '../vms/index.ts'
import { whyNotSlow } from './slow-disk.ts'
import { hasOwnClock } from './wrong-clock.ts'

/** What is done to processes and files of a host is not done to those in Flatcar's container. */
export const needsPlainHosts = async ({ hosts }: Cluster): Promise<string | undefined> =>
  hosts.some(({ connection }) => connection?.etcd_flatcar) ? "drills do not reach into Flatcar's containers" : undefined

/** Why a script that looks for what a fault needs fails on a host; local hosts share what it would break. */
async function lacking(cluster: Cluster, shared: string, script: string, what: string): Promise<string | undefined> {
  if (cluster.provider === 'local') return `the hosts share this machine's ${shared}`
  const plain = await needsPlainHosts(cluster)
  if (plain) return plain
  const looks = await Promise.all(
    cluster.hosts.map(async (host) =>
      shell(cluster, host, script).then(
        () => [],
        () => host.name,
      ),
    ),
  )
  const without = looks.flat()
  return without.length > 0 ? `${listed(without)}: ${what}` : undefined
}

const hasProgram = (name: string): string => `command -v ${name} >/dev/null`
export const needsRoutes = (cluster: Cluster): Promise<string | undefined> =>
  lacking(cluster, 'network', hasProgram('ip'), 'there is no program ip')

/** Tried in a network of its own: the kernel may lack what delays packets. */
const delays = 'unshare --net tc qdisc add dev lo root netem delay 1ms'
export const needsQueues = (cluster: Cluster): Promise<string | undefined> =>
  lacking(cluster, 'network', delays, 'its kernel, or a program tc that is missing, cannot delay packets (netem)')

/** The most that is filled: a larger disk would take long, and may be more than etcd's. */
const mostToFill = 20 * 2 ** 30

export async function needsSmallDisk(cluster: Cluster): Promise<string | undefined> {
  const small = `test "$(df -kP /var/lib/etcd | awk 'NR==2 {print $4}')" -lt ${mostToFill / 1024}`
  const own = `mountpoint -q /var/lib/etcd && ${small}`
  return lacking(cluster, 'disk', own, `/var/lib/etcd has no disk of its own with less than ${bytes(mostToFill)} free`)
}

export const needsLimits = async (cluster: Cluster): Promise<string | undefined> =>
  (await needsPlainHosts(cluster)) ?? whyNotSlow(cluster)

export const needsOwnClocks = (cluster: Cluster): Promise<string | undefined> =>
  lacking(cluster, 'clock', hasOwnClock(), "a container, or this machine itself: its clock is another one's, too")
