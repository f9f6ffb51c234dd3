// What tasks/pki/authority.ts promises: an authority is made once, opened only when needed, and never overwritten.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { OperationError } from '../../../tasks/core/errors.ts'
import { lostKey, whyNotIssued } from '../../../tasks/etcd/authority-key.ts'
import { authorityFiles, leaves } from '../../../tasks/etcd/certificates.ts'
import { ensureAuthority } from '../../../tasks/pki/authority.ts'
import { ensureCertificates, requireKey } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'

test.before.each(() => {
  delete process.env.HA_ETCD_CA_PASSPHRASE
})

async function ready(passphrase = ''): Promise<Cluster> {
  process.env.HA_ETCD_CA_PASSPHRASE = passphrase
  const cluster = testCluster({ masters: 1 })
  await ensureCertificates(cluster)
  delete process.env.HA_ETCD_CA_PASSPHRASE
  return cluster
}

/** Everything below certs/<cluster>/: content, inode and times. */
function everything(cluster: Cluster): Record<string, string> {
  const files = readdirSync(cluster.paths.certs, { recursive: true, encoding: 'utf8' }).map(
    (name) => [name, join(cluster.paths.certs, name)] as const,
  )
  return Object.fromEntries(
    files.map(([name, path]) => {
      const { ino, mtimeMs, mode } = statSync(path)
      return [name, `${ino} ${mtimeMs} ${mode} ${statSync(path).isFile() ? readFileSync(path, 'utf8') : ''}`]
    }),
  )
}

/** The refusal: one sentence, a hint, and not a file touched. */
async function refusal(cluster: Cluster): Promise<OperationError> {
  const before = everything(cluster)
  const error = await ensureCertificates(cluster).then(
    () => undefined,
    (reason) => reason,
  )
  assert.instance(error, OperationError)
  assert.ok(!error.message.includes('\n'), error.message)
  assert.ok(error.more.hint, 'it says what to do')
  assert.equal(everything(cluster), before)
  return error
}

test('an authority is made where there is nothing, and kept', async () => {
  const cluster = testCluster()
  assert.ok((await ensureAuthority(cluster)).created)
  assert.equal(readdirSync(cluster.paths.certs).sort(), ['ca.crt', 'ca.key'])
  const before = everything(cluster)
  assert.not.ok((await ensureAuthority(cluster)).created)
  assert.equal(everything(cluster), before)
})

test('a key without its certificate is refused', async () => {
  const cluster = testCluster()
  await ensureAuthority(cluster)
  rmSync(authorityFiles(cluster).certificate)
  const { message, more } = await refusal(cluster)
  assert.is(
    message,
    `The authority's key ${authorityFiles(cluster).key} is there, but its certificate ca.crt is missing.`,
  )
  assert.match(more.hint ?? '', `Put ${cluster.paths.certs} back from your copy.`)
})

test('a certificate without its key is enough while nothing must be issued', async () => {
  const cluster = await ready()
  rmSync(authorityFiles(cluster).key)
  const before = everything(cluster)
  assert.equal((await ensureCertificates(cluster)).issued, [])
  assert.equal(everything(cluster), before)
})

test('a certificate without its key is refused when something must be issued', async () => {
  const cluster = await ready()
  rmSync(authorityFiles(cluster).key)
  const due = await refusal({ ...cluster, pki: { ...cluster.pki, extraSans: ['etcd.example.com'] } })
  assert.match(due.message, 'ca.key is missing: no certificate can be issued without it.')
  assert.not.match(due.more.hint ?? '', '--from-hosts')
  rmSync(join(cluster.paths.certs, 'etcd-client.crt'))
  assert.match((await refusal(cluster)).more.hint ?? '', /the hosts what they have: .*--from-hosts.*rotate-ca\.ts/)
})

test('a verb asks for the key before it begins, where something is to be issued', async () => {
  const cluster = await ready()
  rmSync(authorityFiles(cluster).key)
  requireKey(cluster)
  const more = { ...cluster, hosts: testCluster({ masters: 5 }).hosts }
  for (const ask of [() => requireKey(cluster, () => true), () => requireKey(more)])
    assert.throws(ask, (error: Error) => error.message.includes(`key ${authorityFiles(cluster).key} is missing`))
})

test('a lost key is told where certificates are due, and only there', async () => {
  const cluster = await ready()
  const [key, due] = [authorityFiles(cluster).key, join(cluster.paths.certs, 'master01/server.crt')]
  rmSync(due)
  assert.is(lostKey(cluster), undefined)
  await ensureCertificates(cluster)
  rmSync(key)
  assert.is(lostKey(cluster), undefined)
  rmSync(due)
  assert.is(lostKey(cluster)?.code, 'no-authority-key')
})

