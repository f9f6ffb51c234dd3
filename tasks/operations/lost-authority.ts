// No member can change the authority while the others go on: it has expired, and none lets in a client, or another
// member; or its key is lost, and a member that is down lacks certificates. A new authority issues every certificate,
// and all members start again at once; from there rotate-ca goes on as in any change.
import { withCopies } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { inOrder } from '../core/pipeline.ts'
import { scaling } from '../core/record.ts'
import { run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { changeStage, readOther } from '../etcd/authority-change.ts'
import { lostKey } from '../etcd/authority-key.ts'
import { hasExpired, issuingAuthority, oldAuthority } from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { voters } from '../etcd/member-changes.ts'
import { knock } from '../etcd/probe.ts'
import { reachMembers } from '../etcd/reach.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type HostData, lookAtData } from '../observe/host-data.ts'
import * as pki from '../pki/index.ts'
import * as vms from '../vms/index.ts'
import { leavesAuthority, mustStartAtOnce, type Standing, votersNeeded } from './authority-rules.ts'
import { aroundRotateCa } from './clients.ts'
import { endDowngrade } from './end-downgrade.ts'
import { endMove } from './end-move.ts'
import { refuseSmall } from './room.ts'
import { sayPlan } from './say.ts'
import { bringUp, doSteps, hostSteps, planOfSteps, type Step } from './steps.ts'

/** Whether it is so; or a run that replaced the authority was killed before the members knew the next one. */
export async function isCutOff(cluster: Cluster): Promise<boolean> {
  const standing = standingOf(cluster)
  const needed = votersNeeded(standing, cluster.hosts.length)
  if (needed === 0 || needed > cluster.hosts.length) return needed > 0
  await reachMembers(cluster)
  const probes = await Promise.all(cluster.hosts.map((host) => knock(cluster, host)))
  const refusing = probes.filter((probe) => probe.kind === 'refused' && probe.alert).length
  return mustStartAtOnce(standing, needed, (await voters(cluster)).length, refusing)
}

function standingOf(cluster: Cluster): Standing {
  const isLeft = hasExpired(oldAuthority(cluster)) || isLost(() => readOther(cluster))
  const begun = changeStage(cluster) === 'issuing' && isLeft
  const expired = hasExpired(issuingAuthority(cluster))
  return { expired, begun, lacksKey: !expired && lacksKey(cluster) }
}

/** Whether certificates must be issued, as a half-done scale will ask for, and their authority's key is lost. */
const lacksKey = (cluster: Cluster): boolean =>
  isLost(() => pki.requireKey(cluster, (_, due) => due || scaling(cluster.paths) !== undefined))

/** Whether a key that is needed cannot be had. */
function isLost(open: () => unknown): boolean {
  try {
    open()
    return false
  } catch (error) {
    if (error instanceof OperationError) return true
    throw error
  }
}

/** @returns false where only the plan was told */
export async function leaveAtOnce(cluster: Cluster, plan: boolean): Promise<boolean> {
  await requireRightClock(cluster)
  const moved = await endMove(cluster, ...cluster.hosts)
  if (plan) {
    if (moved) run().warn(moved)
    const then = ['trust the old authority no longer', 'verify', 'delete the key of the old authority']
    const rest = [...then, `you: ${aroundRotateCa.over(cluster)}`]
    sayPlan(cluster, 'rotate-ca', [...(await planOfSteps(steps(cluster))), ...rest])
    return false
  }
  const question =
    `${whyAtOnce(cluster)} Make another authority, start all members again at once, and delete the old one? ` +
    `All data stay. Your clients need ca.crt and new certificates from then on.${moved && ` ${moved}`}`
  if (!(await confirm(question))) throw new OperationError('Nothing was changed.')
  await doSteps(steps(cluster))
  return true
}

const whyAtOnce = (cluster: Cluster): string =>
  [issuingAuthority(cluster), oldAuthority(cluster)].some((authority) => hasExpired(authority))
    ? `The authority of ${cluster.name} has expired.`
    : `The key of ${cluster.name}'s authority is lost, and certificates are needed that only it could issue. ` +
      'Not every member answers, so they cannot change one after the other.'

const steps = (cluster: Cluster): Step[] => [
  bringUp(cluster),
  ...stopAndIssue(cluster),
  {
    ...inOrder('etcd-role: install the certificates, and start all members', () => etcdRole.tasks(cluster)),
    would: ['install the certificates, and start all members'],
  },
  { ...endDowngrade(cluster), would: [] },
]

/** Killed once all are stopped, it leaves none that runs with certificates which the others do not trust. */
const stopAndIssue = (cluster: Cluster, sees: Before['sees'] = () => {}): Step[] => [
  {
    title: 'Check every host while the members run',
    task: (_, task) =>
      withCopies(cluster, async (copy) => {
        await issueAll(copy)
        const there = await lookAtData(copy)
        sees(there)
        refuseSmall(cluster, there, () => 0)
        const shown = (what: string): void => void (task.output = what)
        await etcdRole.checkTheHosts(copy, shown, shown)
      }),
    would: [],
  },
  {
    title: 'Stop every member',
    task: async () => void (await Promise.all(cluster.hosts.map((host) => vms.crashMember(cluster, host)))),
  },
  issueStep(cluster),
]

const issueStep = (cluster: Cluster): Step => ({
  title: 'Issue every certificate by a new authority',
  task: async () => run().changes.push(...(await issueAll(cluster)).map(({ path }) => `issued ${path}`)),
})

/** What is done before an authority is left that members still trust. */
interface Before {
  /** Asks the members. */
  hears: Step[]
  /** Looks at what all hosts have of data, and may refuse. */
  sees: (there: HostData[]) => void
}

/**
 * Hosts and certificates as `up` makes them. But while the data of all are being replaced rotate-ca may not go on: then
 * an authority that cannot issue is left here, and rotate-ca finishes the change afterwards.
 */
export function hostStepsOf(cluster: Cluster, { hears, sees }: Partial<Before> = {}): Step[] {
  const { begun } = cluster
  if (!begun) return hostSteps(cluster)
  const expired = hasExpired(issuingAuthority(cluster))
  const isKeyLost = lostKey(cluster) !== undefined // no passphrase, or a wrong one, is no reason
  if (!leavesAuthority(begun, expired, isKeyLost)) return hostSteps(cluster)
  if (begun.verb === 'restore' || expired) return [bringUp(cluster), issueStep(cluster)]
  return [bringUp(cluster), ...(hears ?? []), ...stopAndIssue(cluster, sees)]
}

async function issueAll(cluster: Cluster): Promise<pki.Issued[]> {
  if (hasExpired(issuingAuthority(cluster)) || lacksKey(cluster)) await pki.leaveAtOnce(cluster)
  return pki.renewLeaves(cluster, (_, due) => due)
}
