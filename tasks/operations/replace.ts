// replace: a lost or emptied host gets a new member. The old one goes, its data is set aside, and the host comes back
// as a learner, then as a voter.
import { rmSync } from 'node:fs'
import { type Cluster, hostNamed } from '../core/cluster.ts'
import { inOrder, runPipeline } from '../core/pipeline.ts'
import { refusal } from '../etcd/findings.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { requireReachable } from '../observe/host-data.ts'
import { look } from '../observe/look.ts'
import { replacedBefore, replaceRules } from '../plans/replace.ts'
import * as verify from '../verify/index.ts'
import { carryOut, planLines } from './carry-out.ts'
import { refuseWhileDowngrading, requireHealthy } from './guard.ts'
import { sayDone, sayPlan } from './say.ts'

/** Replaces the members of the named hosts, one after the other. `planOnly`: says what it would do. */
export async function replace(cluster: Cluster, names: string[], planOnly: boolean): Promise<void> {
  const hosts = names.map((name) => hostNamed(cluster, name))
  if (cluster.hosts.length === 1)
    throw refusal(cluster, { code: 'only-member', host: names[0] ?? '', name: cluster.name })
  etcdRole.refuseHalfUpgraded(cluster)
  await requireHealthy(cluster, { verb: 'replace', allowDown: names })
  await refuseWhileDowngrading(cluster)
  const others = cluster.hosts.filter((host) => !hosts.includes(host))
  await requireReachable(cluster, others)
  const seen = await look(cluster)
  const rules = replaceRules(seen, names)
  if (planOnly) {
    const left = replacedBefore(seen, names).map((name) => `leave ${name}, which the run before has replaced already`)
    return sayPlan(cluster, 'replace', [...left, ...planLines(cluster, rules, seen), 'verify'])
  }
  await carryOut(cluster, rules, seen)
  await runPipeline([
    inOrder('verify: prove that the cluster works', () => verify.tasks(cluster, verify.patiently)),
    { title: 'Forget who was replaced', task: () => rmSync(cluster.paths.replacing, { force: true }) },
  ])
  const are = names.length === 1 ? 'is a member' : 'are members'
  sayDone(cluster, 'replace', `${names.join(' and ')} ${are} again; the cluster is verified.`, { replaced: names })
}
