import { numberFlag, planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { restore } from '../operations/restore.ts'

export const verb: Verb = {
  name: 'restore',
  summary: 'Bring the whole cluster back from a snapshot; on new hosts, too.',
  writes: true,
  evenHalfDone: true,
  flags: {
    above: { value: 'REVISION', summary: 'the highest revision that clients have seen, if not known here' },
    'skip-hash-check': { summary: "take a member's own database (member/snap/db), too" },
    ...planFlag,
  },
  words: { usage: 'FILE', least: 1, most: 1 },
  help: `FILE: a folder that backup made, or any snapshot of etcd.
Writes after the snapshot are lost; what there is of data is moved aside.

Example: npx zx scripts/restore.ts /backup/2026-11-23T09-00-00Z`,
  act: (cluster, flags, [file = '']) =>
    restore(cluster, file, {
      skipHashCheck: flags['skip-hash-check'] === true,
      above: numberFlag(flags, 'above', 0),
      plan: flags.plan === true,
    }),
}
