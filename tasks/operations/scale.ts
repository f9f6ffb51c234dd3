// scale: more members or fewer, one at a time. Each that comes is a learner first; the last in the record goes first.
import { rmSync } from 'node:fs'
import { duties } from '../consumers/index.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { writeFileAtomic } from '../core/files.ts'
import { inOrder } from '../core/pipeline.ts'
import { noteReplacing, replacing } from '../core/record.ts'
import { confirm } from '../core/script.ts'
import { counted, listed } from '../core/terminal.ts'
import { memberList } from '../etcd/etcdctl.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { requireReachable } from '../observe/host-data.ts'
import { requireKey } from '../pki/index.ts'
import { movesTo, scaleRules } from '../plans/scale.ts'
import { carryOut, planLines } from './carry-out.ts'
import { addressesOf, aroundExchange } from './clients.ts'
import { lookFirst, ofScale, refuseUnhealthy } from './guard.ts'
import { sayDone, sayPlan } from './say.ts'
import { doSteps, planOfSteps, proveItWorks, type Step, told } from './steps.ts'

/**
 * Makes the cluster's members those it is to have, whatever an earlier run left half-done; `planOnly` says how.
 * @throws UsageError when it is not said how many
 */
export async function scale(cluster: Cluster, planOnly: boolean): Promise<void> {
  const wanted = requireWanted(cluster)
  etcdRole.refuseHalfUpgraded(cluster)
  const scope = { coming: wanted }
  const seen = await lookFirst(cluster, scope)
  const names = wanted.map(({ name }) => name)
  const { coming, leaving } = movesTo(seen, names)
  const fresh = coming.filter((name) => !seen.recorded.includes(name))
  const moving = [...coming, ...leaving]
  refuseUnhealthy(cluster, seen, ofScale({ coming, leaving }))
  await requireReachable(
    cluster,
    cluster.hosts.filter(({ name }) => !moving.includes(name)),
  )
  requireKey({ ...cluster, hosts: [...cluster.hosts, ...wanted.filter(({ name }) => fresh.includes(name))] })
  const rules = scaleRules(seen, names)
  const all = seen.recorded.every((name) => leaving.includes(name))
  const before = all ? aroundExchange(cluster, addressesOf(coming), leaving) : undefined
  const lines = [...(before ? [`you: ${before}`] : []), ...planLines(cluster, rules, seen)]
  const tail: Step[] = [
    inOrder('etcd-role: bring the inventory and every initial cluster in step', () => etcdRole.tasks(cluster)),
    proveItWorks(cluster),
    { title: 'Forget what was begun', task: () => forgetBegun(cluster), would: [] },
    ...(moving.length > 0 && !all ? duties(cluster, ['endpoints']).map((duty) => told(`you: ${duty}`)) : []),
  ]
  if (planOnly) return sayPlan(cluster, 'scale', [...lines, ...(await planOfSteps(tail))])
  const exchanged = Math.min(fresh.length, leaving.length)
  // A list of other servers may be a mistake.
  const question = `Move ${cluster.name} from ${listed(leaving)} to ${listed(fresh)}?`
  if (exchanged > 1 && !(await confirm(before ? `${question} Before that, ${before}.` : question)))
    throw new OperationError('Nothing was changed.')
  if (moving.length > 0) writeFileAtomic(cluster.paths.scaling, JSON.stringify(names), 0o600)
  await carryOut(cluster, rules, seen, scope)
  await doSteps(tail)
  const count = cluster.hosts.length
  const clients = exchanged > 0 ? `Clients need the endpoints that it has now: ${command(cluster, 'env')}` : ''
  sayDone(cluster, 'scale', `${cluster.name} has ${counted(count, 'member')}; it is verified. ${clients}`.trim(), {
    masters: count,
    added: coming,
    removed: leaving,
    ...(clients && { clients }),
  })
}

/** Once every host has a member, a replacement that was begun is done, too, unless its old member is still there. */
async function forgetBegun(cluster: Cluster): Promise<void> {
  const members = await memberList(cluster)
  const left = Object.entries(replacing(cluster.paths)).filter(([, old]) => members.some(({ id }) => id === old))
  noteReplacing(cluster.paths, Object.fromEntries(left))
  rmSync(cluster.paths.scaling, { force: true })
}

/** The hosts that there are to be. @throws UsageError */
function requireWanted(cluster: Cluster): Host[] {
  const { hosts, wanted } = cluster
  if (!wanted)
    throw new UsageError('--masters N is missing: how many members should there be?', {
      hint: `There are ${hosts.length} now. Example: ${command(cluster, 'scale --masters 5')}`,
    })
  const moved = wanted.find((host) => hosts.some((one) => one.name === host.name && one.address !== host.address))
  if (moved)
    throw new UsageError(`${moved.name} has another address than the member of that name.`, {
      hint: `If it is the same host: ${command(cluster, 'move')}. If not, give the new one a name of its own.`,
    })
  return wanted
}
