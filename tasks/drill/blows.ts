// How each fault of a drill is made, and what is then to be done.
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { writeFilesAtomic } from '../core/files.ts'
import { type AtWork, atWork } from '../core/lock.ts'
import { clock, sleep } from '../core/run.ts'
import { shellQuoted } from '../core/shell.ts'
import { issueLeaf, keyToPem, makeKeyPair } from '../core/x509.ts'
import { readAuthority } from '../etcd/authority-key.ts'
import { leaves } from '../etcd/certificates.ts'
import { endpointStatus } from '../etcd/etcdctl.ts'
import { crashMember, memberPids, shell } from '../vms/index.ts'
import type { Hands } from './hands.ts'
import type { Line } from './mark.ts'
import { slowDisk, writesPerSecond } from './slow-disk.ts'
import { aheadSeconds, clockAhead, lookAtClock } from './wrong-clock.ts'

/** What was done, and the verb that is to bring the cluster back; none: it comes back by itself. */
export interface Blow {
  did: string
  heal?: Line
}

export async function leaderOf({ cluster }: Hands): Promise<Host> {
  const answers = await endpointStatus(cluster)
  const at = answers.findIndex((answer) => answer.ok && answer.value.memberId === answer.value.leaderId)
  return cluster.hosts[Math.max(at, 0)] as Host
}

export async function followerOf(hands: Hands): Promise<Host> {
  const leader = await leaderOf(hands)
  return hands.cluster.hosts.findLast(({ name }) => name !== leader.name) ?? leader
}

async function pidOf(cluster: Cluster, { name }: Host): Promise<number> {
  const pid = (await memberPids(cluster))[name]
  if (pid === undefined) throw new OperationError(`${name} has no etcd that runs.`)
  return pid
}

/** Where its etcd has a file or a folder: as its process was told, which a person's own inventory may say, too. */
async function placeOf(cluster: Cluster, host: Host, variable: string): Promise<string> {
  const { provider, paths } = cluster
  const here = (...path: string[]): string => join(paths.hosts, host.name, ...path)
  if (provider === 'local')
    return variable === 'ETCD_DATA_DIR'
      ? here('var/lib/etcd')
      : here('etc/ssl/etcd', variable === 'ETCD_KEY_FILE' ? 'server.key' : 'server.crt')
  const environment = await shell(cluster, host, `tr '\\0' '\\n' < /proc/${await pidOf(cluster, host)}/environ`)
  const [, place] = new RegExp(`^${variable}=(/.+)$`, 'm').exec(environment) ?? []
  if (!place) throw new OperationError(`The etcd on ${host.name} does not say where it has ${variable}.`)
  return place
}

export async function killed(hands: Hands, hosts: Host[], what = ''): Promise<Blow> {
  const heal: Line = ['up', '--yes']
  hands.foresee(heal)
  await Promise.all(hosts.map((host) => crashMember(hands.cluster, host)))
  return { did: `killed ${hosts.map(({ name }) => name).join(', ')}${what}`, heal }
}

export async function frozen({ cluster, breaks }: Hands, host: Host): Promise<Blow> {
  const pid = await pidOf(cluster, host)
  await breaks(host, `kill -STOP ${pid}`, `kill -CONT ${pid}`)
  return { did: `froze ${host.name} (SIGSTOP)` }
}

export async function emptied(hands: Hands, host: Host): Promise<Blow> {
  const { cluster, foresee } = hands
  const heal: Line = ['replace', host.name, '--yes']
  const data = await placeOf(cluster, host, 'ETCD_DATA_DIR')
  foresee(heal)
  await crashMember(cluster, host)
  await shell(cluster, host, `find ${shellQuoted(data)} -mindepth 1 -delete`)
  return { did: `killed ${host.name} and deleted its data`, heal }
}

/** A server certificate that ends in a moment, here and on its host: new connections to that member are refused. */
export async function expired({ cluster, foresee }: Hands, host: Host): Promise<Blow> {
  const heal: Line = ['up', '--yes']
  const leaf = leaves(cluster).find(({ title }) => title === `${host.name}/server.crt`)
  if (!leaf) throw new OperationError(`${host.name} has no server certificate.`)
  const [keyThere, certificateThere] = await Promise.all(
    ['ETCD_KEY_FILE', 'ETCD_CERT_FILE'].map((variable) => placeOf(cluster, host, variable)),
  )
  foresee(heal)
  const keys = await makeKeyPair(cluster.pki.keyAlgorithm)
  const pem = await issueLeaf(readAuthority(cluster), keys.publicKey, { ...leaf, ends: new Date(clock() + 1000) })
  const key = keyToPem(keys.privateKey)
  await writeFilesAtomic([
    { path: leaf.key, content: key, mode: 0o600 },
    { path: leaf.certificate, content: pem, mode: 0o644 },
  ])
  await shell(cluster, host, `cat > ${shellQuoted(keyThere ?? '')}`, key)
  await shell(cluster, host, `cat > ${shellQuoted(certificateThere ?? '')}`, pem)
  await sleep(1500)
  return { did: `gave ${host.name} a certificate that has expired`, heal }
}

