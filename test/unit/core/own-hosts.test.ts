// Hosts that a person already has: what is taken from the configuration or an inventory, and what is refused.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loadSettings } from '../../../tasks/core/config.ts'
import { checkOwnHosts, hostsInInventory, refuseOtherHosts } from '../../../tasks/core/own-hosts.ts'
import { sshConfig } from '../../../tasks/vms/ssh-config.ts'
import { temporaryFolder } from '../../support/folder.ts'

const file = (name: string, content: string): string => {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, content)
  return path
}
const host = (number: number): { name: string; address: string } => ({ name: `m${number}`, address: `10.0.0.${number}` })
const asked = (content: string) => loadSettings({ config: file('cluster.yaml', content) }).asked

test('hosts of the configuration, paths meant from where the file lies', () => {
  const { hosts } = asked('hosts:\n  - { name: m1, address: 10.0.0.1, ssh: { user: core, port: 2200, identityFile: /keys/id, jump: bastion } }\n')
  assert.equal(hosts, [{ name: 'm1', address: '10.0.0.1', ssh: { user: 'core', port: 2200, identityFile: '/keys/id', jump: 'bastion' } }])
})

for (const [content, says] of [
  ['hosts: [{ name: m1, address: 10.0.0.1 }, { name: m2, address: 10.0.0.2 }]', 'must name 1, 3, 5, 7 or 9 hosts, not 2: an even number'],
  ['hosts: [{ name: m1, address: 10.0.0.1 }, { name: m2, address: 10.0.0.1 }, { name: m3, address: 10.0.0.3 }]', 'm1 and m2 have the same address 10.0.0.1'],
  ['hosts: [{ name: m1, address: 10.0.0.1 }, { name: m1, address: 10.0.0.2 }, { name: m3, address: 10.0.0.3 }]', 'names m1 twice'],
  ['hosts: [{ name: m1, address: server.example }]', 'must be an IPv4 address'],
  ['hosts: [{ name: m1, adress: 10.0.0.1 }]', 'is not a known key. Did you mean address?'],
  ['hosts: [{ name: m1, address: 10.0.0.1, ssh: { usr: me } }]', 'is not a known key. Did you mean user?'],
  ['hosts: [{ name: M1, address: 10.0.0.1 }]', 'must be lower-case letters'],
  ['{ provider: local, hosts: [{ name: m1, address: 10.0.0.1 }] }', 'hosts is for provider ssh, not local'],
  ['{ masters: 3, hosts: [{ name: m1, address: 10.0.0.1 }] }', 'hosts names 1 hosts, but masters is 3'],
  ['{ subnet: 10.0.0.0/24, hosts: [{ name: m1, address: 10.0.0.1 }] }', 'exclude each other'],
  ['{ inventory: there.ini }', 'there is no'],
  ['provider: ssh', 'provider ssh needs hosts, or an inventory'],
] as const)
  test(`refused: ${content}`, () => assert.throws(() => asked(content), says))

test('an inventory: the group of the masters, their addresses, and how ssh reaches them', async () => {
  const inventory = file(
    'hosts.ini',
    "[etcd]\na1 ansible_host=10.0.0.1 ansible_port=2200\nb2 ansible_host=b2.example private_ipv4=10.0.0.2\n10.0.0.3\n\n[etcd:vars]\nansible_user=me\nansible_ssh_common_args='-J bastion -o UserKnownHostsFile=/known'\n",
  )
  const failure = await hostsInInventory(inventory).catch((error: Error) => error)
  assert.match((failure as Error).message, '10.0.0.3 in')
  writeFileSync(inventory, '[etcd]\na1 ansible_host=10.0.0.1 ansible_port=2200 ansible_user=me ansible_ssh_common_args="-J bastion -o UserKnownHostsFile=/known"\n')
  const [only] = await hostsInInventory(inventory)
  assert.equal(only, { name: 'a1', address: '10.0.0.1', ssh: { host: '10.0.0.1', port: 2200, user: 'me', identityFile: undefined, knownHosts: '/known', jump: 'bastion' } })
})

test('an inventory without the group, or that is none, is refused', async () => {
  for (const [content, says] of [
    ['[web]\nw1 ansible_host=10.0.0.1\n', 'has no group role=master or etcd'],
    ['[etcd\nbroken', 'cannot be read'],
    ['[etcd]\na1 ansible_host=a1.example\n', 'a1 in .* has no IPv4 address'],
  ] as const) {
    const failure = await hostsInInventory(file('hosts.ini', content)).catch((error: Error) => error)
    assert.match((failure as Error).message, new RegExp(says))
  }
})

test('other hosts than the cluster was made of are refused, each named', () => {
  refuseOtherHosts([host(1)], [host(1)], 'the configuration')
  assert.throws(() => refuseOtherHosts([host(1), host(2)], [host(1), host(3)], 'the configuration'), 'm2 (10.0.0.2) went, m3 (10.0.0.3) came')
})

test('how many hosts, said also where there is none', () => assert.throws(() => checkOwnHosts([], 'hosts'), 'must name 1, 3, 5, 7 or 9 hosts, not 0'))

test('the ssh configuration checks host keys, quotes what has spaces, and leaves the rest to the person’s own, then to the system’s', () => {
  const text = sshConfig([{ name: 'm1', address: '10.0.0.1', ssh: { user: 'core', identityFile: '/my keys/id', jump: 'bastion' } }])
  assert.match(text, /^Host m1 10\.0\.0\.1\n {2}HostName 10\.0\.0\.1\n {2}User core\n {2}IdentityFile "\/my keys\/id"\n/)
  for (const line of ['StrictHostKeyChecking yes', 'ProxyJump bastion']) assert.match(text, line)
  assert.match(text, /\nHost \*\n {2}Include ~\/\.ssh\/config\n {2}Include \/etc\/ssh\/ssh_config\n$/)
})

test.run()
