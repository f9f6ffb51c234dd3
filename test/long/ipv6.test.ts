// Clusters on IPv6, and on both: in a network namespace that has no other network, with addresses on its loopback.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requireEtcd } from '../../tasks/etcd/binaries.ts'
import { testCluster } from '../support/cluster.ts'
import { addAddress, inNamespace, removeNamespace, within } from '../support/namespace.ts'
import { testHome } from '../support/verbs.ts'

const [six, both] = [testHome({}, undefined, within), testHome({ HA_ETCD_PROVIDER: 'auto' }, undefined, within)]
writeFileSync(join(six.path, 'cluster.yaml'), 'subnet: fd00:e7cd:0:1::/64\n')

test.after(async () => {
  await six.downAll()
  removeNamespace() // no verb stops hosts of one's own that are folders of this machine
  rmSync(both.path, { recursive: true, force: true })
})

/** Performs a verb that must succeed. */
async function done(home: typeof six, verb: string, ...flags: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await home.verb(verb, ...flags, '--yes')
  assert.is(exitCode, 0, `${verb}: ${stderr}`)
  return stdout
}

inNamespace('an IPv6 cluster comes up, is backed up, and gets a lost member back and a new authority', async () => {
  for (const last of [101, 102, 103]) addAddress(`fd00:e7cd:0:1::${last}`)
  await done(six, 'up')
  await done(six, 'backup')
  const state = join(six.path, '.cluster/etcd-cluster-1')
  const keeper = JSON.parse(readFileSync(join(state, 'hosts/master02/etc/keeper/keeper.json'), 'utf8'))
  const member = JSON.parse(readFileSync(join(state, 'hosts/master02/etc/keeper/member.json'), 'utf8'))
  for (const { pid } of [keeper, member]) process.kill(pid, 'SIGKILL')
  rmSync(join(state, 'hosts/master02'), { recursive: true })
  await done(six, 'replace', 'master02')
  await done(six, 'rotate-ca')
  assert.match(await done(six, 'verify'), 'peerURLs=https://[fd00:e7cd:0:1::102]:2380')
  await done(six, 'down')
})

/** An inventory of a person's own, whose hosts are folders of this machine. */
async function inventoryOf(hosts: Record<string, object>): Promise<object> {
  for (const name of Object.keys(hosts)) mkdirSync(join(both.path, 'roots', name), { recursive: true })
  const root = join(both.path, 'roots/{{ inventory_hostname }}')
  const vars = {
    ansible_connection: 'local',
    ansible_python_interpreter: '{{ ansible_playbook_python }}',
    ansible_become: false,
    etcd_service_manager: 'keeper',
    etcd_user: '',
    etcd_doctor: false, // hosts that share a machine take each other's listeners for their own
    etcd_loopback_ports: [],
    etcd_bin_directory: (await requireEtcd(testCluster())).folder,
    etcd_keeper_directory: `${root}/keeper`,
    etcd_ssl_directory: `${root}/ssl`,
    etcd_data_directory: `${root}/data`,
    etcd_log_file: `${root}/etcd.log`,
  }
  return { etcd: { hosts, vars } }
}

inNamespace('IPv4 and IPv6 members make one cluster, one of them named by its address', async () => {
  const [four, ...others] = ['10.231.0.11', 'fd00:e7cd:2::12', 'fd00:e7cd:2::13']
  for (const address of [four, ...others]) addAddress(address)
  const hosts = { four: { private_ipv4: four }, six: { private_ipv6: 'FD00:E7CD:2:0::12' }, 'fd00:e7cd:2::13': {} }
  writeFileSync(join(both.path, 'hosts.yml'), JSON.stringify(await inventoryOf(hosts)))
  const config = { inventory: 'hosts.yml', pki: { extraSans: [four, ...others] } }
  writeFileSync(join(both.path, 'cluster.yaml'), JSON.stringify(config))
  await done(both, 'up')
  assert.match(await done(both, 'up'), 'nothing had to be changed')
  const said = await done(both, 'verify')
  for (const line of [
    'name=four peerURLs=https://10.231.0.11:2380',
    'name=six peerURLs=https://[fd00:e7cd:2::12]:2380',
  ])
    assert.match(said, line)
  assert.match(said, 'name=fd00:e7cd:2::13 peerURLs=https://[fd00:e7cd:2::13]:2380')
})

test.run()
