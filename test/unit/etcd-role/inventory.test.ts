// What Ansible is told is taken as it is: nothing of it may be a template.
import { existsSync, readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../tasks/core/errors.ts'
import { runPlaybook } from '../../../tasks/etcd/playbook.ts'
import { writeInventory } from '../../../tasks/etcd-role/inventory.ts'
import { testCluster } from '../../support/cluster.ts'

const test = suite('inventory')

test('programs in a folder that Ansible would evaluate are refused, and no inventory is written', () => {
  const cluster = testCluster()
  for (const host of cluster.hosts) host.connection = { ansible_connection: 'local' }
  const write = (folder: string): void => writeInventory(cluster, { folder, version: '3.6.14' })
  assert.throws(
    () => write('/opt/{{ x }}'),
    /^etcd_bin_directory must not contain \{\{, .*, not "\/opt\/\{\{ x \}\}"\.$/,
  )
  assert.not(existsSync(cluster.paths.inventory))
  write('/opt/{x}')
  assert.ok(existsSync(cluster.paths.inventory))
})

test('hosts of several architectures get a folder for each, by what they call their machine', () => {
  const cluster = testCluster({ provider: 'ssh' })
  for (const host of cluster.hosts) host.connection = {}
  writeInventory(cluster, { folder: '/a', version: '3.6.14', folders: { amd64: '/a', arm64: '/b' } })
  assert.match(
    readFileSync(cluster.paths.inventory, 'utf8'),
    /etcd_binaries_source:\n\s+x86_64: \/a\n\s+aarch64: \/b\n/,
  )
})

test('the metrics port reaches the role where one is asked for, and nothing of it otherwise', () => {
  const inventoryWith = (etcd: { metricsPort?: number; metricsPlain?: boolean }): string => {
    const cluster = testCluster({ provider: 'ssh', etcd })
    for (const host of cluster.hosts) host.connection = {}
    writeInventory(cluster, { folder: '/a', version: '3.6.14' })
    return readFileSync(cluster.paths.inventory, 'utf8')
  }
  assert.not.match(inventoryWith({}), 'metrics')
  assert.match(inventoryWith({ metricsPort: 2381 }), /etcd_metrics_port: 2381\n\s+etcd_metrics_plain: false\n/)
  assert.match(inventoryWith({ metricsPort: 2381, metricsPlain: true }), /etcd_metrics_plain: true\n/)
})

test('IPv6 addresses have a variable of their own, and none is a number in YAML 1.1, which Ansible reads', () => {
  const cluster = testCluster({ provider: 'ssh' })
  for (const host of cluster.hosts) host.connection = {}
  Object.assign(cluster.hosts[1] as object, { address: '20:1:2:3:4:5:6:7' })
  writeInventory(cluster, { folder: '/a', version: '3.6.14' })
  const text = readFileSync(cluster.paths.inventory, 'utf8')
  assert.match(text, /private_ipv4: 127\.77\.0\.101\n\s+master02:\n\s+private_ipv6: "20:1:2:3:4:5:6:7"\n/)
})

test('a play is given no template, at whatever depth', async () => {
  for (const variables of [
    { etcd_snapshot: '/backups/{% x %}.db' },
    { etcd_environment: { ETCD_X: '{# x #}' } },
    { etcd_without: ['{{ x }}'] },
  ]) {
    const failure = await runPlaybook(testCluster(), { playbook: 'inspect', variables }).catch((error: Error) => error)
    assert.instance(failure, UsageError)
    assert.match((failure as Error).message, new RegExp(`^${Object.keys(variables)[0]} must not contain \\{\\{`))
  }
})

test.run()
