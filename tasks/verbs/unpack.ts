import { resolve } from 'node:path'
import { oneOf, planFlag } from '../core/flags.ts'
import { passphrase } from '../core/prompt.ts'
import type { Verb } from '../core/script.ts'
import { identitiesIn } from '../core/sealed.ts'
import { unpack } from '../operations/unpack.ts'

export const verb: Verb = {
  name: 'unpack',
  summary: 'Put in place what pack took of a cluster: this machine works on it from then on.',
  writes: true,
  byRecord: true,
  evenHalfDone: true,
  words: { usage: 'FILE', least: 1, most: 1 },
  flags: {
    identity: { value: 'FILE', summary: 'the key that opens it, as age-keygen wrote it' },
    'passphrase-file': { value: 'FILE', summary: 'its first line is the passphrase (default: you are asked)' },
    ...planFlag,
  },
  help: 'Example: npx zx scripts/unpack.ts /media/usb/etcd.age && npx zx scripts/verify.ts',
  act: (cluster, flags, [path = '']) => {
    oneOf(flags, 'identity', 'passphrase-file')
    const { identity, 'passphrase-file': file, plan } = flags
    const by = async () =>
      identity
        ? { identities: identitiesIn(String(identity)) }
        : { passphrase: await passphrase(file as string | undefined, false) }
    return unpack(cluster, resolve(path), by, plan === true)
  },
}
