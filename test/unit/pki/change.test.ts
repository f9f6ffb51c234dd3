// What tasks/pki/change.ts promises: at every moment the files say who is trusted and who issues, and a kill leaves one
// of these moments.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { keyToPem, makeAuthority, makeKeyPair } from '../../../tasks/core/x509.ts'
import { authorityWarning, changeStage, readOther } from '../../../tasks/etcd/authority-change.ts'
import { readAuthority } from '../../../tasks/etcd/authority-key.ts'
import {
  authorityCertificate,
  authoritySubject,
  certificateReport,
  leaves,
  reasonToIssue,
  trustedAuthorities,
} from '../../../tasks/etcd/certificates.ts'
import {
  ensureCertificates,
  forgetNext,
  forgetOld,
  issueFromNext,
  issueFromOld,
  leaveAtOnce,
  renewLeaves,
  trustIssuerOnly,
  trustNext,
} from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'

const below = (cluster: Cluster, name: string): string => join(cluster.paths.certs, name)
const text = (cluster: Cluster, name: string): string => readFileSync(below(cluster, name), 'utf8')
const serials = (cluster: Cluster): string[] => trustedAuthorities(cluster).map(({ serialNumber }) => serialNumber)
const issuer = (cluster: Cluster): string => authorityCertificate(cluster)?.serialNumber ?? ''

test.before.each(() => {
  delete process.env.HA_ETCD_CA_PASSPHRASE
})

async function ready(keyAlgorithm: Cluster['pki']['keyAlgorithm'] = 'ecdsa-p256'): Promise<Cluster> {
  const cluster = testCluster({ masters: 1, pki: { keyAlgorithm } })
  await ensureCertificates(cluster)
  return cluster
}

function requireStrictlyValid(cluster: Cluster): void {
  for (const { certificate } of leaves(cluster))
    assert.match(
      execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', below(cluster, 'ca.crt'), certificate], {
        encoding: 'utf8',
      }),
      ': OK',
    )
}

test(
  'forward: both are trusted, then the new one issues, then it is the only one; every leaf is ' +
    'valid by ca.crt at each stage',
  async () => {
    const cluster = await ready()
    const old = issuer(cluster)
    const before = text(cluster, 'etcd-client.crt')
    assert.is(changeStage(cluster), undefined)

    await trustNext(cluster)
    const [first, second = ''] = serials(cluster)
    assert.equal(
      [changeStage(cluster), first, issuer(cluster), readOther(cluster).certificate.serialNumber],
      ['trusted', old, old, second],
    )
    assert.is(statSync(below(cluster, 'next-ca.key')).mode & 0o777, 0o600)
    assert.equal((await ensureCertificates(cluster)).issued, [], 'nobody is refused yet, so nothing is due')
    requireStrictlyValid(cluster)
    const bundle = text(cluster, 'ca.crt')

    issueFromNext(cluster)
    assert.equal(
      [changeStage(cluster), issuer(cluster), readOther(cluster).certificate.serialNumber],
      ['issuing', second, old],
    )
    requireStrictlyValid(cluster)
    const { issued } = await ensureCertificates(cluster)
    assert.equal(
      [issued.length, new Set(issued.map(({ reason }) => reason))],
      [3, new Set(["not signed by the cluster's authority"])],
    )
    assert.is.not(text(cluster, 'etcd-client.crt'), before)
    requireStrictlyValid(cluster)
    assert.is(text(cluster, 'ca.crt'), bundle, 'hosts need no restart to get the new leaves')

    trustIssuerOnly(cluster)
    assert.equal([changeStage(cluster), serials(cluster), issuer(cluster)], ['leaving', [second], second])
    requireStrictlyValid(cluster)
    writeFileSync(below(cluster, 'past.crt'), before)
    assert.throws(() =>
      execFileSync('openssl', ['verify', '-CAfile', below(cluster, 'ca.crt'), below(cluster, 'past.crt')], {
        stdio: 'pipe',
      }),
    )
    forgetOld(cluster)
    assert.equal(
      [changeStage(cluster), existsSync(below(cluster, 'next-ca.key')), existsSync(below(cluster, 'old-ca.crt'))],
      [undefined, false, false],
    )
    assert.is(readAuthority(cluster).certificate.serialNumber, second, 'ca.key is the new one’s')
    assert.equal((await ensureCertificates(cluster)).issued, [])
  },
)

