// Hosts that a person already has: what is taken from the configuration or an inventory, and what is refused.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loadSettings } from '../../../tasks/core/config.ts'
import { UsageError } from '../../../tasks/core/errors.ts'
import {
  checkOwnHosts,
  hostsInInventory,
  hostsListed,
  type Inventory,
  type OwnHost,
  refuseOtherHosts,
} from '../../../tasks/core/own-hosts.ts'
import { sshConfig } from '../../../tasks/vms/ssh-config.ts'
import { temporaryFolder } from '../../support/folder.ts'

const file = (name: string, content: string): string => {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, content)
  return path
}
const host = (number: number): { name: string; address: string } => ({
  name: `m${number}`,
  address: `10.0.0.${number}`,
})
const asked = (content: string) => loadSettings({ config: file('cluster.yaml', content) }).asked

test('hosts of the configuration, paths meant from where the file lies', () => {
  const { hosts } = asked(
    'hosts:\n  - { name: m1, address: 10.0.0.1, ssh: { user: core, port: 2200, identityFile: ' +
      '/keys/id, jump: bastion } }\n',
  )
  assert.equal(hosts, [
    { name: 'm1', address: '10.0.0.1', ssh: { user: 'core', port: 2200, identityFile: '/keys/id', jump: 'bastion' } },
  ])
})

