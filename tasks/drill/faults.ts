// The faults of a drill, a row each: how it is made, and what is then to be done.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { writeFilesAtomic } from '../core/files.ts'
import { atWork } from '../core/lock.ts'
import { clock, sleep } from '../core/run.ts'
import { issueLeaf, keyToPem, makeKeyPair } from '../core/x509.ts'
import { readAuthority } from '../etcd/authority-key.ts'
import { leaves } from '../etcd/certificates.ts'
import { endpointStatus } from '../etcd/etcdctl.ts'
import type { Scripts } from '../scripts.ts'
import { crashMember, memberPids } from '../vms/index.ts'

/** What a fault works with. */
export interface Hands {
  cluster: Cluster
  scripts: Scripts
  /** Suspends a process, and remembers it, so that it goes on again whatever becomes of this drill. */
  freeze: (pid: number) => void
  /** Remembers what heals it, before anything is broken. */
  foresee: (heal: Line) => void
}

/** A verb with its words. */
export type Line = [verb: string, ...words: string[]]

/** What was done, and the verb that is to bring the cluster back. */
interface Blow {
  did: string
  heal: Line
}

export interface Fault {
  name: string
  /** What a person would call it in real life. */
  means: string
  /** Too few members are left to commit. */
  outage?: true
  /** It needs the hosts' files or processes, which only local hosts show. */
  localOnly?: true
  strike: (hands: Hands) => Promise<Blow>
}

/** What a drill cannot do yet, and says so. */
export const notYet: Record<string, string> = {
  'a member is cut off': 'drills do not partition networks yet',
  'the network or a disk is slow, a disk is full': 'drills do not slow down or fill anything yet',
  'a clock is off': 'drills do not set clocks',
}

async function leaderOf({ cluster }: Hands): Promise<Host> {
  const answers = await endpointStatus(cluster)
  const at = answers.findIndex((answer) => answer.ok && answer.value.memberId === answer.value.leaderId)
  return cluster.hosts[Math.max(at, 0)] as Host
}

async function followerOf(hands: Hands): Promise<Host> {
  const leader = await leaderOf(hands)
  return hands.cluster.hosts.findLast(({ name }) => name !== leader.name) ?? leader
}

const hostFile = ({ paths }: Cluster, { name }: Host, ...path: string[]): string => join(paths.hosts, name, ...path)

async function killed(hands: Hands, hosts: Host[], what = ''): Promise<Blow> {
  const heal: Line = ['up', '--yes']
  hands.foresee(heal)
  await Promise.all(hosts.map((host) => crashMember(hands.cluster, host)))
  return { did: `killed ${hosts.map(({ name }) => name).join(', ')}${what}`, heal }
}

async function frozen({ cluster, freeze }: Hands, host: Host): Promise<Blow> {
  const pid = (await memberPids(cluster))[host.name]
  if (pid === undefined) throw new Error(`${host.name} has no process`)
  freeze(pid)
  return { did: `froze ${host.name} (SIGSTOP)`, heal: ['verify', '--json'] }
}

async function emptied(hands: Hands, host: Host): Promise<Blow> {
  const heal: Line = ['replace', host.name, '--yes']
  hands.foresee(heal)
  await crashMember(hands.cluster, host)
  rmSync(hostFile(hands.cluster, host, 'var/lib/etcd'), { recursive: true, force: true })
  return { did: `killed ${host.name} and deleted its data`, heal }
}

/** A server certificate that ends in a moment, here and on its host: new connections to that member are refused. */
async function expired({ cluster, foresee }: Hands, host: Host): Promise<Blow> {
  foresee(['up', '--yes'])
  const leaf = leaves(cluster).find(({ title }) => title === `${host.name}/server.crt`)
  if (!leaf) throw new Error(`${host.name} has no server certificate`)
  const keys = await makeKeyPair(cluster.pki.keyAlgorithm)
  const pem = await issueLeaf(readAuthority(cluster), keys.publicKey, { ...leaf, ends: new Date(clock() + 1000) })
  const there = hostFile(cluster, host, 'etc/ssl/etcd/server')
  const pair = [
    { path: leaf.key, content: keyToPem(keys.privateKey), mode: 0o600 },
    { path: leaf.certificate, content: pem, mode: 0o644 },
  ]
  await writeFilesAtomic([
    ...pair,
    ...pair.map((file) => ({ ...file, path: `${there}.${file.path.endsWith('key') ? 'key' : 'crt'}` })),
  ])
  await sleep(1500)
  return { did: `gave ${host.name} a certificate that has expired`, heal: ['up', '--yes'] }
}

/** A restart of all members that is killed (-9) in its middle: the same command goes on. */
async function interrupted({ cluster, scripts, foresee }: Hands): Promise<Blow> {
  foresee(['restart', '--yes'])
  const running = scripts.end('restart', '--yes').catch(() => undefined)
  let killedAt = 'before its first step'
  for (const deadline = clock() + 60_000; clock() < deadline; await sleep(100)) {
    const work = await atWork(cluster.paths.state)
    if (work?.verb !== 'restart' || work.steps.length === 0) continue
    await sleep(1500)
    killedAt = `at “${(await atWork(cluster.paths.state))?.steps.at(-1) ?? 'its end'}”`
    process.kill(work.pid, 'SIGKILL')
    break
  }
  await running
  return { did: `killed (-9) the verb restart ${killedAt}`, heal: ['restart', '--yes'] }
}

export const faults: Record<string, Fault> = {
  member: {
    name: 'a member dies',
    means: 'a server crashes',
    strike: async (hands) => killed(hands, [await followerOf(hands)]),
  },
  leader: {
    name: 'the leader dies',
    means: 'the busiest server crashes',
    strike: async (hands) => killed(hands, [await leaderOf(hands)], ', the leader'),
  },
  freeze: {
    name: 'the leader hangs',
    means: 'a server swaps, or its hypervisor pauses it',
    localOnly: true,
    strike: async (hands) => frozen(hands, await leaderOf(hands)),
  },
  data: {
    name: 'a disk is lost',
    means: 'a server comes back empty',
    localOnly: true,
    strike: async (hands) => emptied(hands, await followerOf(hands)),
  },
  certificate: {
    name: 'a certificate expires',
    means: 'nobody renewed it',
    localOnly: true,
    strike: async (hands) => expired(hands, await followerOf(hands)),
  },
  verb: {
    name: 'a verb is killed half way',
    means: 'the laptop that runs it dies',
    strike: interrupted,
  },
  all: {
    name: 'all members die at once',
    means: 'the power fails',
    outage: true,
    strike: (hands) => killed(hands, hands.cluster.hosts),
  },
}
