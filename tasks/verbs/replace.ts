import { requireRecorded } from '../core/cluster.ts'
import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { replace } from '../operations/replace.ts'

export const verb: Verb = {
  name: 'replace',
  summary: 'Give a lost or emptied host a new member, with the data of the others.',
  writes: true,
  flags: planFlag,
  words: { usage: 'HOST…', least: 1, most: 9 },
  help: 'What is left of its data is moved aside, never removed.\n\nExample: npx zx scripts/replace.ts master03',
  act: async (cluster, flags, hosts) => {
    requireRecorded(cluster)
    await replace(cluster, hosts, flags.plan === true)
  },
}
