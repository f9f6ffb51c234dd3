import { resolve } from 'node:path'
import { oneOf, planFlag } from '../core/flags.ts'
import { passphrase } from '../core/prompt.ts'
import { today } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { stamp } from '../core/terminal.ts'
import { pack } from '../operations/pack.ts'

export const verb: Verb = {
  name: 'pack',
  summary: 'Put all that this machine alone knows of a cluster into one sealed file.',
  needsCluster: true,
  writes: true,
  byRecord: true,
  evenHalfDone: true,
  words: { usage: '[FILE]', least: 0, most: 1 },
  flags: {
    recipient: { value: 'KEY', summary: 'whose key opens it, as age-keygen says (age1…); several: with commas' },
    'passphrase-file': { value: 'FILE', summary: 'its first line is the passphrase (default: you are asked)' },
    ...planFlag,
  },
  help: `FILE: default NAME-TIME.age, in the folder that you are in.

In it are certs/NAME, keys too, what is recorded of the cluster, and the configuration where it lies
beside them. The members' data is not: see backup.

Example: npx zx scripts/pack.ts /media/usb/etcd.age
On the other machine: npx zx scripts/unpack.ts /media/usb/etcd.age`,
  act: (cluster, flags, [path]) => {
    oneOf(flags, 'recipient', 'passphrase-file')
    const { recipient, 'passphrase-file': file, plan } = flags
    const by = async () =>
      recipient
        ? { recipients: String(recipient).split(',') }
        : { passphrase: await passphrase(file as string | undefined, true) }
    return pack(cluster, resolve(path ?? `${cluster.name}-${stamp(today())}.age`), by, plan === true)
  },
}
