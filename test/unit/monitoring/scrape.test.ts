// What Prometheus is told of members: where they are, and with or without TLS.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { scrapeConfig, scrapedAt, targets } from '../../../tasks/monitoring/index.ts'
import { testCluster } from '../../support/cluster.ts'

const files = { ca: '/p/ca.crt', cert: '/p/c.crt', key: '/p/c.key', targets: '/p/targets.json' }
const addressesOf = (cluster: ReturnType<typeof testCluster>): string[] =>
  targets(cluster).flatMap((group) => group.targets)

test('without a metrics port members are scraped at their client port, with a certificate', () => {
  const cluster = testCluster({ name: 'blue' })
  assert.equal(targets(cluster)[0], {
    targets: ['127.77.0.101:2379'],
    labels: { cluster: 'blue', host: 'master01' },
  })
  assert.is(targets(cluster).length, 3)
  assert.equal(scrapeConfig(cluster, files), {
    job_name: 'ha-etcd-blue',
    scheme: 'https',
    tls_config: { ca_file: '/p/ca.crt', cert_file: '/p/c.crt', key_file: '/p/c.key' },
    file_sd_configs: [{ files: ['/p/targets.json'] }],
  })
})

test('with a metrics port they are scraped there, without a certificate where it is plain', () => {
  const cluster = testCluster({ masters: 1, etcd: { metricsPort: 2381 } })
  assert.equal(addressesOf(cluster), ['127.77.0.101:2381'])
  assert.is(scrapeConfig(cluster, files).scheme, 'https')
  const plain = scrapeConfig({ ...cluster, etcd: { ...cluster.etcd, metricsPlain: true } }, files)
  assert.equal([plain.scheme, plain.tls_config], ['http', undefined])
  assert.is(scrapedAt(cluster), 'https at 2381')
  assert.is(scrapedAt({ ...cluster, etcd: { ...cluster.etcd, metricsPlain: true } }), 'http at 2381')
})

test('an IPv6 address stands in brackets', () => {
  const host = { name: 'a', address: 'fd00::1', clientURL: 'https://[fd00::1]:2379', peerURL: 'https://[fd00::1]:2380' }
  assert.equal(addressesOf(testCluster({ hosts: [host] })), ['[fd00::1]:2379'])
  assert.equal(addressesOf(testCluster({ hosts: [host], etcd: { metricsPort: 2381 } })), ['[fd00::1]:2381'])
})

test('a member that another tool runs is scraped at its own client URL; while it has no TLS, without', () => {
  const foreign = { clientURL: 'http://10.0.0.1:4001', peerURL: 'http://10.0.0.1:4002' }
  const host = { name: 'old', address: '10.0.0.1', foreign, ...foreign }
  const cluster = testCluster({ hosts: [host], plainClients: 'only', etcd: { metricsPort: 2381 } })
  assert.equal(addressesOf(cluster), ['10.0.0.1:4001'])
  assert.is(scrapeConfig({ ...cluster, etcd: {} }, files).scheme, 'http')
  assert.is(scrapeConfig(cluster, files).scheme, 'https', 'the metrics port has TLS from the beginning')
})

test.run()
