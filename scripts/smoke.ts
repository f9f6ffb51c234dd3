#!/usr/bin/env -S npx zx
import { loadSettings } from '../tasks/core/config.ts'
import { script } from '../tasks/core/script.ts'
import { smoke } from '../tasks/smoke.ts'

await script(
  {
    name: 'smoke',
    summary: 'Prove that everything works here: up, a member killed under load, healed, down.',
    help: 'The cluster is called smoke, or as --cluster says; it must not be there yet.\n\nExample: npx zx scripts/smoke.ts --json',
  },
  (_, flags) => smoke(loadSettings({ ...flags, cluster: flags.cluster ?? 'smoke' })),
)
