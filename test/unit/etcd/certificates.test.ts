// What tasks/etcd/certificates.ts promises: which certificates a cluster has, and the one reason to issue one again.
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { OperationError } from '../../../tasks/core/errors.ts'
import { writeFileAtomic } from '../../../tasks/core/files.ts'
import {
  type Authority,
  day,
  issueLeaf,
  keyToPem,
  makeAuthority,
  makeKeyPair,
  type Profile,
} from '../../../tasks/core/x509.ts'
import { readAuthority, whyKeptOut } from '../../../tasks/etcd/authority-key.ts'
import {
  authorityCertificate,
  authorityFiles,
  authoritySubject,
  certificateReport,
  type Leaf,
  leaves,
  reasonToIssue,
} from '../../../tasks/etcd/certificates.ts'
import { testCluster } from '../../support/cluster.ts'

const keys = await makeKeyPair('ecdsa-p256')
const otherKeys = await makeKeyPair('ecdsa-p256')
const authorityOf = (cluster: Cluster): Promise<Authority> =>
  makeAuthority(keys, authoritySubject(cluster), cluster.pki.caDays)
const cluster = testCluster({ pki: { extraSans: ['Kube-etcd.example', '10.3.0.15', 'fd00::15'] } })
const authority = await authorityOf(cluster)
const [server, peer] = leaves(cluster) as [Leaf, Leaf]
const client = leaves(cluster).at(-1) as Leaf

/** Puts a leaf's files there, as the cluster needs them but for `changes`. */
async function place(leaf: Leaf, changes: Partial<Profile> = {}, signer = authority, pair = keys): Promise<void> {
  const certificate = await issueLeaf(signer, pair.publicKey, { ...leaf, ends: 365, ...changes })
  writeFileAtomic(leaf.key, keyToPem(pair.privateKey), 0o600)
  writeFileAtomic(leaf.certificate, certificate, 0o644)
}

const reason = (leaf: Leaf, asked = cluster.pki, now?: Date): string | undefined =>
  reasonToIssue(leaf, authority.certificate, asked, now)
const isoDay = (fromNow: number): string => new Date(Date.now() + fromNow * day).toISOString().slice(0, 10)

test('a cluster has a server and a peer certificate for each host, and one for clients', () => {
  const shown = leaves(cluster).map(({ title, commonName, usages }) => `${title} ${commonName} ${usages}`)
  const both = 'serverAuth,clientAuth'
  const ofHosts = ['master01', 'master02', 'master03'].flatMap((host) => [
    `${host}/server.crt etcd-server ${both}`,
    `${host}/${host}.crt etcd-peer ${both}`,
  ])
  assert.equal(shown, [...ofHosts, 'etcd-client.crt etcd-client clientAuth'])
  assert.is(server.certificate, `${cluster.paths.certs}/master01/server.crt`)
  assert.is(peer.key, `${cluster.paths.certs}/master01/master01.key`)
})

test('servers and peers are named by their host, its addresses and the extra SANs; each host by its own', () => {
  const expected = [
    'localhost',
    'master01',
    '127.0.0.1',
    '::1',
    '127.77.0.101',
    'Kube-etcd.example',
    '10.3.0.15',
    'fd00::15',
  ]
  assert.equal(server.sans, expected)
  assert.equal(peer.sans, expected)
  assert.equal(client.sans, [])
  assert.equal(leaves(cluster)[2]?.sans.slice(1, 5), ['master02', '127.0.0.1', '::1', '127.77.0.102'])
})

test('local hosts on IPv6 are named by all addresses of theirs: they dial one another from these', () => {
  const own = testCluster({ subnet: 'fd00:10:20::/64' })
  const sans = leaves(own)[0]?.sans ?? []
  for (const last of [101, 102, 109]) assert.ok(sans.includes(`fd00:10:20::${last}`))
  assert.not(leaves({ ...own, provider: 'ssh' })[0]?.sans.includes('fd00:10:20::102'))
})

test('a leaf that is as it must be gives no reason, whatever the writing of its names', async () => {
  for (const leaf of leaves(cluster)) {
    await place(leaf)
    assert.is(reason(leaf), undefined, leaf.title)
  }
})

