// certs/ is lost and some hosts cannot be reached: what the others have is taken, and what is missing is said.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import type { OperationError } from '../../../tasks/core/errors.ts'
import { fetchCertificates } from '../../../tasks/operations/fetch-certificates.ts'
import { ensureCertificates } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/**
 * A cluster whose certs/ is lost, and whose hosts have their own; silent ones cannot be reached, bare ones have none.
 */
async function lostWith(silent: string[], bare: string[] = []): Promise<Cluster> {
  const folder = temporaryFolder()
  const cluster = testCluster({ masters: 2, etcd: { binaries: folder } })
  for (const name of ['etcd', 'etcdctl'])
    writeFileSync(join(folder, name), '#!/bin/sh\necho Version: 3.4.23\n', { mode: 0o755 })
  await ensureCertificates(cluster)
  const certs = cluster.paths.certs
  for (const { name } of cluster.hosts.filter((host) => !bare.includes(host.name))) {
    cpSync(join(certs, name), join(folder, name), { recursive: true })
    for (const file of ['ca.crt', 'etcd-client.crt', 'etcd-client.key'])
      cpSync(join(certs, file), join(folder, name, file))
  }
  rmSync(certs, { recursive: true })
  mkdirSync(join(cluster.paths.state, 'lock'), { recursive: true }) // as a script that has the lock
  const connectionOf = (name: string): NonNullable<Cluster['hosts'][number]['connection']> => ({
    ...(silent.includes(name)
      ? { ansible_connection: 'ssh', ansible_host: '127.0.0.1', ansible_port: 1 }
      : { ansible_connection: 'local' }),
    ansible_python_interpreter: '{{ ansible_playbook_python }}',
    ansible_become: false,
    etcd_ssl_directory: join(folder, name),
  })
  const hosts = cluster.hosts.map((host) => ({ ...host, connection: connectionOf(host.name) }))
  return { ...cluster, hosts, formed: true }
}

async function failure(cluster: Cluster): Promise<OperationError> {
  try {
    await fetchCertificates(cluster)
  } catch (error) {
    return error as OperationError
  }
  throw new Error('it did not fail')
}

test(
  'what the reachable hosts have is taken; what only a silent one has is named, with what helps; and it is ' +
    'no hindrance where that is not lost',
  async () => {
    const cluster = await lostWith(['master02'])
    const { message, more } = await failure(cluster)
    assert.is(
      message,
      'master02/server.crt and master02/master02.crt can only be on master02, which cannot be reached. ' +
        'What the others have was taken back.',
    )
    assert.match(more.output ?? '', /^master02: /)
    assert.is(more.hint, 'Bring master02 back, then run the same command again.')
    assert.equal(readdirSync(cluster.paths.certs).sort(), ['ca.crt', 'etcd-client.crt', 'etcd-client.key', 'master01'])
    assert.is(cluster.formed, true)

    // What the others have, too, is no hindrance.
    const before = readFileSync(join(cluster.paths.certs, 'ca.crt'), 'utf8')
    rmSync(join(cluster.paths.certs, 'ca.crt'))
    mkdirSync(join(cluster.paths.certs, 'master02'))
    for (const name of ['server', 'master02'])
      for (const kind of ['crt', 'key'])
        cpSync(
          join(cluster.paths.certs, `master01/${name === 'server' ? 'server' : 'master01'}.${kind}`),
          join(cluster.paths.certs, `master02/${name}.${kind}`),
        )
    assert.equal(await fetchCertificates(cluster), ['ca.crt'])
    assert.is(readFileSync(join(cluster.paths.certs, 'ca.crt'), 'utf8'), before)
  },
)

test('an authority that only a silent host can have is not given up: no new one may be made', async () => {
  const cluster = await lostWith(['master02'], ['master01'])
  const { message } = await failure(cluster)
  assert.match(message, /^ca\.crt, .*etcd-client\.crt.* can only be on master02, which cannot be reached\.$/)
  assert.is(cluster.formed, true)
})

test('what no host has can be issued by a new authority only, where the key is lost', async () => {
  const cluster = await lostWith([], ['master02'])
  const { message, more } = await failure(cluster)
  const key = join(cluster.paths.certs, 'ca.key')
  assert.is(
    message,
    `What the hosts have was taken back. But the authority's key ${key} is missing, and no host has ` +
      'master02/server.crt and master02/master02.crt, which only it could issue.',
  )
  assert.match(more.hint ?? '', /If there is no copy: make a new authority: .*rotate-ca\.ts/)
})

test('where no host can be reached, nothing is taken', async () => {
  const { message } = await failure(await lostWith(['master01', 'master02']))
  assert.match(message, /^master0[12](:| and master0[12]:) /)
})

test.run()
