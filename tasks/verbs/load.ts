import { numberFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { load } from '../load.ts'

export const verb: Verb = {
  name: 'load',
  summary: 'Write and read for a while, and prove that nothing acknowledged was lost.',
  needsCluster: true,
  byRecord: true,
  flags: {
    seconds: { value: 'N', summary: 'how long (default 10, at most 3600)' },
    writers: { value: 'N', summary: 'how many write at once (default 6)' },
    readers: { value: 'N', summary: 'how many read at once (default 2)' },
  },
  help: `Run it in one terminal while another verb changes the cluster.
Its keys lie below ha-etcd/load/ and are removed at the end.

Example: npx zx scripts/load.ts --seconds 30

Exit code 1: a write was lost or failed twice, or a read went back in time.`,
  act: async (cluster, flags) => {
    const [seconds = 10, writers = 6, readers = 2] = [
      numberFlag(flags, 'seconds', 1, { most: 3600, decimals: true }),
      numberFlag(flags, 'writers', 1),
      numberFlag(flags, 'readers', 0),
    ]
    await load(cluster, { maxSeconds: seconds, writers, readers })
  },
}
