import { UsageError } from '../core/errors.ts'
import { oneOf, planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { defrag } from '../operations/defrag.ts'
import { notWorth, worthOf } from '../plans/defrag.ts'

export const verb: Verb = {
  name: 'defrag',
  summary: "Give the database's free space back to the disk, one member at a time.",
  needsCluster: true,
  writes: true,
  evenHalfDone: true,
  byRecord: true,
  flags: {
    if: { value: 'RULE', summary: 'only the members that are worth it' },
    disarm: { summary: 'cure alarm NOSPACE: compact, defragment, lower the alarm' },
    ...planFlag,
  },
  help: `RULE: 'free 50%' means that at least half of a member's database is free,
'size 100MB' that it is at least that large; with a comma both must hold. Each
member is judged by itself. KB, MB, GB count by 1000, KiB, MiB, GiB by 1024.

Examples:
  npx zx scripts/defrag.ts --if 'free 50%, size 100MB'
  npx zx scripts/defrag.ts --disarm`,
  act: (cluster, flags) => {
    // The cure compacts first: what is free then is not known before.
    oneOf(flags, 'if', 'disarm')
    const worth = flags.if === undefined ? undefined : worthOf(String(flags.if))
    if (flags.if !== undefined && !worth) throw new UsageError(`--if ${notWorth}, not ${JSON.stringify(flags.if)}.`)
    return defrag(cluster, { disarm: flags.disarm === true, worth, plan: flags.plan === true })
  },
}
