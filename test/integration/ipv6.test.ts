// A cluster on IPv6: in a network namespace that has no other network, with addresses on its loopback.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addAddress, inNamespace, removeNamespace, within } from '../support/namespace.ts'
import { testHome } from '../support/verbs.ts'

const home = testHome({}, undefined, within)
writeFileSync(join(home.path, 'cluster.yaml'), 'masters: 1\nsubnet: FD00:E7CD:0:1::/64\netcd: { metricsPort: 2381 }\n')
test.after(async () => {
  await home.downAll()
  removeNamespace()
})

inNamespace('a local host whose IPv6 address this machine lacks is refused in one sentence', async () => {
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 1)
  assert.match(
    stderr,
    /^Error: master01: this machine has no address fd00:e7cd:0:1::101\.\nNext: .*sudo ip address add/m,
  )
})

inNamespace('with that address it comes up, is verified, and its certificates name it', async () => {
  addAddress('fd00:e7cd:0:1::101')
  const { exitCode, stdout, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'https://[fd00:e7cd:0:1::101]:2379')
  const certificate = join(home.path, 'certs/etcd-cluster-1/master01/master01.crt')
  const text = execFileSync('openssl', ['x509', '-noout', '-text', '-in', certificate], { encoding: 'utf8' })
  assert.match(text, 'IP Address:FD00:E7CD:0:1:0:0:0:101')
})

inNamespace('its metrics are had at that address, too, and Prometheus is told of it', async () => {
  const certs = join(home.path, 'certs/etcd-cluster-1')
  const files = ['ca.crt', 'etcd-client.crt', 'etcd-client.key'].map((name) => join(certs, name))
  const ours = ['--cacert', '--cert', '--key'].flatMap((flag, index) => [flag, files[index] ?? ''])
  const [ip = '', ...words] = [...within, 'curl', '-sg', ...ours, 'https://[fd00:e7cd:0:1::101]:2381/metrics']
  assert.match(execFileSync(ip, words, { encoding: 'utf8' }), 'etcd_server_has_leader 1')
  assert.match((await home.verb('connect', 'prometheus')).stdout, '"[fd00:e7cd:0:1::101]:2381"')
})

test.run()
