// replace: a lost or emptied host gets a new member. The old one goes, its data is set aside, and the host comes back
// as a learner, then as a voter.
import { type Cluster, hostNamed, ownHosts, refuseHalfDone } from '../core/cluster.ts'
import { failureOf, OperationError } from '../core/errors.ts'
import { noteReplacing } from '../core/record.ts'
import { run } from '../core/run.ts'
import { listed } from '../core/terminal.ts'
import { moveBegun } from '../etcd/advice.ts'
import { type Finding, inWords, refusal } from '../etcd/findings.ts'
import { requirePrograms } from '../etcd/required-programs.ts'
import { hostsThatAreUp, requireReachable } from '../observe/host-data.ts'
import { look } from '../observe/look.ts'
import { requireKey } from '../pki/index.ts'
import { versionToJoin } from '../plans/members.ts'
import { replacedBefore, replaceRules } from '../plans/replace.ts'
import { asLetIn } from './adopt-files.ts'
import { putRight, untaken } from './adopt-look.ts'
import { replaceable } from './adopt-rules.ts'
import { carryOut, planLines } from './carry-out.ts'
import { ofReplace, requireHealthy } from './guard.ts'
import { largest, refuseSmall } from './room.ts'
import { sayDone, sayPlan } from './say.ts'
import { doSteps, proveItWorks } from './steps.ts'

/** Replaces the members of the named hosts, one after the other. `planOnly`: says what it would do. */
export async function replace(cluster: Cluster, names: string[], planOnly: boolean): Promise<void> {
  for (const name of names) hostNamed(cluster, name)
  if (cluster.begun) await requireOurs(cluster, names)
  await replaceIn(asLetIn(cluster), names, planOnly)
}

/** Of an adoption in place, the hosts say who is taken over. */
async function requireOurs(cluster: Cluster, names: string[]): Promise<void> {
  const isInPlace = cluster.begun?.verb === 'adopt' && !cluster.begun.joining
  const ours = replaceable(cluster, isInPlace ? await untaken(cluster) : [])
  if (names.some((name) => !ours.includes(name))) refuseHalfDone(cluster)
}

async function replaceIn(cluster: Cluster, names: string[], planOnly: boolean): Promise<void> {
  const hosts = names.map((name) => hostNamed(cluster, name))
  if (cluster.hosts.length === 1)
    throw refusal(cluster, { code: 'only-member', host: names[0] ?? '', name: cluster.name })
  const move = moveBegun(cluster)
  const { begun, name } = cluster
  const half: Finding | undefined = move ?? (begun && { code: 'half-restored', what: begun.verb, name })
  const joins = move?.what !== 'downgrade'
  await requireHealthy(cluster, { ...ofReplace(names), joins, allow: begun ? putRight : [] })
  const others = ownHosts(cluster).filter((host) => !hosts.includes(host))
  const up = (await hostsThatAreUp(cluster)).filter((host) => hosts.includes(host))
  const there = await requireReachable(cluster, [...others, ...up])
  refuseSmall(
    cluster,
    there.filter(({ host }) => up.includes(host)),
    () => largest(there),
  )
  const seen = await look(cluster)
  const rules = replaceRules(seen, names)
  await requirePrograms(cluster, versionToJoin(seen, names))
  // A host that is brought up gets the certificates that it lacks; while it is being adopted it lacks none.
  if (!begun && names.some((name) => !seen.hosts[name]?.ready)) requireKey(cluster)
  if (planOnly) {
    const left = replacedBefore(seen, names).map((name) => `leave ${name}, which the run before has replaced already`)
    return sayPlan(cluster, 'replace', [...left, ...planLines(cluster, rules, seen), ...(half ? [] : ['verify'])])
  }
  await carryOut(cluster, rules, seen)
  // Members of two versions, or certificates of another authority, are what verify finds fault with.
  const wrong = half ? undefined : await failureOf(() => doSteps([proveItWorks(cluster)]))
  noteReplacing(cluster.paths, {})
  const back = `${listed(names)} ${names.length === 1 ? 'is a member' : 'are members'} again`
  // What else is wrong must not hide what was done.
  if (wrong) throw new OperationError(`${back}. But ${wrong.message}`, wrong.more)
  if (half) run().warnings.push(inWords(cluster, half))
  sayDone(cluster, 'replace', `${back}${half ? '' : '; the cluster is verified'}.`, { replaced: names })
}
