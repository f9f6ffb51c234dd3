import type { Cluster } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import { type Flags, numberFlag, planFlag } from '../core/flags.ts'
import { targetNamed } from '../core/rclone.ts'
import type { Verb } from '../core/script.ts'
import { identitiesIn } from '../core/sealed.ts'
import { listBackups } from '../operations/list-backups.ts'
import { restore, restoreFrom } from '../operations/restore.ts'

export const verb: Verb = {
  name: 'restore',
  summary: 'Bring the whole cluster back from a snapshot; on new hosts, too.',
  writes: true,
  evenHalfDone: true,
  flags: {
    from: { value: 'TARGET', summary: 'fetch a backup that backup --to brought there, and restore that' },
    identity: { value: 'FILE', summary: 'the key that opens it, as age-keygen wrote it' },
    'data-only': { summary: 'with --from: certificates, keys and record as they are here' },
    list: { summary: 'with --from: list what there is' },
    above: { value: 'REVISION', summary: 'the highest revision that clients have seen, if not known here' },
    'skip-hash-check': { summary: "take a member's own database (member/snap/db), too" },
    ...planFlag,
  },
  words: { usage: '[FILE | BACKUP]', least: 0, most: 1 },
  help: `FILE: a folder that backup made, or any snapshot of etcd.
BACKUP, with --from: TIME, CLUSTER/TIME or CLUSTER (default: the newest one).
Writes after the snapshot are lost; what there is of data is moved aside.

Example: npx zx scripts/restore.ts /backup/2026-11-23T09-00-00Z
On a new machine: npx zx scripts/restore.ts --from nas:etcd --identity key.txt`,
  act: (cluster, flags, [word]) => {
    const target = flags.from === undefined ? undefined : targetNamed(String(flags.from))
    if (flags.list) return listBackups(cluster, target)
    const how = {
      skipHashCheck: flags['skip-hash-check'] === true,
      above: numberFlag(flags, 'above', 0),
      plan: flags.plan === true,
    }
    if (target !== undefined) return fromTarget(cluster, target, word, how, flags)
    const lone = ['identity', 'data-only'].find((name) => flags[name] !== undefined)
    if (lone) throw new UsageError(`--${lone} is of no use without --from.`)
    if (word === undefined) throw new UsageError('FILE is missing, or --from TARGET.')
    return restore(cluster, word, how)
  },
}

function fromTarget(
  cluster: Cluster,
  target: string,
  word: string | undefined,
  how: Parameters<typeof restore>[2],
  flags: Flags,
): Promise<void> {
  if (flags.identity === undefined)
    throw new UsageError('--from needs --identity: the file with the private key (AGE-SECRET-KEY-1…).')
  const identities = identitiesIn(String(flags.identity))
  return restoreFrom(cluster, { target, word, identities, dataOnly: flags['data-only'] === true }, how, flags)
}