const othersThan = ({ hosts }: Cluster, { name }: Host): Host[] => hosts.filter((other) => other.name !== name)

/** Nothing goes to the other members any more; we, and clients elsewhere, still reach it. */
export async function cutOff({ cluster, breaks }: Hands, host: Host, what = ''): Promise<Blow> {
  const routes = (verb: string): string =>
    othersThan(cluster, host)
      .map(({ address }) => `ip ${address.includes(':') ? '-6 ' : ''}route ${verb} blackhole ${address}`)
      .join('; ')
  await breaks(host, `set -e; ${routes('add')}`, routes('del'))
  return { did: `cut ${host.name}${what} off from the other members` }
}

/** What it sends takes a tenth of a second longer. */
export async function slowed({ cluster, breaks }: Hands, host: Host): Promise<Blow> {
  const [other] = othersThan(cluster, host)
  const device = (
    await shell(cluster, host, `ip -o route get ${other?.address} | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p'`)
  ).trim()
  const discipline = (verb: string): string => `tc qdisc ${verb} dev ${device} root netem`
  await breaks(host, `${discipline('add')} delay ${slowMs}ms 20ms`, discipline('del'))
  return { did: `slowed what ${host.name}, the leader, sends by ${slowMs} ms` }
}

const slowMs = 100

export async function diskSlowed({ cluster, breaks }: Hands, host: Host): Promise<Blow> {
  const data = await placeOf(cluster, host, 'ETCD_DATA_DIR')
  const { script, undo } = await slowDisk(cluster, host, data, await pidOf(cluster, host))
  await breaks(host, script, undo)
  return { did: `let ${host.name}, the leader, write only ${writesPerSecond / 1024} KiB a second` }
}

export async function clockOff({ cluster, breaks }: Hands, host: Host): Promise<Blow> {
  const { script, undo } = clockAhead(await shell(cluster, host, lookAtClock))
  await breaks(host, script, undo)
  return { did: `set the clock of ${host.name}, the leader, ${aheadSeconds / 60} minutes ahead` }
}

/** A file takes all that is left of its disk. The member ends once it cannot write. */
export async function filled({ cluster, breaks, foresee }: Hands, host: Host): Promise<Blow> {
  const data = await placeOf(cluster, host, 'ETCD_DATA_DIR')
  const file = shellQuoted(join(data, 'drill-fills-the-disk'))
  foresee(['up', '--yes'])
  // at once, where the file system can: what takes long might go on after it was taken back
  const free = `$(df -kP ${shellQuoted(data)} | awk 'NR == 2 {print $4}')K`
  const most = `fallocate -l ${free} ${file} || dd if=/dev/zero of=${file} bs=1M`
  const fill = `{ ${most}; dd if=/dev/zero bs=4k >> ${file}; } 2>/dev/null; true`
  await breaks(host, fill, `rm -f ${file}`)
  return { did: `filled the disk of ${host.name}`, heal: ['up', '--yes'] }
}

/** A restart of all members that is killed (-9) in its middle, past its first step, the checks: the same goes on. */
export async function interrupted({ cluster, scripts, foresee }: Hands): Promise<Blow> {
  const heal: Line = ['restart', '--yes']
  foresee(heal)
  let ended = false
  let first: string | undefined
  let did = 'began the verb restart, which ended before it could be killed'
  const end = (): void => void (ended = true)
  const running = scripts.end(...heal).then(end, end)
  const working = async (): Promise<AtWork | undefined> => {
    const work = await atWork(cluster.paths.state)
    return work?.verb === 'restart' ? work : undefined
  }
  for (; !ended; await sleep(100)) {
    const step = (await working())?.steps[0]
    first ??= step
    if (step === undefined || step === first) continue
    await sleep(1000)
    const work = await working()
    if (!work) continue
    process.kill(work.pid, 'SIGKILL')
    did = `killed (-9) the verb restart at “${work.steps.at(-1)}”`
    break
  }
  await running
  return { did, heal }
}
