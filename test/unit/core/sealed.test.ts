// What is sealed is opened by the right key or passphrase alone, and only as it was sealed.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Encrypter, generateIdentity, identityToRecipient } from 'age-encryption'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../tasks/core/errors.ts'
import { open, openFile, publicKeysOf, recipientsIn, sealFile, sumOf } from '../../../tasks/core/sealed.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** By a passphrase that is cheap to try. */
async function cheaplySealed(text: string, passphrase: string): Promise<Uint8Array> {
  const encrypter = new Encrypter()
  encrypter.setScryptWorkFactor(2)
  encrypter.setPassphrase(passphrase)
  return encrypter.encrypt(text)
}

test('the right passphrase opens it; another one does not, nor does it open what was changed', async () => {
  const sealed = await cheaplySealed('content', 'right')
  assert.is(Buffer.from(await open(sealed, { passphrase: 'right' })).toString(), 'content')
  const changed = Uint8Array.from(sealed)
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
  for (const [content, passphrase] of [
    [sealed, 'wrong'],
    [changed, 'right'],
  ] as const) {
    const error = await open(content, { passphrase }).catch((reason: unknown) => reason)
    assert.instance(error, UsageError)
    assert.is(
      (error as Error).message,
      'It cannot be opened: the passphrase is not the right one, or the file is damaged.',
    )
  }
})

test('a file is sealed for several, each of whom opens it as it was sealed, and nobody else', async () => {
  const folder = temporaryFolder()
  const [plain, sealed, opened] = ['plain', 'sealed', 'opened'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const [mine, yours, strange] = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()])
  writeFileSync(plain, Buffer.alloc(200_000, 'etcd'))
  const sum = await sealFile(plain, sealed, await publicKeysOf([mine, yours]))
  assert.equal(sum, await sumOf(sealed))
  assert.is(statSync(sealed).mode & 0o777, 0o600)
  for (const identity of [mine, yours]) {
    assert.equal(await openFile(sealed, opened, [identity]), await sumOf(plain))
    assert.equal(readFileSync(opened), readFileSync(plain))
  }
  const refusal = (identity: string): Promise<unknown> => openFile(sealed, opened, [identity]).catch((reason) => reason)
  assert.instance(await refusal(strange), UsageError)
  const changed = readFileSync(sealed)
  changed[changed.length - 9] = (changed.at(-9) ?? 0) ^ 1
  writeFileSync(sealed, changed)
  assert.match(((await refusal(mine)) as Error).message, 'not the right one, or the file is damaged')
})

test('a disk without room is no wrong key', async () => {
  const folder = temporaryFolder()
  const [plain, sealed] = [join(folder, 'plain'), join(folder, 'sealed')]
  const identity = await generateIdentity()
  writeFileSync(plain, Buffer.alloc(100_000, 'etcd'))
  await sealFile(plain, sealed, await publicKeysOf([identity]))
  const error = await openFile(sealed, '/dev/full', [identity]).catch((reason: unknown) => reason)
  assert.is((error as NodeJS.ErrnoException).code, 'ENOSPC')
})

test('what is no key is refused before anything is sealed, and a private one is not told back', async () => {
  const [one, other] = [await generateIdentity(), await generateIdentity()]
  const keys = await publicKeysOf([one, other])
  assert.equal(keys, [await identityToRecipient(one), await identityToRecipient(other)])
  assert.equal(recipientsIn(keys.join(',')), keys)
  assert.throws(() => recipientsIn('age1x'), /^That is no recipient of age: one begins with age1…, not age1x\.$/)
  assert.throws(
    () => publicKeysOf(['SECRET']),
    (error: Error) => !error.message.includes('SECRET,'),
  )
})

test.run()
