// What phase pki promises: every certificate the cluster needs, and not a file touched without a reason.
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { UsageError } from '../../../tasks/core/errors.ts'
import { runPipeline } from '../../../tasks/core/pipeline.ts'
import { day, issueLeaf, keyToPem, makeKeyPair, type Profile } from '../../../tasks/core/x509.ts'
import { readAuthority } from '../../../tasks/etcd/authority-key.ts'
import { type Leaf, leaves } from '../../../tasks/etcd/certificates.ts'
import { ensureCertificates, tasks } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'

const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' })
const below = (cluster: Cluster, name: string): string => join(cluster.paths.certs, name)
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)

async function ready(pki: Partial<Cluster['pki']> = {}, masters = 3): Promise<Cluster> {
  const cluster = testCluster({ pki, masters })
  await ensureCertificates(cluster)
  return cluster
}

/** Every file below certs/<cluster>/: content, inode, times and mode. */
function everything(cluster: Cluster): Map<string, string> {
  const names = readdirSync(cluster.paths.certs, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(below(cluster, name)).isFile(),
  )
  const state = (path: string): string =>
    `${statSync(path).ino} ${statSync(path).mtimeMs} ${statSync(path).mode} ${readFileSync(path, 'utf8')}`
  return new Map(names.map((name) => [name, state(below(cluster, name))]))
}

function changed(before: Map<string, string>, after: Map<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name)).sort()
}

for (const keyAlgorithm of ['ecdsa-p256', 'rsa-2048'] as const) {
  test(`openssl accepts every ${keyAlgorithm} certificate under its strict rules, each for its purpose`, async () => {
    const cluster = await ready({ keyAlgorithm }, 1)
    for (const [usage, purpose] of [
      ['serverAuth', 'sslserver'],
      ['clientAuth', 'sslclient'],
    ] as const) {
      const fit = leaves(cluster).flatMap((leaf) => (leaf.usages.includes(usage) ? leaf.certificate : []))
      const said = openssl(
        ...['verify', '-x509_strict', '-purpose', purpose, '-CAfile', below(cluster, 'ca.crt')],
        ...fit,
      )
      assert.is(said, fit.map((path) => `${path}: OK\n`).join(''))
    }
  })
}

test('a run makes these files and no others, keys for the owner only from the start', async () => {
  const cluster = testCluster()
  assert.equal((await ensureCertificates(cluster)).closed, [])
  const pair = (name: string): string[] => [`${name}.crt`, `${name}.key`]
  const hosts = ['master01', 'master02', 'master03'].flatMap((host) => [
    ...pair(`${host}/${host}`),
    ...pair(`${host}/server`),
  ])
  const names = [...everything(cluster).keys()].sort()
  assert.equal(names, [...pair('ca'), ...pair('etcd-client'), ...hosts])
  for (const name of names) {
    assert.is(mode(below(cluster, name)), name.endsWith('.key') ? '600' : '644', name)
    assert.is(mode(dirname(below(cluster, name))), '700')
  }
})