test('back: the old one issues again, and nothing of the new one is left', async () => {
  const cluster = await ready()
  const [certificate, key] = [text(cluster, 'ca.crt'), text(cluster, 'ca.key')]
  await trustNext(cluster)
  issueFromNext(cluster)
  await ensureCertificates(cluster)
  issueFromOld(cluster)
  assert.is(changeStage(cluster), 'trusted')
  assert.is((await ensureCertificates(cluster)).issued.length, 3)
  trustIssuerOnly(cluster)
  assert.is(changeStage(cluster), 'made')
  forgetNext(cluster)
  assert.equal([changeStage(cluster), text(cluster, 'ca.crt'), text(cluster, 'ca.key')], [undefined, certificate, key])
  requireStrictlyValid(cluster)
})

test('two authorities of one name are told apart by their keys, RSA ones, too', async () => {
  for (const algorithm of ['ecdsa-p256', 'rsa-2048'] as const) {
    const cluster = await ready(algorithm)
    await trustNext(cluster)
    const [old, next] = trustedAuthorities(cluster)
    assert.is(old?.subject, next?.subject)
    for (const leaf of leaves(cluster)) {
      assert.is(reasonToIssue(leaf, old as never, cluster.pki), undefined)
      assert.is(reasonToIssue(leaf, next as never, cluster.pki), "not signed by the cluster's authority")
    }
  }
})

test('an authority that has expired is left at once: the next one issues, and both are trusted', async () => {
  const cluster = await ready()
  const keys = await makeKeyPair('ecdsa-p256')
  const { certificate } = await makeAuthority(keys, authoritySubject(cluster), -1)
  writeFileSync(below(cluster, 'ca.crt'), certificate.toString())
  writeFileSync(below(cluster, 'ca.key'), keyToPem(keys.privateKey))
  assert.is(changeStage(cluster), undefined)
  await leaveAtOnce(cluster)
  assert.equal([changeStage(cluster), serials(cluster)[0]], ['issuing', certificate.serialNumber])
  assert.not.equal(issuer(cluster), certificate.serialNumber)
  assert.is((await renewLeaves(cluster, (_, due) => due)).length, 3)
  requireStrictlyValid(cluster)
  trustIssuerOnly(cluster)
  forgetOld(cluster)
  assert.equal([changeStage(cluster), serials(cluster)], [undefined, [issuer(cluster)]])
})

test('each function, called again, changes nothing', async () => {
  const cluster = await ready()
  const files = (): string[] =>
    ['ca.crt', 'ca.key', 'next-ca.key', 'old-ca.crt'].map((name) =>
      existsSync(below(cluster, name)) ? text(cluster, name) : '',
    )
  for (const act of [trustNext, issueFromNext, trustIssuerOnly, forgetOld]) {
    await act(cluster)
    const once = files()
    if (act !== forgetOld) await trustNext(cluster) // nor does a step that is past
    await act(cluster)
    assert.equal(files(), once, act.name)
  }
})

test('killed while the next authority was made: its key alone counts for nothing; another is made', async () => {
  const cluster = await ready()
  const one = text(cluster, 'ca.crt')
  await trustNext(cluster)
  writeFileSync(below(cluster, 'ca.crt'), one)
  const orphan = text(cluster, 'next-ca.key')
  assert.equal([changeStage(cluster), (await ensureCertificates(cluster)).issued], ['made', []])
  await trustNext(cluster)
  assert.is(changeStage(cluster), 'trusted')
  assert.is.not(text(cluster, 'next-ca.key'), orphan)
  readOther(cluster)
})

test('killed while the old one was forgotten: the key is in its place, and the rest is made up for', async () => {
  const cluster = await ready()
  await trustNext(cluster)
  issueFromNext(cluster)
  trustIssuerOnly(cluster)
  renameSync(below(cluster, 'next-ca.key'), below(cluster, 'ca.key'))
  assert.is(changeStage(cluster), 'leaving')
  readAuthority(cluster)
  forgetOld(cluster)
  assert.is(changeStage(cluster), undefined)
  readAuthority(cluster)
})

test('an authority whose key is lost can be left', async () => {
  const cluster = await ready()
  rmSync(below(cluster, 'ca.key'))
  await trustNext(cluster)
  assert.throws(() => readAuthority(cluster), /ca\.key is missing/)
  issueFromNext(cluster)
  assert.is((await ensureCertificates(cluster)).issued.length, 3)
  trustIssuerOnly(cluster)
  forgetOld(cluster)
  readAuthority(cluster)
})

