#!/usr/bin/env -S npx zx
import { requireRecorded } from '../tasks/core/cluster.ts'
import { script } from '../tasks/core/script.ts'
import { certs } from '../tasks/operations/certs.ts'

const help = `Example: npx zx scripts/certs.ts
For cron, docs/operations.md has a line that mails it when it is time.

Exit code 1: one is to be renewed, or ends within pki.renewBeforeDays (30) days.`

await script(
  {
    name: 'certs',
    summary: 'List every certificate, its days left, and what would be renewed and why.',
    byRecord: true,
    help,
  },
  (cluster) => {
    requireRecorded(cluster)
    return certs(cluster)
  },
)
