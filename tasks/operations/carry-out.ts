// The loop: look, plan, do the next act, look again, until nothing is left to do.
import type { Carriers, Shown, Steps } from '../acts/carriers.ts'
import { membershipActs } from '../acts/members.ts'
import { moveActs } from '../acts/move.ts'
import { upkeepActs } from '../acts/upkeep.ts'
import type { Cluster } from '../core/cluster.ts'
import { runPipeline } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { type Finding, refusal } from '../etcd/findings.ts'
import { look, type Scope } from '../observe/look.ts'
import { type Plan, planOf } from '../plans/plan.ts'
import type { Act, Observation, Obstacle, Rules } from '../plans/types.ts'
import { linesOf, titleOf } from '../plans/words.ts'

/**
 * Carries out what the rules say from here. The log has each difference between what was foreseen and what came.
 * @returns what is there at the end
 * @throws OperationError when something stops it; nothing is begun that could not come to its end
 */
export async function carryOut(
  cluster: Cluster,
  rules: Rules,
  start: Observation,
  scope: Scope = {},
): Promise<Observation> {
  let seen = start
  let foreseen: Plan | undefined
  let last: Act | undefined
  noteSeen(seen)
  for (;;) {
    const plan = requirePlan(cluster, planOf(rules, seen), seen, foreseen === undefined)
    const [act] = plan.acts
    if (foreseen) noteDifference(foreseen, plan)
    if (!act) return seen
    // an act that leaves no trace would be done for ever
    if (last && titleOf(last) === titleOf(act)) throw refusal(cluster, { code: 'no-trace', what: titleOf(act) })
    await doAct(cluster, act)
    last = act
    seen = await look(cluster, scope, { seen, act })
    noteSeen(seen, act)
    foreseen = { ...plan, acts: plan.acts.slice(1) }
  }
}

/**
 * The plan's steps as lines, and that it goes on where that cannot be known yet.
 * @throws OperationError when it cannot begin
 */
export function planLines(cluster: Cluster, rules: Rules, seen: Observation): string[] {
  const { acts, open } = requirePlan(cluster, planOf(rules, seen), seen, true)
  const lines = acts.flatMap(linesOf)
  return open ? [...lines, 'then by what is found there'] : lines
}

const carriers: Carriers = { ...membershipActs, ...upkeepActs, ...moveActs }

async function doAct(cluster: Cluster, act: Act): Promise<void> {
  await runPipeline([
    {
      title: titleOf(act),
      task: async (_, task) => {
        const carrier = carriers[act.do] as (cluster: Cluster, act: Act, shown: Shown) => Steps
        const tasks = await carrier(cluster, act, task)
        return tasks ? task.newListr(tasks, { concurrent: false, exitOnError: true }) : undefined
      },
    },
  ])
}

function requirePlan(cluster: Cluster, plan: Plan, seen: Observation, first: boolean): Plan {
  const { obstacle } = plan
  if (!obstacle) return plan
  const told = first ? 'is not ready for it, and nothing was changed' : 'was left as it is now'
  throw refusal(cluster, findingOf(obstacle, seen), `${cluster.name} ${told}: `)
}

/** With damaged data somewhere nobody commits: that is no loss of the quorum. */
export function findingOf(obstacle: Obstacle, { findings }: Observation): Finding {
  if (obstacle.code === 'refused') return { code: 'refused', what: titleOf(obstacle.act), reason: obstacle.why }
  const corrupt = obstacle.code === 'no-quorum' && findings.find(({ code }) => code === 'corrupt')
  return corrupt || obstacle
}

/** The log of a run has all that its plans were made from: they can be worked out again from it. */
const noteSeen = (seen: Observation, act?: Act): void => run().note(`Seen: ${JSON.stringify({ act, seen })}\n`)

/** Every real run is a test of the plans: the log has it where one was wrong. */
function noteDifference(foreseen: Plan, now: Plan): void {
  const [before, after] = [foreseen, now].map(({ acts }) => acts.map(titleOf).join('; '))
  if (before === after || foreseen.open || now.open) return
  run().note(`Not as foreseen. Foreseen: ${before || 'nothing more'}. Now: ${after || 'nothing more'}.\n`)
}