test('no new authority is made beside certificates of an old one', async () => {
  const cluster = await ready()
  rmSync(authorityFiles(cluster).key)
  rmSync(authorityFiles(cluster).certificate)
  const { message, more } = await refusal(cluster)
  assert.match(
    message,
    'certificates it signed are there (master01/server.crt): a new authority would part the cluster from its hosts.',
  )
  assert.match(more.hint ?? '', `move ${cluster.paths.certs} aside`)
})

test("another cluster's authority is refused", async () => {
  const [cluster, other] = [await ready(), testCluster({ name: 'other-cluster' })]
  await ensureAuthority(other)
  for (const file of ['certificate', 'key'] as const)
    writeFileSync(authorityFiles(cluster)[file], readFileSync(authorityFiles(other)[file]))
  assert.match(
    (await refusal(cluster)).message,
    'is not the authority of cluster test-cluster: it is O=other-cluster, CN=etcd-ca.',
  )
})

test('damaged files are refused by name, and a key of another authority is', async () => {
  const cluster = await ready()
  const { certificate, key } = authorityFiles(cluster)
  const good = readFileSync(certificate)
  writeFileSync(certificate, 'garbage')
  assert.is((await refusal(cluster)).message, `${certificate} is not a readable certificate.`)
  writeFileSync(certificate, good)
  writeFileSync(key, 'garbage')
  assert.is((await refusal(cluster)).message, `The authority's key ${key} is not a readable private key.`)
  writeFileSync(key, readFileSync(join(cluster.paths.certs, 'etcd-client.key')))
  assert.is((await refusal(cluster)).message, `The authority's key ${key} is not the key of ${certificate}.`)
})

test('with a passphrase the key is kept encrypted, and opens with it', async () => {
  const cluster = await ready('open sesame')
  assert.match(readFileSync(authorityFiles(cluster).key, 'utf8'), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/)
  rmSync(join(cluster.paths.certs, 'etcd-client.crt'))
  process.env.HA_ETCD_CA_PASSPHRASE = 'open sesame'
  assert.equal((await ensureCertificates(cluster)).issued, [{ path: 'etcd-client.crt', reason: 'missing' }])
})

test('no leaf key is encrypted: etcd could not read it', async () => {
  const cluster = await ready('open sesame')
  for (const { key } of leaves(cluster)) assert.match(readFileSync(key, 'utf8'), /^-----BEGIN PRIVATE KEY-----/)
})

test('the passphrase is asked for only when something must be issued', async () => {
  const cluster = await ready('open sesame')
  assert.equal((await ensureCertificates(cluster)).issued, [])
  process.env.HA_ETCD_CA_PASSPHRASE = 'wrong'
  assert.equal((await ensureCertificates(cluster)).issued, [])
})

test('a missing passphrase is one clear sentence, a wrong one another', async () => {
  const cluster = await ready('open sesame')
  rmSync(join(cluster.paths.certs, 'etcd-client.crt'))
  const { key } = authorityFiles(cluster)
  assert.is((await refusal(cluster)).message, `${key} is encrypted, and HA_ETCD_CA_PASSPHRASE is not set.`)
  process.env.HA_ETCD_CA_PASSPHRASE = 'wrong'
  assert.match((await refusal(cluster)).message, `HA_ETCD_CA_PASSPHRASE does not open ${key}: the passphrase is wrong`)
  assert.equal([whyNotIssued(cluster)?.code, lostKey(cluster)], ['authority-key-closed', undefined])
})

test('a passphrase does no harm where the key is plain', async () => {
  const cluster = await ready()
  rmSync(join(cluster.paths.certs, 'etcd-client.crt'))
  process.env.HA_ETCD_CA_PASSPHRASE = 'open sesame'
  assert.is((await ensureCertificates(cluster)).issued.length, 1)
})

test('an authority near its end is a warning, and does not renew the leaves at every run', async () => {
  const cluster = testCluster({ pki: { caDays: 20, leafDays: 20 } })
  await ensureCertificates(cluster)
  const { authority, issued } = await ensureCertificates(cluster)
  assert.match(authority.warning ?? '', /^The authority of cluster test-cluster expires in (19|20) days/)
  assert.equal(issued, [])
  assert.is((await ensureAuthority(await ready())).warning, undefined)
})

test('a kill while the authority was made leaves nothing that the next run cannot go on from', async () => {
  const before = testCluster()
  await ensureAuthority(before)
  const { certificate, key } = authorityFiles(before)
  renameSync(key, `${key}.new`) // killed before the last step: the same authority goes on
  const made = readFileSync(certificate, 'utf8')
  assert.is((await ensureCertificates(before)).issued.length, 7)
  assert.is(readFileSync(certificate, 'utf8'), made)
  assert.not.ok(existsSync(`${key}.new`))
  const earlier = testCluster()
  await ensureAuthority(earlier)
  renameSync(authorityFiles(earlier).key, `${authorityFiles(earlier).key}.new`)
  rmSync(authorityFiles(earlier).certificate) // killed before ca.crt: nothing had been signed, a new one is made
  assert.ok((await ensureCertificates(earlier)).authority.created)
})

test.run()
