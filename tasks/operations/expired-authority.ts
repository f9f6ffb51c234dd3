// The authority has expired: no member lets in a client, or another member. A new authority issues every certificate,
// and all members start again at once; from there rotate-ca goes on as in any change.
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { inOrder } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { changeStage } from '../etcd/authority-change.ts'
import { hasExpired, issuingAuthority, oldAuthority } from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { voters } from '../etcd/member-changes.ts'
import { reachMembers } from '../etcd/reach.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as pki from '../pki/index.ts'
import * as vms from '../vms/index.ts'
import { endMove } from './end-move.ts'
import { sayPlan } from './say.ts'
import { doSteps, planOfSteps, type Step } from './steps.ts'

/** Whether it has expired; or a run that replaced it was killed before the members knew the next one. */
export async function isCutOff(cluster: Cluster): Promise<boolean> {
  if (hasExpired(issuingAuthority(cluster))) return true
  if (changeStage(cluster) !== 'issuing' || !hasExpired(oldAuthority(cluster))) return false
  await reachMembers(cluster)
  return (await voters(cluster)).length === 0
}

/** @returns false where only the plan was told */
export async function leaveExpired(cluster: Cluster, plan: boolean): Promise<boolean> {
  await requireRightClock(cluster)
  const moved = await endMove(cluster, ...cluster.hosts)
  if (plan) {
    if (moved) run().warn(moved)
    const rest = ['trust the old authority no longer', 'verify', 'delete the key of the old authority']
    sayPlan(cluster, 'rotate-ca', [...(await planOfSteps(steps(cluster))), ...rest])
    return false
  }
  const question =
    `The authority of ${cluster.name} has expired. Make another one, start all members again at once, and delete the ` +
    `old one? All data stay.${moved && ` ${moved}`}`
  if (!(await confirm(question))) throw new OperationError('Nothing was changed.')
  await doSteps(steps(cluster))
  return true
}

const steps = (cluster: Cluster): Step[] => [
  {
    title: 'Issue every certificate by a new authority',
    task: async () => {
      if (hasExpired(issuingAuthority(cluster))) await pki.leaveExpired(cluster)
      const issued = await pki.renewLeaves(cluster, (_, due) => due)
      run().changes.push(...issued.map(({ path }) => `issued ${path}`))
    },
  },
  {
    title: 'Stop every member',
    task: async () => void (await Promise.all(cluster.hosts.map((host) => vms.crashMember(cluster, host)))),
  },
  {
    ...inOrder('etcd-role: install the certificates, and start all members', () => etcdRole.tasks(cluster)),
    would: ['install the certificates, and start all members'],
  },
]
