#!/usr/bin/env -S npx zx
import { loadSettings } from '../tasks/core/config.ts'
import { script } from '../tasks/core/script.ts'
import { smoke } from '../tasks/smoke.ts'

await script(
  {
    name: 'smoke',
    summary: 'Prove on this machine that everything works: a cluster comes up, survives a killed member, heals and goes down.',
    help: 'The cluster is called smoke unless --cluster names another; it must not be there yet.\n\nExample: npx zx scripts/smoke.ts --json',
  },
  (_, flags) => smoke(loadSettings({ ...flags, cluster: flags.cluster ?? 'smoke' })),
)