for (const [content, says] of [
  [
    'hosts: [{ name: m1, address: 10.0.0.1 }, { name: m2, address: 10.0.0.2 }]',
    'must name 1, 3, 5, 7 or 9 hosts, not 2: an even number',
  ],
  [
    'hosts: [{ name: m1, address: 10.0.0.1 }, { name: m2, address: 10.0.0.1 }, { name: m3, address: 10.0.0.3 }]',
    'm1 and m2 have the same address 10.0.0.1',
  ],
  [
    'hosts: [{ name: m1, address: 10.0.0.1 }, { name: m1, address: 10.0.0.2 }, { name: m3, address: 10.0.0.3 }]',
    'names m1 twice',
  ],
  ['hosts: [{ name: m1, address: server.example }]', 'must be an IPv4 or IPv6 address'],
  ['hosts: [{ name: m1, address: "[fd00::1]" }]', 'must be an IPv4 or IPv6 address'],
  ['hosts: [{ name: m1, address: 0.0.0.0 }]', 'm1 has the address 0.0.0.0, which no host can have'],
  ['hosts: [{ name: m1, address: 224.0.0.1 }]', 'm1 has the address 224.0.0.1, which no host can have'],
  ['hosts: [{ name: m1, address: fe80::1 }]', 'hosts: m1 has the address fe80::1, which is link-local'],
  ['hosts: [{ name: m1, address: fe80::1%eth0 }]', 'm1 has the address fe80::1%eth0, which is link-local'],
  ['hosts: [{ name: m1, address: ff02::1 }]', 'm1 has the address ff02::1, which is multicast'],
  ['hosts: [{ name: m1, address: "::" }]', 'm1 has the address ::, which no host can have'],
  ['hosts: [{ name: m1, address: "::ffff:10.0.0.1" }]', 'in the form of IPv6: give it as 10.0.0.1'],
  [
    'hosts: [{ name: m1, address: fd00::1 }, { name: m2, address: FD00:0::1 }, { name: m3, address: fd00::3 }]',
    'm1 and m2 have the same address fd00::1',
  ],
  ['hosts: [{ name: "FD00::1", address: fd00::1 }]', 'must be a DNS name in lower case'],
  ['hosts: [{ name: m1, adress: 10.0.0.1 }]', 'is not a known key. Did you mean address?'],
  ['hosts: [{ name: m1, address: 10.0.0.1, ssh: { usr: me } }]', 'is not a known key. Did you mean user?'],
  ['hosts: [{ name: M1, address: 10.0.0.1 }]', 'must be a DNS name in lower case'],
  ['hosts: [{ name: ../m1, address: 10.0.0.1 }]', 'must be a DNS name in lower case'],
  ['hosts: [{ name: m1..example, address: 10.0.0.1 }]', 'must be a DNS name in lower case'],
  ['hosts: [{ name: 10.0.0.300, address: 10.0.0.1 }]', 'must be a DNS name in lower case'],
  ['hosts: [{ name: server, address: 10.0.0.1 }]', 'cannot be named server'],
  ['hosts: [{ name: ca, address: 10.0.0.1 }]', 'cannot be named ca: its peer certificate would be the file ca.crt'],
  ['hosts: [{ name: etcd-client, address: 10.0.0.1 }]', 'cannot be named etcd-client'],
  [
    'hosts: [{ name: all, address: 10.0.0.1 }]',
    'hosts: a host cannot be named all: to Ansible that name has a meaning',
  ],
  ['hosts: [{ name: localhost, address: 10.0.0.1 }]', 'a host cannot be named localhost'],
  ['hosts: [{ name: m1, address: 10.0.0.1, python: python3.11 }]', 'must be the absolute path of a Python'],
  [
    'hosts: [{ name: m1, address: 10.0.0.1, python: "/usr/bin/python3{{lookup(1)}}" }]',
    'hosts.0.python must not contain {{',
  ],
  [
    'hosts: [{ name: m1, address: 10.0.0.1, ssh: { identityFile: "/{# k #}" } }]',
    'hosts.0.ssh.identityFile must not contain {{',
  ],
  [
    'hosts: [{ name: m1, address: 10.0.0.1, ssh: { identityFile: "/k\\n  ProxyCommand x" } }]',
    'hosts.0.ssh.identityFile must be on one line',
  ],
  [
    `hosts: [{ name: m1, address: 10.0.0.1, ssh: { knownHosts: '/a "b' } }]`,
    'hosts.0.ssh.knownHosts must not contain "',
  ],
  ['hosts: [{ name: m1, address: 10.0.0.1, ssh: { user: "a\\eb" } }]', 'hosts.0.ssh.user must be on one line'],
  ['hosts: [{ name: m1, address: 10.0.0.1, ssh: { host: -oProxyCommand=x } }]', 'hosts.0.ssh.host must be one word'],
  ['{ provider: local, hosts: [{ name: m1, address: 10.0.0.1 }] }', 'hosts is for provider ssh, not local'],
  ['{ masters: 3, hosts: [{ name: m1, address: 10.0.0.1 }] }', 'hosts names 1 hosts, but masters is 3'],
  ['{ subnet: 10.0.0.0/24, hosts: [{ name: m1, address: 10.0.0.1 }] }', 'exclude each other'],
  ['{ inventory: there.ini }', 'there is no'],
  ['provider: ssh', 'provider ssh needs hosts, or an inventory'],
] as const)
  test(`refused: ${content}`, () => assert.throws(() => asked(content), says))

test('an inventory: the group of the masters, their addresses, and how ssh reaches them', async () => {
  const hosts = await hostsInInventory(
    file(
      'hosts.ini',
      '[etcd]\na1 ansible_host=10.0.0.1 ansible_port=2200\nb2.example ' +
        "private_ipv4=10.0.0.2\n10.0.0.3\n\n[etcd:vars]\nansible_user=me\nansible_ssh_common_args='-J " +
        "bastion -o UserKnownHostsFile=/known'\n",
    ),
  )
  assert.equal(
    hosts.map(({ name, address }) => `${name} ${address}`),
    ['a1 10.0.0.1', 'b2.example 10.0.0.2', '10.0.0.3 10.0.0.3'],
  )
  const ssh = {
    host: '10.0.0.1',
    port: 2200,
    user: 'me',
    identityFile: undefined,
    options: ['ProxyJump bastion', 'UserKnownHostsFile=/known'],
  }
  assert.equal(hosts[0], { name: 'a1', address: '10.0.0.1', ssh })
})

