#!/usr/bin/env -S npx zx
import { script } from '../tasks/core/script.ts'
import { down } from '../tasks/down.ts'

await script(
  {
    name: 'down',
    summary: 'Stop the hosts and remove them with their data. Certificates and backups stay.',
    writes: true,
    byRecord: true,
    evenHalfDone: true,
    flags: { purge: { summary: 'remove the certificates and backups as well' } },
    help: 'Example: npx zx scripts/down.ts --yes',
  },
  (cluster, flags) => down(cluster, flags.purge === true),
)
