// What a verb would do from here: its next act, what comes of it, and so on until nothing is left. Pure.
import { effectOf } from './effects.ts'
import type { Act, Observation, Obstacle, Rules } from './types.ts'

export interface Plan {
  acts: Act[]
  /** What stops the plan before its end: then none of it is begun. */
  obstacle?: Obstacle
  /** What comes next can only be found out. */
  open?: true
}

/** No plan is longer, unless its rules go round in a circle. */
const longest = 200

/** The whole plan. An act that etcd would refuse is found here, before anything is changed. */
export function planOf(rules: Rules, start: Observation): Plan {
  const acts: Act[] = []
  let seen = start
  while (acts.length < longest) {
    const next = rules(seen)
    if (next === 'done') return { acts }
    if ('obstacle' in next) return { acts, obstacle: next.obstacle }
    const then = effectOf(seen, next.act)
    if (typeof then === 'string') return { acts, obstacle: { code: 'refused', act: next.act, why: then } }
    acts.push(next.act)
    if (isOpen(next.act, seen, start)) return { acts, open: true }
    seen = then
  }
  throw new Error(`the plan does not end: ${acts.slice(-4).map((act) => act.do)}`)
}

/** It depends on what lies on a host that is brought up, or on who is elected once there is a quorum again. */
const isOpen = (act: Act, seen: Observation, start: Observation): boolean =>
  act.do === 'bring up' ? start.recorded.includes(act.host) : act.do === 'take snapshots' && !seen.members
