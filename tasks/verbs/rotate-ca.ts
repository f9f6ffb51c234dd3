import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { rotateCa } from '../operations/rotate-ca.ts'

export const verb: Verb = {
  name: 'rotate-ca',
  summary: 'Change the certificate authority while the cluster goes on serving.',
  needsCluster: true,
  writes: true,
  flags: {
    back: { summary: 'back to the old authority, while it is trusted' },
    ...planFlag,
    step: { summary: 'one step only: your own clients get their files between' },
  },
  help: `First both authorities are trusted, then the new one issues new certificates
for all, then the old one is trusted no longer, and its key is deleted. Run again,
it goes on where it was stopped.

Example: npx zx scripts/rotate-ca.ts --step`,
  act: (cluster, flags) =>
    rotateCa(cluster, { back: flags.back === true, step: flags.step === true, plan: flags.plan === true }),
}
