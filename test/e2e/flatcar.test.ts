// The role on a host like Flatcar: a unit of the OS's own, etcd that sees its certificates elsewhere, no Python.
// The unit stands for Flatcar's container: it mounts ETCD_SSL_DIR at /etc/ssl/certs as that does. See role.test.ts for
// what it needs.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { requireEtcd } from '../../tasks/etcd/binaries.ts'
import { runPlaybook } from '../../tasks/etcd/playbook.ts'
import { ensureCertificates } from '../../tasks/pki/index.ts'
import { testCluster } from '../support/cluster.ts'
import { startHosts, type TestHosts } from '../support/hosts.ts'

const unit = `[Unit]
Description=etcd as the OS has it
[Service]
Type=notify
User=etcd
BindReadOnlyPaths=/etc/ssl/etcd:/etc/ssl/certs
ExecStart=/usr/bin/etcd
[Install]
WantedBy=multi-user.target
`
// What curl fetches: an archive with a python that is the host's, which was moved away. Docker has no image, and notes
// which it is to get.
const likeFlatcar = `
useradd --system etcd
printf '%s' '${unit}' > /usr/lib/systemd/system/etcd-member.service
mv $(readlink -f /usr/bin/python3) /root/python
mkdir -p /root/archive/python/bin
printf '#!/bin/sh\\nexec /root/python "$@"\\n' > /root/archive/python/bin/python3
chmod 711 /root; chmod +x /root/archive/python/bin/python3
tar -czf /root/python.tar.gz -C /root/archive python
printf '#!/bin/sh\\nwhile [ "$1" != --output ]; do shift; done\\ncp /root/python.tar.gz "$2"\\n' > /usr/bin/curl
printf '#!/bin/sh\\n[ "$1" = pull ] && echo "$3" | tee -a /root/pulled\\n' > /usr/bin/docker
chmod +x /usr/bin/curl /usr/bin/docker
systemctl daemon-reload
sha256sum /root/python.tar.gz | cut -d' ' -f1`

let machines: TestHosts
let cluster: Cluster
let sum: string

test.before(async () => {
  const image = process.env.TEST_IMAGE
  if (!image) throw new Error('TEST_IMAGE names no image.')
  machines = await startHosts(image, 1)
  const address = machines.hosts[0]?.address ?? ''
  cluster = testCluster({
    hosts: [{ name: 'master01', address, clientURL: `https://${address}:2379`, peerURL: `https://${address}:2380` }],
  })
  const { folder } = await requireEtcd(cluster)
  for (const name of ['etcd', 'etcdctl']) await machines.copy('master01', join(folder, name), `/usr/bin/${name}`)
  sum = await machines.on('master01', likeFlatcar)
  await ensureCertificates(cluster)
  mkdirSync(join(cluster.paths.state, 'lock'), { recursive: true })
})
test.after(() => machines?.remove())

async function converge(sha256: string): Promise<number | undefined> {
  const address = machines.hosts[0]?.address
  const vars = {
    ...machines.ssh,
    etcd_cluster_token: cluster.name,
    etcd_pki_directory: cluster.paths.certs,
    etcd_flatcar: true,
    etcd_flatcar_python: {
      [process.arch === 'arm64' ? 'aarch64' : 'x86_64']: { url: 'https://archive.example/python.tar.gz', sha256 },
    },
  }
  writeFileSync(
    cluster.paths.inventory,
    stringify({
      all: {
        children: { 'role=master': { hosts: { master01: { ansible_host: address, private_ipv4: address } }, vars } },
      },
    }),
  )
  return Object.values(await runPlaybook(cluster, {}))[0]
}

test('an archive of Python with another sum is not used', async () => {
  let message = ''
  await converge('0'.repeat(64)).catch((error: Error) => {
    message = error.message
  })
  assert.match(message, /^master01: sha256sum: .* did NOT match/)
  await machines.on('master01', 'test ! -e /opt/python; test -z "$(ls -A /opt)"')
})

test(
  "etcd runs by the OS's own unit, with the image that the role names, where " + 'its certificates are for it',
  async () => {
    assert.is(await converge(sum), 2)
    assert.match(await machines.on('master01', 'cat /root/pulled'), /^gcr\.io\/etcd-development\/etcd:v3\.[\d.]+$/)
    assert.is(await machines.on('master01', 'cat /usr/lib/systemd/system/etcd-member.service'), unit.trim())
    await machines.on(
      'master01',
      'test ! -e /etc/systemd/system/etcd-member.service; test ! -e /usr/local/bin/etcd; systemctl ' +
        'is-active etcd-member; systemctl is-enabled etcd-member',
    )
    const dropin = await machines.on('master01', 'cat /etc/systemd/system/etcd-member.service.d/40-cluster-ips.conf')
    for (const line of [
      'ETCD_IMAGE_URL=gcr.io/etcd-development/etcd',
      'ETCD_IMAGE_TAG=v3.',
      'ETCD_SSL_DIR=/etc/ssl/etcd',
      'ETCD_CERT_FILE=/etc/ssl/certs/server.crt',
    ])
      assert.match(dropin, line)
  },
)

test('a second run changes nothing', async () => {
  assert.is(await converge(sum), 0)
})

test('what the role has put there can be removed again, though the OS has no Python', async () => {
  await runPlaybook(cluster, { playbook: 'remove' })
  await machines.on(
    'master01',
    'test ! -e /var/lib/etcd; test ! -e /etc/ssl/etcd; test -x /usr/bin/etcd; ! systemctl is-active -q etcd-member',
  )
})

test.run()
