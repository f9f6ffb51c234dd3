import { UsageError } from '../core/errors.ts'
import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { auth } from '../operations/auth.ts'

export const verb: Verb = {
  name: 'auth',
  summary: "Turn etcd's own authentication on or off, with users bound to certificates.",
  needsCluster: true,
  writes: true,
  byRecord: true,
  words: { usage: 'on|off', least: 1, most: 1 },
  flags: planFlag,
  help: 'Example: npx zx scripts/auth.ts on',
  act: async (cluster, flags, [turn]) => {
    if (turn !== 'on' && turn !== 'off') throw new UsageError(`auth takes on or off, not ${JSON.stringify(turn)}.`)
    await auth(cluster, turn, flags.plan === true)
  },
}
