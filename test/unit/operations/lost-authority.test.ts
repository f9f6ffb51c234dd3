// When all members start again at once under a new authority: where they cannot change one after the other.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { hostStepsOf, isCutOff } from '../../../tasks/operations/lost-authority.ts'
import { ensureCertificates, issueFromNext, leaveAtOnce, renewLeaves, trustNext } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** Its certificates are here; etcdctl says that every member is healthy that it is asked about: those that listen. */
async function ready(): Promise<Cluster> {
  const binaries = temporaryFolder()
  const cluster = testCluster({ masters: 2, etcd: { binaries } })
  const health = JSON.stringify(cluster.hosts.map(({ clientURL: endpoint }) => ({ endpoint, health: true })))
  const program = `#!/bin/sh\ncase "$*" in *health*) echo '${health}';; *) echo Version: 3.6.14;; esac\n`
  for (const name of ['etcd', 'etcdctl', 'etcdutl']) writeFileSync(join(binaries, name), program, { mode: 0o755 })
  await ensureCertificates(cluster)
  return cluster
}

const lose = ({ paths }: Cluster, name: string): void => rmSync(join(paths.certs, name))

/** The answers while none, one and both of the members answer. */
async function answers(cluster: Cluster): Promise<boolean[]> {
  const found = [await isCutOff(cluster)]
  const members = cluster.hosts.map(() => createServer((socket) => socket.end()))
  try {
    for (const [at, { address }] of cluster.hosts.entries()) {
      await new Promise<void>((done) => members[at]?.listen(cluster.etcd.clientPort, address, done))
      found.push(await isCutOff(cluster))
    }
  } finally {
    for (const member of members) member.close()
  }
  return found
}

test('as long as the key can issue what is due, or nothing is due, members change one after the other', async () => {
  const cluster = await ready()
  lose(cluster, 'master02/server.crt')
  assert.equal(await answers(cluster), [false, false, false])
  await ensureCertificates(cluster)
  lose(cluster, 'ca.key')
  assert.equal(await answers(cluster), [false, false, false])
})

test('without the key, and with a certificate due, they do so only while all of them answer', async () => {
  const cluster = await ready()
  lose(cluster, 'ca.key')
  lose(cluster, 'master02/server.crt')
  assert.equal(await answers(cluster), [true, true, false])
})

test('a scale that is half done will need certificates', async () => {
  const cluster = await ready()
  lose(cluster, 'ca.key')
  mkdirSync(cluster.paths.state, { recursive: true })
  writeFileSync(cluster.paths.scaling, '["master03"]')
  assert.equal(await answers(cluster), [true, true, false])
})

test('a run that was killed before the members knew the new authority is gone on with', async () => {
  const cluster = await ready()
  lose(cluster, 'ca.key')
  lose(cluster, 'master02/server.crt')
  await leaveAtOnce(cluster)
  assert.equal(await answers(cluster), [true, false, false])
  await renewLeaves(cluster, (_, due) => due)
  assert.equal(await answers(cluster), [true, false, false])
})

test('a change of which both keys are lost goes on as long as nothing is due; else no way of two is left', async () => {
  const cluster = await ready()
  await trustNext(cluster)
  issueFromNext(cluster)
  await renewLeaves(cluster, (_, due) => due)
  lose(cluster, 'ca.key')
  lose(cluster, 'next-ca.key')
  assert.equal(await answers(cluster), [true, false, false])
  lose(cluster, 'master02/server.crt')
  assert.equal(await answers(cluster), [true, true, true])
})

test('what is half done makes a new authority where the key is lost, not where its passphrase is missing', async () => {
  const leaves = (cluster: Cluster): boolean[] =>
    (['restore', 'recover'] as const).map((verb) =>
      hostStepsOf({ ...cluster, begun: { verb } }).some(({ title }) => /by a new authority/.test(String(title))),
    )
  const cluster = await ready()
  lose(cluster, 'master02/server.crt')
  assert.equal(leaves(cluster), [false, false])
  writeFileSync(join(cluster.paths.certs, 'ca.key'), '-----BEGIN ENCRYPTED PRIVATE KEY-----')
  assert.equal(leaves(cluster), [false, false])
  lose(cluster, 'ca.key')
  assert.equal(leaves(cluster), [true, true])
})

test.run()
