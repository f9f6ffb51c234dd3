// What is sealed is opened by the right key or passphrase alone, and only as it was sealed.
import { Encrypter } from 'age-encryption'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../tasks/core/errors.ts'
import { open } from '../../../tasks/core/sealed.ts'

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

test.run()
