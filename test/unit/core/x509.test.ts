// What tasks/core/x509.ts promises: certificates that openssl's strict rules accept, whatever keys sign whatever keys.
import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../tasks/core/errors.ts'
import {
  type Authority,
  day,
  issueLeaf,
  keyAlgorithmOf,
  keyToPem,
  makeAuthority,
  makeKeyPair,
  type Profile,
} from '../../../tasks/core/x509.ts'
import { temporaryFolder } from '../../support/folder.ts'

const folder = temporaryFolder()
const subject = { organization: 'test-cluster', commonName: 'test-ca' }
const profile: Profile = {
  organization: 'test-cluster',
  commonName: 'test-leaf',
  sans: ['localhost', '127.0.0.1', '::1', '*.etcd.example', '::ffff:10.0.0.1'],
  usages: ['serverAuth', 'clientAuth'],
  ends: 365,
}
const issue = async (...asked: Parameters<typeof issueLeaf>): Promise<X509Certificate> =>
  new X509Certificate(await issueLeaf(...asked))
const keys = { 'ecdsa-p256': await makeKeyPair('ecdsa-p256'), 'rsa-2048': await makeKeyPair('rsa-2048') }
const authorities = {
  'ecdsa-p256': await makeAuthority(keys['ecdsa-p256'], subject, 3650),
  'rsa-2048': await makeAuthority(keys['rsa-2048'], subject, 3650),
}
const kinds = ['ecdsa-p256', 'rsa-2048'] as const

const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' })
const text = (certificate: X509Certificate): string =>
  openssl('x509', '-noout', '-text', '-in', file('text.crt', certificate))

function file(name: string, certificate: X509Certificate): string {
  const path = join(folder, name)
  writeFileSync(path, certificate.toString())
  return path
}

function verifyStrictly(authority: Authority, leaf: X509Certificate): void {
  const ca = file('ca.crt', authority.certificate)
  assert.is(
    openssl('verify', '-x509_strict', '-CAfile', ca, file('leaf.crt', leaf)),
    `${join(folder, 'leaf.crt')}: OK\n`,
  )
}

for (const ca of kinds) {
  for (const leaf of kinds) {
    test(`openssl accepts an ${leaf} leaf under an ${ca} authority under its strict rules`, async () => {
      const { publicKey, privateKey } = await makeKeyPair(leaf)
      const certificate = await issue(authorities[ca], publicKey, profile)
      verifyStrictly(authorities[ca], certificate)
      assert.ok(certificate.checkPrivateKey(privateKey))
      assert.is(keyAlgorithmOf(certificate.publicKey), leaf)
      assert.match(
        text(certificate),
        ca === 'rsa-2048' ? 'Signature Algorithm: sha256WithRSAEncryption' : 'Signature Algorithm: ecdsa-with-SHA256',
      )
      assert.match(
        text(certificate),
        leaf === 'rsa-2048'
          ? /Key Usage: critical\s+Digital Signature, Key Encipherment\n/
          : /Key Usage: critical\s+Digital Signature\n/,
      )
    })
  }
}

test('an authority is self-signed, for signing only, and has no authorities below it', () => {
  const { certificate } = authorities['ecdsa-p256']
  verifyStrictly(authorities['ecdsa-p256'], certificate)
  assert.match(text(certificate), /Basic Constraints: critical\s+CA:TRUE, pathlen:0/)
  assert.match(text(certificate), /Key Usage: critical\s+Certificate Sign, CRL Sign\n/)
  const [subjectKey, authorityKey] = ['Subject', 'Authority'].map(
    (whose) => new RegExp(`${whose} Key Identifier: \\s+([0-9A-F:]{59})`).exec(text(certificate))?.[1],
  )
  assert.ok(subjectKey)
  assert.is(subjectKey, authorityKey)
})

test('a leaf says exactly what was asked', async () => {
  const leaf = text(await issue(authorities['ecdsa-p256'], keys['ecdsa-p256'].publicKey, profile))
  assert.match(leaf, /Subject: O ?= ?test-cluster, CN ?= ?test-leaf/)
  assert.match(
    leaf,
    'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:*.etcd.example, IP ' +
      'Address:0:0:0:0:0:FFFF:A00:1\n',
  )
  assert.match(leaf, /Extended Key Usage: \s+TLS Web Server Authentication, TLS Web Client Authentication\n/)
  assert.match(leaf, /Basic Constraints: critical\s+CA:FALSE/)
})

