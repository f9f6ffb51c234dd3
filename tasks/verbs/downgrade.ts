import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { downgrade } from '../operations/roll.ts'

export const verb: Verb = {
  name: 'downgrade',
  summary: 'Bring every member to an older etcd, one at a time, after a proven backup.',
  needsCluster: true,
  writes: true,
  flags: {
    'etcd-version': { value: 'V', summary: 'the version to go to: one minor version down at most, from 3.6 on' },
    cancel: { summary: 'take a downgrade back: to the version that is recorded' },
    ...planFlag,
  },
  help: 'Example: npx zx scripts/downgrade.ts --etcd-version 3.6.14 --plan',
  act: (cluster, flags) => {
    const version = flags['etcd-version'] as string | undefined
    return downgrade(cluster, { version, cancel: flags.cancel === true, plan: flags.plan === true })
  },
}