test('an inventory of IPv6 hosts and others: addresses in one form, private_ipv4 before private_ipv6', async () => {
  const hosts = await hostsInInventory(
    file(
      'hosts.ini',
      '[etcd]\nfd00::11\na2 ansible_host=FD00:0::12\na3 ansible_host=a3.example private_ipv6=fd00::13\n' +
        'a4 private_ipv4=10.0.0.4 private_ipv6=fd00::14\n[fd00::15]:2222\n',
    ),
  )
  assert.equal(
    hosts.map(({ name, address, ssh }) => [name, address, ssh?.host, ssh?.port]),
    [
      ['fd00::11', 'fd00::11', 'fd00::11', undefined],
      ['a2', 'fd00::12', 'FD00:0::12', undefined],
      ['a3', 'fd00::13', 'a3.example', undefined],
      ['a4', '10.0.0.4', 'a4', undefined],
      ['fd00::15', 'fd00::15', 'fd00::15', 2222],
    ],
  )
  const config = file('ssh-config', sshConfig(hosts))
  for (const asked of ['fd00::15', 'a3', 'fd00::13']) {
    const said = execFileSync('ssh', ['-G', '-F', config, asked], { encoding: 'utf8' })
    assert.match(said, asked === 'fd00::15' ? /^hostname fd00::15\n(.*\n)*port 2222$/m : /^hostname a3\.example$/m)
  }
})

/** The hosts of an inventory whose one host, a1, has these variables. */
function withVariables(variables: Record<string, string | number>, group = 'etcd'): OwnHost[] {
  const inventory = { [group]: { hosts: ['a1'] }, _meta: { hostvars: { a1: variables } } }
  return hostsListed(inventory as unknown as Inventory, 'hosts.ini', {})
}
const withVariable = (key: string, value: string): OwnHost[] =>
  withVariables({ ansible_host: '10.0.0.1', private_ipv4: '10.0.0.1', [key]: value })

test('an inventory in the older words for how ssh reaches a host', () => {
  const words = { ansible_ssh_host: '10.0.0.1', ansible_ssh_port: 2200, ansible_ssh_user: 'me' }
  assert.equal(withVariables({ ...words, ansible_private_key_file: '/k' }), [
    {
      name: 'a1',
      address: '10.0.0.1',
      ssh: { host: '10.0.0.1', port: 2200, user: 'me', identityFile: '/k', options: [] },
    },
  ])
})

// What ssh itself makes of the file, by `ssh -G`.
for (const [args, expected] of [
  ['-o ProxyCommand="ssh -W %h:%p -q bastion"', 'proxycommand ssh -W %h:%p -q bastion'],
  [`-o 'ProxyCommand=ssh -W "%h:%p" bastion'`, 'proxycommand ssh -W "%h:%p" bastion'],
  ["-o 'ProxyJump=bastion'", 'proxyjump bastion'],
  ['-oProxyJump=bastion -C', 'proxyjump bastion'],
  ['-Jbastion', 'proxyjump bastion'],
  ['-qJ me@bastion:2200', 'proxyjump me@bastion:2200'],
  ['-o "ServerAliveInterval 7"', 'serveraliveinterval 7'],
  ['-p 2201 -l other', 'port 2201'],
  ['-p2201 -l other', 'user other'],
  ["-i '/my keys/id'", 'identityfile /my keys/id'],
  ['-o StrictHostKeyChecking=no', 'stricthostkeychecking false'],
  ['', 'stricthostkeychecking true'],
  ['-o ControlMaster=auto -o ControlPersist=60s', 'controlmaster false'],
] as const)
  test(`ssh's arguments in an inventory reach ssh: ${args || 'none'}`, () => {
    const config = file('ssh-config', sshConfig(withVariable('ansible_ssh_common_args', args)))
    assert.ok(execFileSync('ssh', ['-G', '-F', config, 'a1'], { encoding: 'utf8' }).split('\n').includes(expected))
  })

