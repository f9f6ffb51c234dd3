// By its certificates, whether a host is ready: who is not is brought up first, which issues them again.
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFileAtomic } from '../../../tasks/core/files.ts'
import { day, issueLeaf, keyToPem, makeAuthority, makeKeyPair } from '../../../tasks/core/x509.ts'
import { authoritySubject, type Leaf, leaves } from '../../../tasks/etcd/certificates.ts'
import { hostsToCertify } from '../../../tasks/observe/look.ts'
import { testCluster } from '../../support/cluster.ts'

const cluster = testCluster()
const keys = await makeKeyPair('ecdsa-p256')
const authority = await makeAuthority(keys, authoritySubject(cluster), 3650)
const [server, peer] = leaves(cluster) as [Leaf, Leaf]
const client = leaves(cluster).at(-1) as Leaf

async function place(leaf: Leaf, ends = 365): Promise<void> {
  writeFileAtomic(leaf.key, keyToPem(keys.privateKey), 0o600)
  writeFileAtomic(leaf.certificate, await issueLeaf(authority, keys.publicKey, { ...leaf, ends }), 0o644)
}
const lacking = (daysAhead = 0): string[] => [...hostsToCertify(cluster, new Date(Date.now() + daysAhead * day))]

test.before.each(async () => {
  for (const leaf of leaves(cluster)) await place(leaf)
})

test('a host whose certificates and keys are here is ready, on their last day, too', () => {
  assert.equal([lacking(), lacking(364)], [[], []])
})

test('a host is not ready without one of its certificates, or without a key', () => {
  rmSync(server.certificate)
  assert.equal(lacking(), ['master01'])
  rmSync(leaves(cluster)[2]?.key ?? '')
  assert.equal(lacking(), ['master01', 'master02'])
})

test('a certificate that has expired, is not valid yet or cannot be read is as good as none', async () => {
  await place(peer, -2)
  assert.equal(lacking(), ['master01'])
  assert.equal(lacking(-30), ['master01', 'master02', 'master03'])
  await place(peer)
  writeFileSync(peer.certificate, 'no certificate')
  assert.equal(lacking(), ['master01'])
})

test("the clients' certificate keeps no host from being ready", () => {
  rmSync(client.certificate)
  assert.equal(lacking(), [])
})

test.run()
