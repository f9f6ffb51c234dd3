import { UsageError } from '../core/errors.ts'
import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { ownVersion } from '../etcd/binaries.ts'
import { upgrade } from '../operations/roll.ts'

export const verb: Verb = {
  name: 'upgrade',
  summary: 'Bring every member to a newer etcd, one at a time, after a proven backup.',
  needsCluster: true,
  writes: true,
  flags: {
    'etcd-version': {
      value: 'V',
      summary: 'the version to go to, one minor version up at most (default: that of etcd.binaries)',
    },
    ...planFlag,
  },
  help: 'Example: npx zx scripts/upgrade.ts --etcd-version 3.5.33 --plan',
  act: async (cluster, flags) => {
    const version = flags['etcd-version'] ?? (await ownVersion(cluster))
    if (typeof version !== 'string') throw new UsageError('Which version? Say --etcd-version V.')
    return upgrade(cluster, { version, plan: flags.plan === true })
  },
}
