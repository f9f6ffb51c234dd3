import type { Verb } from '../core/script.ts'
import { certs } from '../operations/certs.ts'

export const verb: Verb = {
  name: 'certs',
  summary: 'List every certificate, its days left, and what would be renewed and why.',
  needsCluster: true,
  byRecord: true,
  help: `Example: npx zx scripts/certs.ts
For cron, docs/operations.md has a line that mails it when it is time.

Exit code 1: one is to be renewed, or ends within pki.renewBeforeDays (30) days.`,
  act: (cluster) => certs(cluster),
}
