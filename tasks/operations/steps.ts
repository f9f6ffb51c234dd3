// A verb's steps, each said once: --plan tells them, and a run does them.

import * as consumers from '../consumers/index.ts'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { inOrder, runPipeline, type Task, titled } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { confirm } from '../core/script.ts'
import * as pki from '../pki/index.ts'
import * as verify from '../verify/index.ts'
import * as vms from '../vms/index.ts'
import { sayPlan } from './say.ts'

/** A step. One without a task is only told: what a person does, or what is done elsewhere. */
export interface Step extends Partial<Pick<Task, 'task' | 'skip' | 'rendererOptions'>> {
  title?: Task['title']
  /** What --plan says of it, a line each, once the steps before it have looked. Default: its title. */
  would?: string[] | (() => string[] | Promise<string[]>)
  /** It changes nothing here: --plan does it, too, and says nothing of it by itself. */
  looks?: Look
}

/** `say`: how far it is. A text that it returns is its title in the end. */
type Look = (say: (line: string) => void) => Promise<unknown>

/** A step that looks, and refuses what cannot be done. */
export function look(title: string, looks: Look): Step {
  const titleAfter = (said: unknown): string => (typeof said === 'string' ? said : title)
  return { ...titled(title, async (say) => titleAfter(await looks(say))), looks }
}

/** Lines of the plan alone. */
export const told = (...would: string[]): Step => ({ would })

/** Several tasks, told together. */
export const stepsOf = ([first, ...others]: Task[], would: Step['would']): Step[] => [
  { ...first, ...(would && { would }) },
  ...others.map((task) => ({ ...task, would: [] })),
]

export const bringUp = (cluster: Cluster): Step => ({
  ...inOrder('vms: bring the hosts up where they are not', () => {
    recordCluster(cluster)
    return vms.tasks(cluster)
  }),
  would: () => vms.plan(cluster),
})

/** Hosts and certificates as `up` makes them. */
export const hostSteps = (cluster: Cluster): Step[] => [
  bringUp(cluster),
  {
    ...inOrder('pki: make the certificates that are missing', () => pki.tasks(cluster)),
    would: () => pki.plan(cluster),
  },
]

/** The last step of most verbs. Whoever uses the cluster gets what has changed for it. */
export const proveItWorks = (cluster: Cluster): Step => ({
  ...inOrder('verify: prove that the cluster works', () => [
    ...verify.tasks(cluster, verify.patiently),
    ...consumers.tasks(cluster),
  ]),
  would: ['verify'],
})

/**
 * Asks, where there is a question, and does the steps; with --plan it does what only looks, and prints what the others
 * would do.
 * @returns whether they were done
 */
export async function carryOutSteps(
  cluster: Cluster,
  verb: string,
  steps: Step[],
  plan: boolean,
  question?: string,
): Promise<boolean> {
  if (plan) sayPlan(cluster, verb, await planOfSteps(steps))
  else if (question && !(await confirm(question))) throw new OperationError('Nothing was changed.')
  else await doSteps(steps)
  return !plan
}

export const doSteps = (steps: Step[]): Promise<void> =>
  runPipeline(steps.filter((step): step is Step & Task => step.task !== undefined))

/** The lines of the plan. Those that look are done. */
export async function planOfSteps(steps: Step[]): Promise<string[]> {
  const lines: string[] = []
  for (const { title, looks, would = looks ? [] : [lower(String(title))], skip } of steps) {
    if (typeof skip === 'function' ? await skip(undefined) : skip) continue
    await looks?.(() => {})
    lines.push(...(typeof would === 'function' ? await would() : would))
  }
  return lines
}

export const lower = (text: string): string => `${text.charAt(0).toLowerCase()}${text.slice(1)}`
