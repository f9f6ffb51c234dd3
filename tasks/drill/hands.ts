// What faults are made with. Before anything is broken, it is noted how that is taken back and healed.
import { type Cluster, type Host, hostNamed } from '../core/cluster.ts'
import { shellQuoted } from '../core/shell.ts'
import type { Scripts } from '../scripts.ts'
import { shell } from '../vms/index.ts'
import type { Line, Mark } from './mark.ts'

/** What a fault works with. */
export interface Hands {
  cluster: Cluster
  scripts: Scripts
  /** Breaks something with a script on a host; `undo` is remembered before, and done on that host in the end. */
  breaks: (host: Host, script: string, undo: string) => Promise<void>
  /** Remembers what heals it, before anything is broken. */
  foresee: (heal: Line) => void
}

export async function handsOn(scripts: Scripts, mark: Mark): Promise<Hands> {
  const cluster = await scripts.cluster()
  return {
    cluster,
    scripts,
    foresee: (heal) => mark.note({ heal }),
    breaks: (...what) => breakIt(cluster, mark, ...what),
  }
}

/** What it does to a host is taken back there after this time, whatever becomes of us, s. */
const switchSeconds = 180
/** In the command line of what waits there: a later process with the same pid must not be ended. */
const waiting = ': ha-etcd-drill'

/** Notes how it is taken back, has the host do that by itself after a while, and only then breaks it. */
async function breakIt(cluster: Cluster, mark: Mark, host: Host, script: string, undo: string): Promise<void> {
  const better = mark.foresee({ host: host.name, script: undo })
  const later = shellQuoted(`${waiting}; sleep ${switchSeconds}; ${undo}`)
  const printed = await shell(cluster, host, `setsid sh -c ${later} >/dev/null 2>&1 </dev/null & echo $!; ${script}`)
  const [pid] = printed.split('\n')
  const isIt = `{ cat /proc/${pid}/cmdline || ps -o args= -p ${pid}; } 2>/dev/null | grep -q '${waiting}'`
  better({ host: host.name, script: `{ ${isIt} && kill -- -${pid}; }; ${undo}` })
}

/** Takes back what was done to hosts. */
export const undoAll = (cluster: Cluster, mark: Mark): Promise<void> =>
  mark.undo(({ host, script }) => shell(cluster, hostNamed(cluster, host), `${script}; true`))
