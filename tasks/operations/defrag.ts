// defrag: gives the members' free space back to their disks, one by one; with `disarm` the whole cure of NOSPACE.
import { type Cluster, refuseHalfDone } from '../core/cluster.ts'
import { runPipeline } from '../core/pipeline.ts'
import { bytes } from '../core/terminal.ts'
import { askMembers } from '../etcd/ask.ts'
import type { Code } from '../etcd/findings.ts'
import { statusesOf } from '../etcd/judge.ts'
import { look } from '../observe/look.ts'
import { defragRules, freeShare, isWorth, type Room, type Worth } from '../plans/defrag.ts'
import * as verify from '../verify/index.ts'
import { asLetIn } from './adopt-files.ts'
import { putRight } from './adopt-look.ts'
import { carryOut, planLines } from './carry-out.ts'
import { requireHealthy } from './guard.ts'
import { sayDone, sayPlan } from './say.ts'

interface Wish {
  disarm: boolean
  /** When a member is worth it; undefined: always. */
  worth: Worth | undefined
  plan: boolean
}
type Rooms = Map<string, Room>

/** Guard, (compact,) defragment in turn, (disarm, write,) verify. After a kill it starts over: no step harms twice. */
export async function defrag(given: Cluster, { disarm, worth, plan }: Wish): Promise<void> {
  // a full database would keep an adoption from its end
  if (given.begun?.verb !== 'adopt') refuseHalfDone(given)
  const cluster = asLetIn(given)
  const { begun } = cluster
  const allow: Code[] = ['disk-full', ...(begun ? putRight : [])]
  const scope = { membersOnly: true, up: cluster.hosts.map(({ name }) => name) }
  const guard = (): Promise<void> => requireHealthy(cluster, { allow, ...(disarm && { verb: 'defrag --disarm' }) })
  if (plan) await guard()
  else await runPipeline([{ title: 'Check that the cluster can spare a member', task: guard }])
  const before = await rooms(cluster)
  const left = worth ? [...before].filter(([, room]) => !isWorth(worth, room)).map(([name]) => name) : []
  const only = [...before.keys()].filter((name) => !left.includes(name))
  const rules = defragRules(disarm, worth && only)
  const leave = left.map((name) => `leave ${inWords(name, before)}`)
  if (plan) {
    const acts = planLines(cluster, rules, await look(cluster, scope))
    return sayPlan(cluster, 'defrag', [...leave, ...(acts.length > 0 ? [...acts, ...(begun ? [] : ['verify'])] : [])])
  }
  if (only.length === 0) return sayNothing(cluster, before)
  await carryOut(cluster, rules, await look(cluster, scope), scope)
  // certificates of another authority are what verify finds fault with
  if (!begun) await runPipeline(verify.tasks(cluster, verify.patiently))
  sayDefragmented(cluster, { before, after: await rooms(cluster), left, disarm })
}

async function rooms(cluster: Cluster): Promise<Rooms> {
  const { hosts } = await askMembers(cluster)
  return new Map(
    statusesOf(hosts).map(({ name, status: { dbSizeBytes, inUseBytes } }) => [name, { dbSizeBytes, inUseBytes }]),
  )
}

/** `master01: 12 % of 20.0 MiB is free`. */
function inWords(name: string, all: Rooms): string {
  const room = all.get(name) ?? { dbSizeBytes: 0, inUseBytes: 0 }
  return `${name}: ${Math.floor(freeShare(room) * 100)} % of ${bytes(room.dbSizeBytes)} is free`
}

const asData = (name: string, before: Rooms, after: Rooms, left: string[]) => ({
  name,
  dbSizeBytesBefore: before.get(name)?.dbSizeBytes ?? 0,
  inUseBytesBefore: before.get(name)?.inUseBytes ?? 0,
  dbSizeBytes: after.get(name)?.dbSizeBytes ?? 0,
  defragmented: !left.includes(name),
})

function sayNothing(cluster: Cluster, before: Rooms): void {
  const names = [...before.keys()]
  const members = names.map((name) => asData(name, before, before, names))
  const figures = names.map((name) => inWords(name, before)).join(', ')
  sayDone(cluster, 'defrag', `No member is worth it. ${figures}.`, { members, disarmed: false })
}

function sayDefragmented(
  cluster: Cluster,
  { before, after, left, disarm }: { before: Rooms; after: Rooms; left: string[]; disarm: boolean },
): void {
  const members = [...after.keys()].map((name) => asData(name, before, after, left))
  const told = members
    .filter(({ defragmented }) => defragmented)
    .map((member) => `${member.name} ${bytes(member.dbSizeBytesBefore)} → ${bytes(member.dbSizeBytes)}`)
  const others = left.length > 0 ? ` Left as they were: ${left.map((name) => inWords(name, before)).join(', ')}.` : ''
  const cured = disarm ? ' No alarm is raised, and writes go on.' : ''
  sayDone(cluster, 'defrag', `Defragmented: ${told.join(', ')}.${others}${cured}`, { members, disarmed: disarm })
}
