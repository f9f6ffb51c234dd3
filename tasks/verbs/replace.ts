import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { replace } from '../operations/replace.ts'

export const verb: Verb = {
  name: 'replace',
  summary: 'Give a lost or emptied host a new member, with the data of the others.',
  needsCluster: true,
  writes: true,
  evenHalfDone: true,
  flags: planFlag,
  words: { usage: 'HOST…', least: 1, most: 9 },
  help: 'What is left of its data is moved aside, never removed.\n\nExample: npx zx scripts/replace.ts master03',
  act: (cluster, flags, hosts) => replace(cluster, hosts, flags.plan === true),
}