test('an authority of a change whose files were lost here stays trusted until another one has issued', async () => {
  const cluster = await ready()
  await trustNext(cluster)
  const [, orphan = ''] = serials(cluster)
  rmSync(below(cluster, 'next-ca.key'))
  assert.is(changeStage(cluster), undefined)
  await trustNext(cluster)
  assert.equal([changeStage(cluster), serials(cluster)[2]], ['trusted', orphan])
  issueFromNext(cluster)
  assert.equal([issuer(cluster), serials(cluster).length], [serials(cluster)[1], 3])
  trustIssuerOnly(cluster)
  assert.equal(serials(cluster), [issuer(cluster)])
})

test('with a passphrase the next key is encrypted by it, and the old key stays closed', async () => {
  process.env.HA_ETCD_CA_PASSPHRASE = 'old words'
  const cluster = await ready()
  process.env.HA_ETCD_CA_PASSPHRASE = 'new words'
  await trustNext(cluster)
  assert.match(text(cluster, 'next-ca.key'), /^-----BEGIN ENCRYPTED/)
  issueFromNext(cluster)
  assert.is((await ensureCertificates(cluster)).issued.length, 3)
  assert.throws(() => readOther(cluster), /does not open .*\/ca\.key/)
})

test("what a person put into ca.crt besides stays there, and is taken for nobody's next authority", async () => {
  const cluster = await ready()
  const own = text(cluster, 'ca.crt')
  const { certificate } = await makeAuthority(
    await makeKeyPair('ecdsa-p256'),
    { organization: 'example', commonName: 'other' },
    100,
  )
  writeFileSync(below(cluster, 'ca.crt'), `# ours\n${own}# theirs\n${certificate}`)
  assert.is(changeStage(cluster), undefined)
  writeFileSync(below(cluster, 'next-ca.key'), 'left by a kill')
  assert.is(changeStage(cluster), 'made')
  await trustNext(cluster)
  const [, next = ''] = serials(cluster)
  assert.equal([changeStage(cluster), serials(cluster)[2]], ['trusted', certificate.serialNumber])
  issueFromNext(cluster)
  trustIssuerOnly(cluster)
  forgetOld(cluster)
  assert.equal([serials(cluster), issuer(cluster)], [[next, certificate.serialNumber], next])
})

test('a damaged certificate in ca.crt is refused by name, and the report goes without it', async () => {
  const cluster = await ready()
  writeFileSync(
    below(cluster, 'ca.crt'),
    `${text(cluster, 'ca.crt')}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
  )
  assert.throws(() => authorityCertificate(cluster), /ca\.crt is not a readable certificate/)
  assert.is(certificateReport(cluster).length, 3)
  assert.match(authorityWarning(cluster) ?? '', /not a readable certificate.*Put .* back/)
})

test('a person is told of a change that is under way, and of an end that is near', async () => {
  const cluster = await ready()
  assert.is(authorityWarning(cluster), undefined)
  cluster.pki.renewBeforeDays = 4000
  assert.match(
    authorityWarning(cluster) ?? '',
    /expires in 36\d\d days.*scripts\/rotate-ca\.ts --cluster test-cluster$/,
  )
  await trustNext(cluster)
  assert.match(
    authorityWarning(cluster) ?? '',
    /is being changed.*rotate-ca\.ts --cluster test-cluster; or take it back: .*--back$/,
  )
  assert.is((await ensureCertificates(cluster)).authority.warning, authorityWarning(cluster))
  assert.is(certificateReport(cluster).length, 5, 'both authorities')
})

test('no way back is offered once the old authority cannot issue: its key is lost', async () => {
  const cluster = await ready()
  await trustNext(cluster)
  issueFromNext(cluster)
  assert.match(authorityWarning(cluster) ?? '', '--back')
  rmSync(below(cluster, 'ca.key'))
  assert.match(authorityWarning(cluster) ?? '', /lacks its key\. Finish the change: .*rotate-ca\.ts/)
  assert.not.match(authorityWarning(cluster) ?? '', '--back')
})

test('a key lies open to nobody else while the authority is changed', async () => {
  const cluster = await ready()
  await trustNext(cluster)
  execFileSync('chmod', ['644', below(cluster, 'next-ca.key')])
  assert.equal((await ensureCertificates(cluster)).closed, ['next-ca.key'])
})

test.run()