test('no two certificates share a key or a serial number', async () => {
  const cluster = await ready()
  const all = ['ca.crt', ...leaves(cluster).map(({ title }) => title)].map(
    (name) => new X509Certificate(readFileSync(below(cluster, name))),
  )
  assert.is(new Set(all.map(({ serialNumber }) => serialNumber)).size, 8)
  assert.is(new Set(all.map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' }))).size, 8)
})

test("a host's certificates name the host, the extra SANs, and their kind", async () => {
  const cluster = await ready({ extraSans: ['kube-etcd.example', '10.3.0.15'] })
  const sans =
    'DNS:localhost, DNS:master02, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP ' +
    'Address:127.77.0.102, DNS:kube-etcd.example, IP Address:10.3.0.15\n'
  for (const [name, commonName] of [
    ['master02/server.crt', 'etcd-server'],
    ['master02/master02.crt', 'etcd-peer'],
  ] as const) {
    const text = openssl('x509', '-noout', '-text', '-in', below(cluster, name))
    assert.match(text, sans)
    assert.match(text, new RegExp(`Subject: O ?= ?test-cluster, CN ?= ?${commonName}\\n`))
    assert.match(text, 'TLS Web Server Authentication, TLS Web Client Authentication')
  }
})

test('a second run touches no file', async () => {
  const cluster = await ready()
  const before = everything(cluster)
  const { issued, closed } = await ensureCertificates(cluster)
  assert.equal([issued, closed], [[], []])
  assert.equal(changed(before, everything(cluster)), [])
})

async function replace(cluster: Cluster, leaf: Leaf, changes: Partial<Profile>): Promise<void> {
  const keys = await makeKeyPair('ecdsa-p256')
  writeFileSync(leaf.key, keyToPem(keys.privateKey))
  writeFileSync(
    leaf.certificate,
    await issueLeaf(readAuthority(cluster), keys.publicKey, { ...leaf, ends: 365, ...changes }),
  )
}

const [yesterday, soon] = [new Date(Date.now() - day), new Date(Date.now() + 29 * day)]
const isoDay = (date: Date): string => date.toISOString().slice(0, 10)
const faults: Record<string, (cluster: Cluster, leaf: Leaf) => unknown> = {
  missing: (_, leaf) => rmSync(leaf.certificate),
  'its key is missing': (_, leaf) => rmSync(leaf.key),
  unreadable: (_, leaf) => writeFileSync(leaf.certificate, readFileSync(leaf.certificate, 'utf8').slice(0, 300)),
  'its key is unreadable': (_, leaf) => writeFileSync(leaf.key, ''),
  'does not match its key': async (_, leaf) =>
    writeFileSync(leaf.key, keyToPem((await makeKeyPair('ecdsa-p256')).privateKey)),
  "not signed by the cluster's authority": async (cluster, leaf) =>
    replace({ ...cluster, paths: (await ready()).paths }, leaf, {}),
  'lacks SAN master02': (cluster, leaf) => replace(cluster, leaf, { sans: ['localhost'] }),
  'lacks usage clientAuth': (cluster, leaf) => replace(cluster, leaf, { usages: ['serverAuth'] }),
  [`expired on ${isoDay(yesterday)}`]: (cluster, leaf) => replace(cluster, leaf, { ends: yesterday }),
  [`expires within 30 days, on ${isoDay(soon)}`]: (cluster, leaf) => replace(cluster, leaf, { ends: soon }),
}

for (const [reason, spoil] of Object.entries(faults)) {
  test(`a certificate that is or has this fault is issued again, and no other: ${reason}`, async () => {
    const cluster = await ready()
    const before = everything(cluster)
    await spoil(cluster, leaves(cluster)[3] as Leaf)
    assert.equal((await ensureCertificates(cluster)).issued, [{ path: 'master02/master02.crt', reason }])
    assert.equal(changed(before, everything(cluster)), ['master02/master02.crt', 'master02/master02.key'])
    assert.equal((await ensureCertificates(cluster)).issued, [])
  })
}

test('another key algorithm renews the leaves under the same authority', async () => {
  const cluster = await ready({}, 1)
  const authority = readFileSync(below(cluster, 'ca.crt'), 'utf8')
  cluster.pki.keyAlgorithm = 'rsa-2048'
  const { issued } = await ensureCertificates(cluster)
  assert.is(issued.length, 3)
  assert.equal([...new Set(issued.map(({ reason }) => reason))], ['has an ecdsa-p256 key, not rsa-2048'])
  assert.is(readFileSync(below(cluster, 'ca.crt'), 'utf8'), authority)
  for (const { certificate } of leaves(cluster))
    assert.match(openssl('verify', '-x509_strict', '-CAfile', below(cluster, 'ca.crt'), certificate), ': OK')
})

test('an extra SAN renews what needs it, and the client certificate stays', async () => {
  const cluster = await ready()
  cluster.pki.extraSans.push('kube-etcd.example')
  const { issued } = await ensureCertificates(cluster)
  assert.is(issued.length, 6)
  assert.equal(issued[0], { path: 'master01/server.crt', reason: 'lacks SAN kube-etcd.example' })
})

test('a new host gets its certificates, and the others keep theirs', async () => {
  const cluster = await ready()
  const before = everything(cluster)
  const more = { ...cluster, hosts: testCluster({ masters: 5 }).hosts }
  assert.equal(
    (await ensureCertificates(more)).issued.map(({ path }) => path),
    ['master04/server.crt', 'master04/master04.crt', 'master05/server.crt', 'master05/master05.crt'],
  )
  assert.is(changed(before, everything(cluster)).filter((name) => !/master0[45]/.test(name)).length, 0)
})

test('a folder that is put back from a copy with loose modes is closed again, and nothing is issued', async () => {
  const cluster = await ready()
  for (const name of ['ca.key', 'master01/server.key']) chmodSync(below(cluster, name), 0o644)
  chmodSync(below(cluster, 'master02'), 0o755)
  const { issued, closed } = await ensureCertificates(cluster)
  assert.equal(issued, [])
  assert.equal(closed.sort(), ['ca.key', 'master01/server.key', 'master02'])
  assert.equal(
    ['ca.key', 'master01/server.key', 'master02'].map((name) => mode(below(cluster, name))),
    ['600', '600', '700'],
  )
  assert.equal((await ensureCertificates(cluster)).closed, [])
})

test('files that are not ours are left alone', async () => {
  const cluster = await ready()
  mkdirSync(below(cluster, 'notes'))
  appendFileSync(below(cluster, 'notes/mine.key'), 'mine')
  const before = everything(cluster)
  await ensureCertificates(cluster)
  assert.equal(changed(before, everything(cluster)), [])
})

test('a kill between key and certificate heals at the next run', async () => {
  const cluster = await ready()
  writeFileSync(below(cluster, 'etcd-client.key'), keyToPem((await makeKeyPair('ecdsa-p256')).privateKey))
  assert.equal((await ensureCertificates(cluster)).issued, [
    { path: 'etcd-client.crt', reason: 'does not match its key' },
  ])
})

test('a SAN that is none is refused, and the certificates in use stay', async () => {
  const cluster = await ready()
  const before = everything(cluster)
  cluster.pki.extraSans.push('10.0.0.300')
  const error = await ensureCertificates(cluster).then(
    () => undefined,
    (reason) => reason,
  )
  assert.instance(error, UsageError)
  assert.match(error.message, '10.0.0.300 is neither a DNS name nor an IP address')
  assert.equal(changed(before, everything(cluster)), [])
})

test('a file where the folder should be is named in the system error that passes through', async () => {
  const cluster = testCluster()
  mkdirSync(dirname(cluster.paths.certs), { recursive: true })
  writeFileSync(cluster.paths.certs, '')
  const error = await ensureCertificates(cluster).then(
    () => undefined,
    (reason) => reason,
  )
  assert.is(error.code, 'ENOTDIR')
  assert.is(error.path, cluster.paths.certs)
})

/** What a person reads where there is no terminal. */
async function lines(cluster: Cluster): Promise<string> {
  const { write } = process.stdout
  const chunks: string[] = []
  process.stdout.write = ((chunk: string) => chunks.push(chunk) > 0) as typeof write
  try {
    await runPipeline(tasks(cluster))
  } finally {
    process.stdout.write = write
  }
  return chunks.join('')
}

test('a person reads what was issued and why, or that all is well', async () => {
  const cluster = testCluster()
  const first = await lines(cluster)
  assert.match(first, 'Make the certificate authority')
  assert.match(first, 'Issue 7 certificates: there was none yet')
  assert.match(await lines(cluster), 'All 7 certificates are valid, the next expires in 364 days')
  rmSync(below(cluster, 'master01/server.crt'))
  const third = await lines(cluster)
  assert.match(third, 'Issue master01/server.crt (missing)')
  assert.match(third, 'Issue 1 certificate [')
})

test.run()