test('a leaf for clients only has that usage only, and no SANs when none are asked', async () => {
  const leaf = text(
    await issue(authorities['ecdsa-p256'], keys['ecdsa-p256'].publicKey, {
      ...profile,
      sans: [],
      usages: ['clientAuth'],
    }),
  )
  assert.match(leaf, /Extended Key Usage: \s+TLS Web Client Authentication\n/)
  assert.not.match(leaf, 'Alternative Name')
})

test('serial numbers are positive, of 128 bits, and differ', async () => {
  const certificates = await Promise.all(
    Array.from({ length: 50 }, () => issue(authorities['ecdsa-p256'], keys['ecdsa-p256'].publicKey, profile)),
  )
  const serials = certificates.map(({ serialNumber }) => serialNumber)
  for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/)
  assert.is(new Set(serials).size, 50)
})

test('a certificate begins a little in the past and lasts as long as asked', async () => {
  const { validFrom, validTo } = await issue(authorities['ecdsa-p256'], keys['ecdsa-p256'].publicKey, profile)
  const minutesAgo = (Date.now() - Date.parse(validFrom)) / 60_000
  assert.ok(minutesAgo >= 4.9 && minutesAgo < 6, `began ${minutesAgo} minutes ago`)
  assert.ok(Math.abs(Date.parse(validTo) - Date.now() - 365 * day) < 60_000, validTo)
})

test('an expired certificate can be made, and openssl finds nothing wrong with it but that', async () => {
  const certificate = await issue(authorities['ecdsa-p256'], keys['ecdsa-p256'].publicKey, {
    ...profile,
    ends: new Date(Date.now() - day),
  })
  const [ca, leaf] = [file('ca.crt', authorities['ecdsa-p256'].certificate), file('leaf.crt', certificate)]
  assert.throws(() => openssl('verify', '-x509_strict', '-CAfile', ca, leaf), /certificate has expired/)
  assert.match(openssl('verify', '-x509_strict', '-no_check_time', '-CAfile', ca, leaf), 'OK')
})

test('a leaf never outlives its authority', async () => {
  const authority = await makeAuthority(keys['ecdsa-p256'], subject, 10)
  const leaf = await issue(authority, keys['ecdsa-p256'].publicKey, profile)
  assert.is(leaf.validTo, authority.certificate.validTo)
})

test('dates after 2049 are written right', async () => {
  const authority = await makeAuthority(keys['ecdsa-p256'], subject, 36500)
  const leaf = await issue(authority, keys['ecdsa-p256'].publicKey, { ...profile, ends: 36500 })
  verifyStrictly(authority, leaf)
  assert.is(new Date(leaf.validTo).getFullYear(), new Date(Date.now() + 36500 * day).getFullYear())
})

for (const san of ['10.0.0.300', '10.0.0', '1:2', 'fe80::1%eth0', 'two words', 'a,b', 'bücher.example', '', '*.']) {
  test(`${JSON.stringify(san)} is refused as a SAN`, async () => {
    const error = await issue(authorities['ecdsa-p256'], keys['ecdsa-p256'].publicKey, {
      ...profile,
      sans: ['localhost', san],
    }).then(
      () => undefined,
      (reason) => reason,
    )
    assert.instance(error, UsageError)
    assert.match(error.message, `${san} is neither a DNS name nor an IP address`)
  })
}

test('a key pair is of the kind and size that was asked for', async () => {
  for (const kind of kinds) assert.is(keyAlgorithmOf(keys[kind].publicKey), kind)
  assert.is(keyAlgorithmOf((await makeKeyPair('rsa-3072')).publicKey), 'rsa-3072')
})

test('a key is written as PKCS#8, and encrypted when there is a passphrase', () => {
  const { privateKey } = keys['ecdsa-p256']
  assert.match(keyToPem(privateKey), /^-----BEGIN PRIVATE KEY-----\n/)
  const encrypted = keyToPem(privateKey, 'open sesame')
  assert.match(encrypted, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/)
  assert.ok(createPrivateKey({ key: encrypted, passphrase: 'open sesame' }).equals(privateKey))
  assert.throws(() => createPrivateKey({ key: encrypted, passphrase: 'close sesame' }))
})

test.run()
