// What each kind of consumer gets, and what it must do once something changes.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { changesSince, kinds } from '../../../tasks/consumers/index.ts'
import { duty } from '../../../tasks/consumers/kinds.ts'
import { testCluster } from '../../support/cluster.ts'

const cluster = testCluster({ masters: 3 })
const [first = '', second = ''] = cluster.hosts.map(({ address }) => `${address}:2379`)
const view = {
  cluster,
  endpoints: cluster.hosts.map(({ clientURL }) => clientURL),
  ca: '/etc/x/ca.crt',
  certificate: '/etc/x/client.crt',
  key: '/etc/x/client.key',
}
const files = (kind: string): Record<string, string> => kinds[kind]?.files(view) ?? {}

test('every configuration names all endpoints, and the three files', () => {
  for (const [name, kind] of Object.entries(kinds)) {
    const all = Object.values(kind.files(view)).join()
    for (const word of [first, second, view.ca, view.certificate, view.key])
      assert.ok(all.includes(word), `${name} lacks ${word}`)
  }
})

test('what is YAML can be read as such', () => {
  const { etcd } = parse(files('kubernetes')['kubeadm-etcd.yaml'] ?? '')
  assert.equal(etcd.external.endpoints, view.endpoints)
  const { etcd3 } = parse(files('patroni')['patroni-etcd3.yaml'] ?? '')
  assert.equal(etcd3.hosts.slice(0, 2), [first, second])
  assert.is(etcd3.protocol, 'https')
  const [job] = parse(files('prometheus')['prometheus-scrape.yaml'] ?? '').scrape_configs
  assert.equal(job.file_sd_configs, [{ files: ['/etc/x/prometheus-targets.json'] }])
  assert.is(parse(files('apisix')['apisix-etcd.yaml'] ?? '').deployment.etcd.tls.sni, 'localhost')
})

test('whoever reads a file only at its start must start again, and nobody else', () => {
  const api = { name: 'kube', kind: 'kubernetes' }
  assert.match(duty(api, ['authority']) ?? '', /^kube: restart each kube-apiserver/)
  assert.is(duty(api, ['certificate']), undefined)
  assert.match(duty(api, ['endpoints', 'authority']) ?? '', 'new --etcd-servers, one after the other and restart each')
  assert.is(duty({ name: 'prometheus', kind: 'prometheus' }, ['endpoints', 'authority', 'certificate']), undefined)
  assert.match(duty({ name: 'prometheus', kind: 'prometheus' }, ['metrics']) ?? '', /^prometheus: reload it/)
  assert.is(duty({ name: 'old', kind: 'of-a-later-version' }, ['authority']), undefined)
})

test('what has changed since it was told, in whatever order it is listed', () => {
  const told = { endpoints: ['a', 'b'], authorities: ['1', '2'], certificate: 'x', metrics: 'https at 2381' }
  assert.equal(changesSince(told, { ...told, endpoints: ['b', 'a'], authorities: ['2', '1'] }), [])
  assert.equal(changesSince(told, { ...told, endpoints: ['a'] }), ['endpoints'])
  assert.equal(changesSince(told, { ...told, authorities: ['2'] }), ['authority'])
  assert.equal(changesSince(told, { ...told, certificate: 'y' }), ['certificate'])
  assert.equal(changesSince(told, { ...told, metrics: 'http at 2381' }), ['metrics'])
  assert.equal(changesSince(undefined, told), ['endpoints', 'authority', 'certificate', 'metrics'])
})

test.run()
