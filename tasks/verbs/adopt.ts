import { resolve } from 'node:path'
import { UsageError } from '../core/errors.ts'
import { readGiven } from '../core/files.ts'
import { oneOf, planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { adopt, giveBack } from '../operations/adopt.ts'
import { dropOld, finish } from '../operations/adopt-end.ts'

export const verb: Verb = {
  name: 'adopt',
  summary: 'Take over a running etcd that something else has set up, while it goes on serving.',
  writes: true,
  evenHalfDone: true,
  flags: {
    ...planFlag,
    back: { summary: 'give the members back to their old services' },
    finish: { summary: 'once clients trust ca.crt: issue every certificate by the new authority' },
    'drop-old': { summary: 'once clients have new certificates: trust the old authority no longer' },
    'client-cert': { value: 'FILE', summary: "a client's certificate (default: a member's own)" },
    'client-key': { value: 'FILE', summary: 'its key' },
  },
  help: `List the servers under hosts in the configuration, as for \`up\`; their etcd must
run under systemd. --plan says what stands against it, and changes nothing.

Example: npx zx scripts/adopt.ts --plan`,
  act: async (cluster, flags) => {
    for (const [one, other] of [
      ['back', 'drop-old'],
      ['back', 'finish'],
      ['finish', 'drop-old'],
      ['back', 'plan'],
    ] as const)
      oneOf(flags, one, other)
    const [certificate, key] = [flags['client-cert'], flags['client-key']].map((path) => path && resolve(String(path)))
    if (!certificate !== !key) throw new UsageError('--client-cert and --client-key belong together.')
    for (const path of [certificate, key]) if (path) readGiven(path)
    if (cluster.provider !== 'ssh')
      throw new UsageError('Only servers that are reached over ssh can be adopted.', {
        hint: 'List them under hosts, or name an inventory, in the configuration: cluster.example.yaml shows both.',
      })
    if (flags.back) return giveBack(cluster)
    if (flags.finish) return finish(cluster, flags.plan === true)
    if (flags['drop-old']) return dropOld(cluster, flags.plan === true)
    await adopt(cluster, certificate && key ? { certificate, key } : undefined, flags.plan === true)
  },
}
