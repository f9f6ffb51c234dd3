import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { recover } from '../operations/recover.ts'

export const verb: Verb = {
  name: 'recover',
  summary: 'Quorum is lost for good: form a new cluster from the member that goes furthest.',
  needsCluster: true,
  writes: true,
  evenHalfDone: true,
  flags: { from: { value: 'HOST', summary: "from this host's data: all others are lost for good" }, ...planFlag },
  help: `The others come back as learners. Members that are only stopped are started by
up instead, which loses nothing.

Example: npx zx scripts/recover.ts --plan`,
  act: (cluster, flags) => recover(cluster, { from: flags.from as string | undefined, plan: flags.plan === true }),
}
