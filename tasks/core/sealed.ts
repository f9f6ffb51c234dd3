// What is to leave this machine is sealed with age (https://age-encryption.org/v1): who has the key, or knows the
// passphrase, opens it, with the program age as well.
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { Decrypter, Encrypter, identityToRecipient } from 'age-encryption'
import { UsageError } from './errors.ts'
import { readGiven } from './files.ts'
import { run } from './run.ts'

/** Whoever is to open it: public keys (age1…), or who knows the passphrase. */
export type Seal = { recipients: string[] } | { passphrase: string }
/** Private keys (AGE-SECRET-KEY-1…), or the passphrase. */
export type Opener = { identities: string[] } | { passphrase: string }

/** @throws UsageError for what is no recipient */
export const seal = async (content: Uint8Array, by: Seal): Promise<Uint8Array> => encrypterFor(by).encrypt(content)

/** For a value of --recipient. @throws UsageError for what is no recipient */
export function recipientsIn(text: string): string[] {
  const recipients = text.split(',').map((key) => key.trim())
  encrypterFor({ recipients })
  return recipients
}

function encrypterFor(by: Seal): Encrypter {
  const encrypter = new Encrypter()
  if ('passphrase' in by) encrypter.setPassphrase(by.passphrase)
  else for (const one of by.recipients) addTo('recipient', 'age1…', one, (key) => encrypter.addRecipient(key))
  return encrypter
}

/** What a file is known by: its length in bytes, and its SHA-256. */
export interface Sum {
  sizeBytes: number
  sha256: string
}

/** Seals a file of any size, for this user alone to read. @returns the sum of what was written */
export async function sealFile(from: string, to: string, recipients: string[]): Promise<Sum> {
  const sealed = await encrypterFor({ recipients }).encrypt(Readable.toWeb(createReadStream(from)) as WebStream)
  return written(Readable.fromWeb(sealed as ReadableStream), to)
}

/** Opens what sealFile made. @throws UsageError where it does not open it, or it was changed since it was sealed */
export async function openFile(from: string, to: string, identities: string[]): Promise<Sum> {
  const decrypter = decrypterBy({ identities })
  try {
    const opened = await decrypter.decrypt(Readable.toWeb(createReadStream(from)) as WebStream)
    return await written(Readable.fromWeb(opened as ReadableStream), to)
  } catch (error) {
    if (isOfSystem(error)) throw error
    run().throwIfStopped()
    throw notOpened('identity')
  }
}

type WebStream = globalThis.ReadableStream<Uint8Array>

/** A full disk, say, is no wrong key. */
const isOfSystem = (error: unknown): boolean => typeof (error as NodeJS.ErrnoException).syscall === 'string'

async function written(content: Readable, to: string): Promise<Sum> {
  const sum = summing()
  await pipeline(content, sum.through, createWriteStream(to, { mode: 0o600, flush: true }), { signal: run().signal })
  return sum.done()
}

/** The sum of a file that is there. */
export async function sumOf(file: string): Promise<Sum> {
  const sum = summing()
  for await (const _ of createReadStream(file).pipe(sum.through));
  return sum.done()
}

function summing(): { through: Transform; done: () => Sum } {
  const hash = createHash('sha256')
  let sizeBytes = 0
  const through = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk)
      sizeBytes += chunk.length
      next(null, chunk)
    },
  })
  return { through, done: () => ({ sizeBytes, sha256: hash.digest('hex') }) }
}

/** The private keys in a file, as age-keygen writes it: a line each, and comments. @throws UsageError */
export const identitiesIn = (file: string): string[] =>
  readGiven(file)
    .toString()
    .split(/\r?\n/)
    .filter((line) => line !== '' && !line.startsWith('#'))

/** The public keys of these private ones. @throws UsageError for what is none */
export const publicKeysOf = (identities: string[]): Promise<string[]> => {
  decrypterBy({ identities })
  return Promise.all(identities.map((one) => identityToRecipient(one)))
}

/** @throws UsageError for what is no identity; where it does not open it, or it was changed since it was sealed */
export async function open(content: Uint8Array, by: Opener): Promise<Uint8Array> {
  const decrypter = decrypterBy(by)
  try {
    return await decrypter.decrypt(content)
  } catch {
    throw notOpened('passphrase' in by ? 'passphrase' : 'identity')
  }
}

function decrypterBy(by: Opener): Decrypter {
  const decrypter = new Decrypter()
  if ('passphrase' in by) decrypter.addPassphrase(by.passphrase)
  else for (const one of by.identities) addTo('identity', 'AGE-SECRET-KEY-1…', one, (key) => decrypter.addIdentity(key))
  return decrypter
}

const notOpened = (what: string): UsageError =>
  new UsageError(`It cannot be opened: the ${what} is not the right one, or the file is damaged.`)

/** An identity is a secret: it is not told back. */
function addTo(what: string, begins: string, key: string, add: (key: string) => void): void {
  try {
    add(key)
  } catch {
    if (what === 'recipient' && /^AGE-SECRET-KEY-/i.test(key))
      throw new UsageError('That is a private key. Name the public one that age-keygen printed with it (age1…).')
    throw new UsageError(
      `That is no ${what} of age: one begins with ${begins}${what === 'identity' ? '' : `, not ${key}`}.`,
    )
  }
}
