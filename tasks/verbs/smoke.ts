import { loadSettings } from '../core/config.ts'
import { clusterFlags } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { smoke } from '../smoke.ts'

export const verb: Verb = {
  name: 'smoke',
  summary: 'Prove that everything works here: up, a member killed under load, healed, down.',
  help:
    'The cluster is called smoke, or as --cluster says. It must not be there yet, unless a smoke left it that was ' +
    'killed.\n\nExample: npx zx scripts/smoke.ts --json',
  flags: clusterFlags,
  actOnAll: (flags) => smoke(loadSettings({ ...flags, cluster: flags.cluster ?? 'smoke' })),
}
