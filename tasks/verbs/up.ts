import * as consumers from '../consumers/index.ts'
import { planFlag } from '../core/flags.ts'
import { runPipeline } from '../core/pipeline.ts'
import { clock } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { noteRevision } from '../operations/revision.ts'
import { phases, runPhases, selectPhases } from '../phases.ts'
import { printPlan } from '../plan.ts'
import { printSummary } from '../summary.ts'

export const verb: Verb = {
  name: 'up',
  summary: 'Bring a cluster up and prove that it works; run again, it changes nothing.',
  writes: true,
  flags: {
    from: { value: 'PHASE', summary: 'start with this phase' },
    ...planFlag,
    skip: { value: 'PHASES', summary: 'leave these phases out (with commas)' },
  },
  help: [
    'Phases:',
    ...phases.map((phase) => `  ${phase.name.padEnd(11)}${phase.summary}`),
    '\nExample: npx zx scripts/up.ts --masters 5 --yes',
  ].join('\n'),
  act: async (cluster, flags) => {
    const started = clock()
    const selected = selectPhases(flags.from as string | undefined, flags.skip as string | undefined)
    if (flags.plan) return printPlan(cluster, selected)
    await runPhases(cluster, selected)
    await runPipeline(consumers.tasks(cluster))
    const verified = selected.some((phase) => phase.name === 'verify')
    if (verified) await noteRevision(cluster)
    printSummary(cluster, clock() - started, verified)
  },
}
