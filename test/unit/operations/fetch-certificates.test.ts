// certs/ is lost and some hosts cannot be reached: what the others have is taken, and what is missing is said.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { OperationError } from '../../../tasks/core/errors.ts'
import { fetchCertificates, takeFrom } from '../../../tasks/operations/fetch-certificates.ts'
import { ensureCertificates } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** A cluster of two whose certs/ is lost, and a folder in which each of these hosts has what it needs. */
async function lostBut(...hosts: string[]): Promise<{ cluster: Cluster; folder: string }> {
  const cluster = testCluster({ masters: 2 })
  const [folder, { certs }] = [temporaryFolder(), cluster.paths]
  await ensureCertificates(cluster)
  for (const name of hosts) {
    cpSync(join(certs, name), join(folder, name), { recursive: true })
    for (const file of ['ca.crt', 'etcd-client.crt', 'etcd-client.key'])
      cpSync(join(certs, file), join(folder, name, file))
  }
  rmSync(certs, { recursive: true })
  return { cluster: { ...cluster, formed: true }, folder }
}

/** The same, to be asked by Ansible: master01 is this machine, master02 nobody. */
async function reachedByAnsible(): Promise<Cluster> {
  const { cluster, folder } = await lostBut('master01')
  for (const name of ['etcd', 'etcdctl'])
    writeFileSync(join(folder, name), '#!/bin/sh\necho Version: 3.4.23\n', { mode: 0o755 })
  mkdirSync(join(cluster.paths.state, 'lock'), { recursive: true }) // as a script that has the lock
  const ways = [
    { ansible_connection: 'local' },
    { ansible_connection: 'ssh', ansible_host: '127.0.0.1', ansible_port: 1 },
  ]
  const hosts = cluster.hosts.map((host, at) => ({
    ...host,
    connection: {
      ...ways[at],
      ansible_python_interpreter: '{{ ansible_playbook_python }}',
      ansible_become: false,
      etcd_ssl_directory: join(folder, host.name),
    },
  }))
  return { ...cluster, hosts, etcd: { ...cluster.etcd, binaries: folder } }
}

async function failure(taking: Promise<string[]>): Promise<OperationError> {
  try {
    await taking
  } catch (error) {
    return error as OperationError
  }
  throw new Error('it did not fail')
}
const without = (...hosts: string[]) => ({ hosts, why: new OperationError(`${hosts.join()}: off`) })

test('what the reachable hosts have is taken; what only a silent one has is named, with what helps', async () => {
  const cluster = await reachedByAnsible()
  const { message, more } = await failure(fetchCertificates(cluster))
  assert.is(
    message,
    'master02/server.crt and master02/master02.crt can only be on master02, which cannot be reached. ' +
      'What the others have was taken back.',
  )
  assert.match(more.output ?? '', /^master02: /)
  assert.is(more.hint, 'Bring master02 back, then run the same command again.')
  assert.equal(readdirSync(cluster.paths.certs).sort(), ['ca.crt', 'etcd-client.crt', 'etcd-client.key', 'master01'])
  assert.is(cluster.formed, true)
})

test('a silent host is no hindrance where the others have what is lost, too', async () => {
  const { cluster, folder } = await lostBut('master01', 'master02')
  const all = await takeFrom(folder, cluster)
  assert.equal(all.length, 11)
  rmSync(join(cluster.paths.certs, 'ca.crt'))
  rmSync(join(folder, 'master02'), { recursive: true })
  assert.equal(await takeFrom(folder, cluster, without('master02')), ['ca.crt'])
  assert.is(
    readFileSync(join(cluster.paths.certs, 'ca.crt'), 'utf8'),
    readFileSync(join(folder, 'master01/ca.crt'), 'utf8'),
  )
})

test('an authority that only a silent host can have is not given up: no new one may be made', async () => {
  const { cluster, folder } = await lostBut()
  const { message } = await failure(takeFrom(folder, cluster, without('master02')))
  assert.match(message, /^ca\.crt, .*etcd-client\.crt.* can only be on master02, which cannot be reached\.$/)
  assert.is(cluster.formed, true)
})

test('an authority that no host has is given up: a new one may be made', async () => {
  const { cluster, folder } = await lostBut()
  assert.equal(await takeFrom(folder, cluster), [])
  assert.is(cluster.formed, undefined)
})

test('what no host has can be issued by a new authority only, where the key is lost', async () => {
  const { cluster, folder } = await lostBut('master01')
  const { message, more } = await failure(takeFrom(folder, cluster))
  const key = join(cluster.paths.certs, 'ca.key')
  assert.is(
    message,
    `What the hosts have was taken back. But the authority's key ${key} is missing, and no host has ` +
      'master02/server.crt and master02/master02.crt, which only it could issue.',
  )
  assert.match(more.hint ?? '', /If there is no copy: make a new authority: .*rotate-ca\.ts/)
})

test.run()