for (const [key, value, says] of [
  ['ansible_ssh_common_args', '-J {{ bastion }}', 'ansible_ssh_common_args is a template'],
  ['ansible_host', '{{ inventory_hostname }}.example', 'ansible_host is a template'],
  ['ansible_user', '{# me #}', 'ansible_user is a template'],
  ['private_ipv4', '{% if x %}10.0.0.1{% endif %}', 'private_ipv4 is a template'],
  ['ansible_host', '-oProxyCommand=x', 'ansible_host must not start with -'],
  ['ansible_user', 'me\n  ProxyCommand x', 'ansible_user must be on one line'],
  ['ansible_ssh_private_key_file', '/k"\n  ProxyCommand x #', 'ansible_ssh_private_key_file must be on one line'],
  ['ansible_private_key_file', '/my "keys', 'ansible_ssh_private_key_file must not contain "'],
  ['ansible_ssh_common_args', "-i '/k\n  ProxyCommand x'", 'ansible_ssh_common_args: -i must be on one line'],
  ['ansible_ssh_common_args', '-J -oProxyCommand=x', 'ansible_ssh_common_args: -J must not start with -'],
  ['ansible_ssh_extra_args', "-o 'ProxyJump=bastion", 'ansible_ssh_extra_args has a quote that is not closed'],
] as const)
  test(`refused in an inventory: ${key}=${value}`, () => {
    const refused = (error: Error): boolean =>
      error instanceof UsageError && error.message.startsWith('a1 in ') && error.message.includes(says)
    assert.throws(() => withVariable(key, value), refused)
  })

test('an inventory without the group, or with no fit address, is refused; and a file that is none', async () => {
  const says = (words: string) => (error: Error) => error.message.includes(words)
  const refused = (words: string, ...given: Parameters<typeof withVariables>): void =>
    assert.throws(() => withVariables(...given), says(words))
  refused('hosts.ini has no group role=master or etcd', { ansible_host: '10.0.0.1' }, 'web')
  refused('a1 in hosts.ini has no IP address: set private_ipv4 or private_ipv6', { ansible_host: 'a1.example' })
  refused('a1 has the address fe80::1%eth0, which is link-local', { private_ipv6: 'fe80::1%eth0' })
  const failure = await hostsInInventory(file('hosts.ini', '[etcd\nbroken')).catch((error: Error) => error)
  assert.match((failure as Error).message, 'cannot be read')
})

test('other hosts than the cluster was made of are refused, each named', () => {
  refuseOtherHosts([host(1)], [host(1)], 'the configuration')
  assert.throws(
    () => refuseOtherHosts([host(1), host(2)], [host(1), host(3)], 'the configuration'),
    /m2 \(10\.0\.0\.2\) went, m3 \(10\.0\.0\.3\) came/,
  )
})

test('how many hosts, said also where there is none', () =>
  assert.throws(() => checkOwnHosts([], 'hosts'), /must name 1, 3, 5, 7 or 9 hosts, not 0/))

test(
  'the ssh configuration checks host keys, quotes what has spaces, and leaves the rest to the person’s ' +
    'own, then to the system’s',
  () => {
    const text = sshConfig([
      { name: 'm1', address: '10.0.0.1', ssh: { user: 'core', identityFile: '/my keys/id', jump: 'bastion' } },
    ])
    assert.match(
      text,
      /^Host m1 10\.0\.0\.1\n {2}HostName 10\.0\.0\.1\n {2}User core\n {2}IdentityFile "\/my keys\/id"\n/,
    )
    for (const line of ['StrictHostKeyChecking yes', 'ProxyJump bastion']) assert.match(text, line)
    assert.match(text, /\nHost \*\n {2}Include ~\/\.ssh\/config\n {2}Include \/etc\/ssh\/ssh_config\n$/)
  },
)

test.run()
