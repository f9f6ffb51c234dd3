// One look at who the members are and how they do: over TLS at the members, and at the hosts where an act touched them.

import { existsSync } from 'node:fs'
import type { Cluster, Host } from '../core/cluster.ts'
import { entriesIn } from '../core/files.ts'
import { replacing } from '../core/record.ts'
import { clock, sleep, today } from '../core/run.ts'
import { askMembers } from '../etcd/ask.ts'
import { findEtcd } from '../etcd/binaries.ts'
import { certificateAt, hasExpired, leaves } from '../etcd/certificates.ts'
import { limitMs } from '../etcd/probe.ts'
import { reachMembers } from '../etcd/reach.ts'
import { overTheWay, tripsOfLook } from '../etcd/round-trip.ts'
import type { Act, Observation } from '../plans/types.ts'
import * as vms from '../vms/index.ts'
import { isSettled, seenIn } from './seen.ts'

/** What was seen before, and what was done since: of hosts that the act did not touch, what was known stays known. */
export interface Since {
  seen: Observation
  act: Act
}

/** What there is to look at besides the recorded members. */
export interface Scope {
  /** Hosts that are to be members, and are recorded by nobody yet. */
  coming?: Host[]
  /** Nothing but what members say: no host is asked whether it is up. */
  membersOnly?: boolean
  /** The hosts whose etcd was just seen to answer, or may just be starting; and how long it is waited for, in ms. */
  up?: string[]
  patienceMs?: number
  /** A version to move to. */
  version?: string
}

/** Who answers may be slow for a moment, or about to elect a leader: members are looked at again, so long (ms). */
const patienceMs = 15_000

/** What is there now, of what is in scope. A busy machine is busier for being asked again: each round takes longer. */
export async function look(cluster: Cluster, scope: Scope = {}, since?: Since): Promise<Observation> {
  await reachMembers(cluster)
  const up = whoAnswers(scope, since)
  const began = clock()
  const isLate = (): boolean => clock() > began + overTheWay(scope.patienceMs ?? patienceMs, tripsOfLook)
  for (let round = 1; ; round++) {
    const seen = await lookOnce(cluster, scope, since, limitMs * round)
    if ((isSettled(seen, round) && up.every((host) => seen.hosts[host]?.answer)) || isLate()) return seen
    await sleep(300)
  }
}

/** Everybody who answered before, or was started since: one missed call makes nobody lost. */
function whoAnswers({ up = [] }: Scope, since: Since | undefined): string[] {
  if (!since) return up
  const { seen, act } = since
  const stopped =
    ['set aside', 'remove member', 'remove host', 'forget host'].includes(act.do) && 'host' in act ? act.host : ''
  const started = act.do === 'start learner' ? [act.host] : []
  const before = Object.keys(seen.hosts).filter((host) => seen.hosts[host]?.answer && host !== stopped)
  return [...before, ...started]
}

async function lookOnce(cluster: Cluster, scope: Scope, since?: Since, limit = limitMs): Promise<Observation> {
  const recorded = cluster.hosts.map(({ name }) => name)
  const hosts = [...cluster.hosts, ...(scope.coming ?? []).filter(({ name }) => !recorded.includes(name))]
  const { version, upgradingTo } = cluster.etcd
  const [told, ready, programs] = await Promise.all([
    askMembers(cluster, { hosts, limit: () => limit }),
    readiness(cluster, scope, since),
    scope.version ? findEtcd({ ...cluster, etcd: { ...cluster.etcd, version: scope.version } }) : undefined,
  ])
  const { answers, ...seen } = seenIn(told, recorded)
  return {
    ...seen,
    hosts: Object.fromEntries(
      hosts.map((host) => {
        const answer = answers[host.name]
        const foreign = host.foreign && { foreign: true as const }
        return [host.name, { ready: ready(host), empty: !answer && isEmpty(host, since), answer, ...foreign }]
      }),
    ),
    recorded,
    replacing: replacing(cluster.paths),
    version,
    upgradingTo,
    programs: programs?.version,
    backups: backupNames(cluster),
    uncovered: since && since.act.do !== 'take snapshots' ? since.seen.uncovered : {},
    done: since ? [...since.seen.done, since.act] : [],
  }
}

const backupNames = ({ paths }: Cluster): string[] => entriesIn(paths.backups).filter((name) => name.endsWith('Z'))

/** Hosts are asked once, and again after an act that brings one up. */
async function readiness(
  cluster: Cluster,
  { membersOnly }: Scope,
  since: Since | undefined,
): Promise<(host: Host) => boolean> {
  if (membersOnly) return () => false
  if (since && !['bring up', 'remove host'].includes(since.act.do))
    return ({ name }) => since.seen.hosts[name]?.ready === true
  const up = (await vms.states(cluster)).filter((state) => state.up).map(({ name }) => name)
  const lacking = hostsToCertify(cluster)
  return ({ name, connection }) => up.includes(name) && connection !== undefined && !lacking.has(name)
}

/**
 * The hosts of which a certificate or its key is not here, or is not valid now: one that has expired, or that a wrong
 * clock made, is as good as none, and bringing the host up issues it again.
 */
export function hostsToCertify(cluster: Cluster, now = today()): Set<string> {
  const lacking = leaves(cluster).filter(({ certificate, key }) => !existsSync(key) || !isValid(certificate, now))
  return new Set(lacking.flatMap(({ host }) => host ?? []))
}

function isValid(path: string, now: Date): boolean {
  const certificate = certificateAt(path)
  const begun = certificate !== undefined && Date.parse(certificate.validFrom) <= now.getTime()
  return begun && !hasExpired(certificate, now)
}

const isEmpty = ({ name }: Host, since: Since | undefined): boolean =>
  since !== undefined &&
  ((since.act.do === 'set aside' && since.act.host === name) || since.seen.hosts[name]?.empty === true)
