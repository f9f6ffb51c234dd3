import type { Verb } from '../core/script.ts'
import { down } from '../down.ts'

export const verb: Verb = {
  name: 'down',
  summary: 'Stop the hosts and remove them with their data. Certificates and backups stay.',
  writes: true,
  byRecord: true,
  evenHalfDone: true,
  flags: { purge: { summary: 'remove the certificates and backups as well' } },
  help: 'Example: npx zx scripts/down.ts --yes',
  act: (cluster, flags) => down(cluster, flags.purge === true),
}
