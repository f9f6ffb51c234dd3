// A disk that is slow for one member alone: the kernel limits how much its processes write, by cgroups. With version 2
// that holds for files that a group was the first to write, so only a service can be limited, which has its own group
// from its start (Linux, Documentation/admin-guide/cgroup-v2.rst, Writeback).
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { shellQuoted } from '../core/shell.ts'
import { shell } from '../vms/index.ts'

/** How much a member may write, bytes a second: each write that etcd waits for takes a tenth of a second and more. */
export const writesPerSecond = 32 * 1024

/** Where a limit is set for a process, as its host says it. */
export interface Limits {
  /** The disk below its data, as the kernel numbers it: 254:0. */
  disk: string
  version: '1' | '2'
  /** Where the groups of that version are, and with version 1 in which of them the process is. */
  mount: string
  home: string
}

/** What is to be done on a host, and what takes it back. */
export interface Scripts {
  script: string
  undo: string
}

/** Prints Limits for a folder's disk, or why there are none. A limit is for a whole disk, not for a partition. */
const look = (data: string, isService: boolean, pid: number | 'self'): string => `
no() { echo "no $*"; exit; }
[ -e /proc/self/cgroup ] || no its kernel has no cgroups
[ "$(id -u)" = 0 ] || no only root can limit what a member writes
at=${shellQuoted(data)}; while [ ! -e "$at" ]; do at=$(dirname "$at"); done
d=$(stat -c %d "$at"); disk=$((d >> 8 & 4095)):$((d & 255 | d >> 12 & 1048320))
[ -e /sys/dev/block/$disk ] || no its data lies on no block device
[ ! -e /sys/dev/block/$disk/partition ] || disk=$(cat /sys/dev/block/$disk/../dev)
one=$(awk '$3 == "cgroup" && $4 ~ /(^|,)blkio(,|$)/ {print $2; exit}' /proc/mounts)
two=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
if [ -w "$one/blkio.throttle.write_bps_device" ]; then
  echo "$disk 1 $one $(sed -n 's/^[0-9]*:[^:]*blkio[^:]*://p' /proc/${pid}/cgroup)"
elif grep -qsw io "$two/cgroup.controllers" && [ -w "$two/cgroup.procs" ]; then
  ${isService ? 'echo "$disk 2 $two"' : 'no with cgroups version 2 only services can be limited, no local member'}
else no its kernel offers no cgroup that limits what is written; fi`

async function limitsOn(cluster: Cluster, host: Host, data: string, pid: number | 'self'): Promise<Limits | string> {
  const [disk = '', ...more] = (await shell(cluster, host, look(data, cluster.provider !== 'local', pid)))
    .trim()
    .split(' ')
  const [version, mount = '', ...home] = more
  return disk === 'no' ? more.join(' ') : { disk, version: version === '1' ? '1' : '2', mount, home: home.join(' ') }
}

/** Why the disk of a member cannot be slowed down; undefined: it can. */
export async function whyNotSlow(cluster: Cluster): Promise<string | undefined> {
  const dataOf = ({ name }: Host): string =>
    join(cluster.provider === 'local' ? join(cluster.paths.hosts, name) : '/', 'var/lib/etcd')
  const looks = cluster.hosts.map(async (host) => {
    const found = await limitsOn(cluster, host, dataOf(host), 'self')
    return typeof found === 'string' ? [`${host.name}: ${found}`] : []
  })
  return (await Promise.all(looks)).flat()[0]
}

/** systemd sets it for its service. */
export function limitOfService({ version, mount }: Limits, unit: string, data: string): Scripts {
  const set = (limit: string): string =>
    `systemctl set-property --runtime ${unit} ${shellQuoted(`IOWriteBandwidthMax=${limit}`)}`
  const file = version === '1' ? 'blkio.throttle.write_bps_device' : 'io.max'
  const group = `${mount}$(systemctl show --property ControlGroup --value ${unit})`
  const seen = `grep -q '[ =]${writesPerSecond}' "${group}/${file}"`
  return { script: `${set(`${data} ${writesPerSecond}`)} && { ${seen} || { sleep 1; ${seen}; }; }`, undo: set('') }
}

/** Where no systemd does it, the process goes into a group of its own, and back into the one that it was in. */
export function limitOfProcess({ disk, mount, home }: Limits, pid: number): Scripts {
  const group = `${mount}/ha-etcd-drill-${pid}`
  const limit = `echo ${disk} ${writesPerSecond} > ${group}/blkio.throttle.write_bps_device`
  const back = `while read -r pid; do echo $pid > ${shellQuoted(join(mount, home, 'cgroup.procs'))}; done`
  return {
    script: `set -e; mkdir -p ${group}; ${limit}; echo ${pid} > ${group}/cgroup.procs`,
    undo:
      `for try in 1 2 3 4 5 6 7 8 9; do [ -d ${group} ] || break; ${back} < ${group}/cgroup.procs; ` +
      `rmdir ${group} || sleep 0.2; done 2>/dev/null`,
  }
}

/** @throws OperationError where the host says that it cannot be done */
export async function slowDisk(cluster: Cluster, host: Host, data: string, pid: number): Promise<Scripts> {
  const limits = await limitsOn(cluster, host, data, pid)
  if (typeof limits === 'string') throw new OperationError(`The disk of ${host.name} cannot be slowed down: ${limits}.`)
  return cluster.provider === 'local' ? limitOfProcess(limits, pid) : limitOfService(limits, 'etcd-member', data)
}
