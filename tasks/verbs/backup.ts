import { requireRecorded } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import { type Flags, numberFlag, planFlag } from '../core/flags.ts'
import { targetNamed } from '../core/rclone.ts'
import type { Verb } from '../core/script.ts'
import { recipientsIn } from '../core/sealed.ts'
import { backup } from '../operations/backup.ts'
import { listBackups } from '../operations/list-backups.ts'
import type { OffSite } from '../operations/off-site.ts'

export const verb: Verb = {
  name: 'backup',
  summary: 'Save a snapshot, and prove by restoring it that it holds what the cluster holds; bring it away.',
  writes: true,
  byRecord: true,
  flags: {
    keep: { value: 'N', summary: 'afterwards remove the oldest backups beyond N' },
    'keep-days': { value: 'DAYS', summary: 'keep all of the last DAYS; with --keep, what either keeps' },
    to: { value: 'TARGET', summary: 'bring it there, too: a folder, or what rclone knows (NAME:PATH)' },
    recipient: { value: 'KEY', summary: 'whose key opens it there, as age-keygen says (age1…); several: with commas' },
    list: { summary: 'list the backups that are here, with --to those that are there' },
    ...planFlag,
  },
  help:
    'Example: npx zx scripts/backup.ts --keep 14\n' +
    'Away, sealed: npx zx scripts/backup.ts --to nas:etcd --recipient age1… --keep 14\n\n' +
    'It holds every key of the cluster, secrets too: guard it as you guard certs/. docs/off-site.md has more.',
  act: (cluster, flags) => {
    const target = flags.to === undefined ? undefined : targetNamed(String(flags.to))
    if (flags.list) return listBackups(cluster, target)
    const offSite = offSiteOf(target, flags)
    requireRecorded(cluster)
    const [count, days] = [numberFlag(flags, 'keep', 1), numberFlag(flags, 'keep-days', 1)]
    return backup(cluster, {
      keep: count || days ? { count, days } : undefined,
      offSite,
      plan: flags.plan === true,
    })
  },
}

function offSiteOf(target: string | undefined, { recipient }: Flags): OffSite | undefined {
  if (target === undefined && recipient === undefined) return undefined
  if (target === undefined) throw new UsageError('--recipient is of no use without --to.')
  if (recipient === undefined)
    throw new UsageError('--to needs --recipient: nothing leaves this machine that is not sealed.', {
      hint: 'age-keygen -o key.txt makes a key, and prints the public one (age1…). Keep key.txt away from here.',
    })
  return { target, recipients: recipientsIn(String(recipient)) }
}
