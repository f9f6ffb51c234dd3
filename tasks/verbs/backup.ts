import { requireRecorded } from '../core/cluster.ts'
import { numberFlag, planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { backup } from '../operations/backup.ts'

export const verb: Verb = {
  name: 'backup',
  summary: 'Save a snapshot, and prove by restoring it that it holds what the cluster holds.',
  writes: true,
  byRecord: true,
  flags: { keep: { value: 'N', summary: 'afterwards remove the oldest backups beyond N' }, ...planFlag },
  help:
    'Example: npx zx scripts/backup.ts --keep 14\nFor cron, docs/operations.md has a line.\n\nIt holds ' +
    'every key of the cluster, secrets too: guard it as you guard certs/.',
  act: (cluster, flags) => {
    requireRecorded(cluster)
    return backup(cluster, { keep: numberFlag(flags, 'keep', 1), plan: flags.plan === true })
  },
}
