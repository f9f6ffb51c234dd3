import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { rotateCerts } from '../operations/rotate-certs.ts'

export const verb: Verb = {
  name: 'rotate-certs',
  summary: 'Renew the certificates that are due, and install them while etcd runs on.',
  needsCluster: true,
  writes: true,
  flags: {
    all: { summary: 'every certificate of hosts and clients, due or not' },
    host: { value: 'NAME', summary: "this host's two certificates only, due or not" },
    ...planFlag,
  },
  help: 'Example: npx zx scripts/rotate-certs.ts --all',
  act: (cluster, flags) =>
    rotateCerts(cluster, {
      host: flags.host as string | undefined,
      all: flags.all === true,
      plan: flags.plan === true,
    }),
}
