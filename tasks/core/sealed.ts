// What is to leave this machine is sealed with age (https://age-encryption.org/v1): who has the key, or knows the
// passphrase, opens it, with the program age as well.
import { Decrypter, Encrypter } from 'age-encryption'
import { UsageError } from './errors.ts'

/** Whoever is to open it: public keys (age1…), or who knows the passphrase. */
export type Seal = { recipients: string[] } | { passphrase: string }
/** Private keys (AGE-SECRET-KEY-1…), or the passphrase. */
export type Opener = { identities: string[] } | { passphrase: string }

/** @throws UsageError for what is no recipient */
export async function seal(content: Uint8Array, by: Seal): Promise<Uint8Array> {
  const encrypter = new Encrypter()
  if ('passphrase' in by) encrypter.setPassphrase(by.passphrase)
  else for (const one of by.recipients) addTo('recipient', 'age1…', one, (key) => encrypter.addRecipient(key))
  return encrypter.encrypt(content)
}

/** @throws UsageError for what is no identity; where it does not open it, or it was changed since it was sealed */
export async function open(content: Uint8Array, by: Opener): Promise<Uint8Array> {
  const decrypter = new Decrypter()
  if ('passphrase' in by) decrypter.addPassphrase(by.passphrase)
  else for (const one of by.identities) addTo('identity', 'AGE-SECRET-KEY-1…', one, (key) => decrypter.addIdentity(key))
  try {
    return await decrypter.decrypt(content)
  } catch {
    const what = 'passphrase' in by ? 'passphrase' : 'identity'
    throw new UsageError(`It cannot be opened: the ${what} is not the right one, or the file is damaged.`)
  }
}

/** An identity is a secret: it is not told back. */
function addTo(what: string, begins: string, key: string, add: (key: string) => void): void {
  try {
    add(key)
  } catch {
    throw new UsageError(
      `That is no ${what} of age: one begins with ${begins}${what === 'identity' ? '' : `, not ${key}`}.`,
    )
  }
}