const [past, soon] = [new Date(Date.now() - 2 * day), new Date(Date.now() + 20 * day)]
const cases: Record<string, () => unknown> = {
  missing: () => rmSync(server.certificate),
  'its key is missing': () => rmSync(server.key),
  unreadable: () => writeFileSync(server.certificate, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
  'its key is unreadable': () => writeFileSync(server.key, 'garbage'),
  'does not match its key': () => writeFileSync(server.key, keyToPem(otherKeys.privateKey)),
  "not signed by the cluster's authority": async () =>
    place(server, {}, await makeAuthority(otherKeys, authoritySubject(cluster), 3650)),
  'names CN=etcd-peer, not CN=etcd-server': () => place(server, { commonName: 'etcd-peer' }),
  'lacks SAN 127.77.0.101': () => place(server, { sans: server.sans.filter((san) => san !== '127.77.0.101') }),
  'lacks SAN ::1': () => place(server, { sans: server.sans.filter((san) => san !== '::1') }),
  'has SANs that are not asked for': () => place(server, { sans: [...server.sans, 'gone.example'] }),
  'lacks SAN Kube-etcd.example': () =>
    place(server, { sans: [...server.sans.filter((san) => !san.startsWith('Kube')), '*.example'] }),
  'lacks usage clientAuth': () => place(server, { usages: ['serverAuth'] }),
  [`expired on ${past.toISOString().slice(0, 10)}`]: () => place(server, { ends: past }),
  [`expires within 30 days, on ${soon.toISOString().slice(0, 10)}`]: () => place(server, { ends: soon }),
}

for (const [expected, spoil] of Object.entries(cases)) {
  test(`the reason to issue again is: ${expected}`, async () => {
    await place(server)
    await spoil()
    assert.is(reason(server), expected)
    assert.is(reason(peer), undefined)
  })
}

test('a leaf of an RSA authority of the same name is not taken for one of ours', async () => {
  await place(server, {}, await makeAuthority(await makeKeyPair('rsa-2048'), authoritySubject(cluster), 3650))
  assert.is(reason(server), "not signed by the cluster's authority")
})

test('a leaf that only names our authority, or that our key signed under another name, is not ours', async () => {
  await place(server, {}, { certificate: authority.certificate, key: otherKeys.privateKey })
  assert.is(reason(server), "not signed by the cluster's authority")
  await place(
    server,
    {},
    await makeAuthority(keys, { ...authoritySubject(cluster), organization: 'other-cluster' }, 3650),
  )
  assert.is(reason(server), "not signed by the cluster's authority")
})

test('a key that does not match is noticed when it is of another kind, too', async () => {
  await place(server)
  writeFileSync(server.key, keyToPem((await makeKeyPair('rsa-2048')).privateKey))
  assert.is(reason(server), 'does not match its key')
})

test('another key algorithm than asked is a reason', async () => {
  await place(server)
  assert.is(reason(server, { ...cluster.pki, keyAlgorithm: 'rsa-2048' }), 'has an ecdsa-p256 key, not rsa-2048')
  await place(server, {}, authority, await makeKeyPair('rsa-2048'))
  assert.is(reason(server, { ...cluster.pki, keyAlgorithm: 'rsa-3072' }), 'has an rsa-2048 key, not rsa-3072')
  assert.is(reason(server, { ...cluster.pki, keyAlgorithm: 'rsa-2048' }), undefined)
})

test('the renewal window begins on its day and not before', async () => {
  await place(server)
  assert.is(reason(server, cluster.pki, new Date(Date.now() + 334 * day)), undefined)
  assert.match(reason(server, cluster.pki, new Date(Date.now() + 336 * day)) ?? '', 'expires within 30 days')
  assert.is(reason(server, { ...cluster.pki, renewBeforeDays: 0 }, new Date(Date.now() + 364 * day)), undefined)
})

test('a certificate from the future is a reason: the clock was wrong when it was made', async () => {
  await place(server)
  assert.is(reason(server, cluster.pki, new Date(Date.now() - 2 * day)), `not valid before ${isoDay(-5 / 24 / 60)}`)
})

test("the clients' certificate lets us in while it is valid, has its key, and a trusted signature", async () => {
  const out = (now?: Date): string | undefined => whyKeptOut(cluster, now)
  writeFileAtomic(authorityFiles(cluster).certificate, authority.certificate.toString(), 0o644)
  await place(client, { ends: 20 })
  assert.is(out(), undefined, 'its end is near, and it is good')
  assert.match(out(new Date(Date.now() + 22 * day)) ?? '', 'expired on')
  assert.match(out(new Date(Date.now() - day)) ?? '', 'not valid before')
  await place(client, {}, await makeAuthority(otherKeys, authoritySubject(cluster), 10))
  assert.is(out(), undefined, 'the authority here has no key, and may be the wrong one')
  writeFileAtomic(authorityFiles(cluster).key, keyToPem(keys.privateKey), 0o600)
  assert.is(out(), "not signed by the cluster's authority")
  rmSync(authorityFiles(cluster).key)
  rmSync(client.key)
  assert.is(out(), 'its key is missing')
  await place(client)
})

test('a leaf that ends with its authority is left alone: a new one would end no later', async () => {
  const short = await makeAuthority(keys, authoritySubject(cluster), 10)
  await place(server, {}, short)
  assert.is(reasonToIssue(server, short.certificate, cluster.pki), undefined)
})

test('the report has every certificate that is there, the authority first, and does without the others', async () => {
  const own = testCluster({ masters: 1 })
  assert.equal(certificateReport(own), [])
  const ca = await authorityOf(own)
  writeFileAtomic(authorityFiles(own).certificate, ca.certificate.toString(), 0o644)
  const [first, second] = leaves(own) as [Leaf, Leaf]
  await place(first, { ends: new Date(Date.UTC(2020, 0, 2)) }, ca)
  writeFileAtomic(second.certificate, 'garbage', 0o644)
  const report = certificateReport(own, new Date(Date.UTC(2020, 0, 1)))
  assert.equal(
    report.map(({ path }) => path),
    [authorityFiles(own).certificate, first.certificate],
  )
  assert.equal(report[1], {
    path: first.certificate,
    subject: 'O=test-cluster, CN=etcd-server',
    notAfter: '2020-01-02T00:00:00.000Z',
    daysLeft: 1,
  })
  assert.is(certificateReport(own, new Date(Date.UTC(2020, 0, 4)))[1]?.daysLeft, -2)
})

const failure = (act: () => unknown): OperationError => {
  try {
    act()
  } catch (error) {
    if (error instanceof OperationError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

async function withAuthority(days: number, subject?: Profile['commonName']): Promise<Cluster> {
  const own = testCluster()
  const made = await makeAuthority(keys, { ...authoritySubject(own), ...(subject && { organization: subject }) }, days)
  writeFileAtomic(authorityFiles(own).certificate, made.certificate.toString(), 0o644)
  writeFileAtomic(authorityFiles(own).key, keyToPem(keys.privateKey), 0o600)
  return own
}

test('an authority is read with its key', async () => {
  const own = await withAuthority(100)
  assert.ok(readAuthority(own).key.equals(keys.privateKey))
  assert.is(authorityCertificate(testCluster()), undefined)
})

test('an expired authority, or one from the future, is refused in a sentence that tells the clock', async () => {
  const own = await withAuthority(100)
  const expired = failure(() => authorityCertificate(own, new Date(Date.now() + 101 * day)))
  assert.match(
    expired.message,
    `The authority of cluster test-cluster expired on ${isoDay(100)}. This machine's clock says ${isoDay(101)}.`,
  )
  assert.match(expired.more.hint ?? '', `Move ${own.paths.certs} aside`)
  const formed = failure(() => authorityCertificate({ ...own, formed: true }, new Date(Date.now() + 101 * day)))
  assert.match(formed.more.hint ?? '', /^Replace it: .*rotate-ca/)
  assert.not.match(formed.more.hint ?? '', /down/)
  assert.match(failure(() => authorityCertificate(own, new Date(Date.now() - day))).message, 'is not valid before')
})

test("another cluster's authority is refused", async () => {
  const own = await withAuthority(100, 'other-cluster')
  assert.match(
    failure(() => authorityCertificate(own)).message,
    'is not the authority of cluster test-cluster: it is O=other-cluster, CN=etcd-ca.',
  )
})

test('a leaf is not taken for an authority', async () => {
  const own = await withAuthority(100)
  const leaf = await issueLeaf(readAuthority(own), otherKeys.publicKey, {
    ...authoritySubject(own),
    sans: [],
    usages: [],
    ends: 10,
  })
  writeFileSync(authorityFiles(own).certificate, leaf)
  assert.match(failure(() => authorityCertificate(own)).message, 'is not the certificate of an authority')
})

test('damaged or foreign authority files are refused by name', async () => {
  const own = await withAuthority(100)
  const { certificate, key } = authorityFiles(own)
  writeFileSync(key, keyToPem(otherKeys.privateKey))
  assert.is(failure(() => readAuthority(own)).message, `The authority's key ${key} is not the key of ${certificate}.`)
  writeFileSync(key, 'garbage')
  assert.is(failure(() => readAuthority(own)).message, `The authority's key ${key} is not a readable private key.`)
  rmSync(key)
  assert.match(failure(() => readAuthority(own)).message, `${key} is missing`)
  writeFileSync(certificate, 'garbage')
  assert.is(failure(() => readAuthority(own)).message, `${certificate} is not a readable certificate.`)
  rmSync(certificate)
  assert.match(failure(() => readAuthority(own)).message, `${certificate} is missing`)
})

test.run()
