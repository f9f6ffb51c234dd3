#!/usr/bin/env -S npx zx
import { requireRecorded } from '../tasks/core/cluster.ts'
import { planFlag } from '../tasks/core/flags.ts'
import { script } from '../tasks/core/script.ts'
import { replace } from '../tasks/operations/replace.ts'

await script(
  {
    name: 'replace',
    summary: 'Make the member of a lost or emptied host anew, from the data of the others.',
    writes: true,
    flags: planFlag,
    words: { usage: 'HOST…', least: 1, most: 9 },
    help: 'What is left of its data is moved aside, never removed.\n\nExample: npx zx scripts/replace.ts master03',
  },
  async (cluster, flags, hosts) => {
    requireRecorded(cluster)
    await replace(cluster, hosts, flags.plan === true)
  },
)
