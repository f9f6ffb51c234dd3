// The ssh-config of Vagrant's hosts: who is where, written once, and an honest answer to who answers.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { delimiter, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, hostNamed } from '../../../tasks/core/cluster.ts'
import { failureOf } from '../../../tasks/core/errors.ts'
import {
  crashMember,
  hasSshd,
  silentHosts,
  sshConfig,
  sshConnection,
  writeSshConfig,
} from '../../../tasks/vms/over-ssh.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** As `vagrant ssh-config` prints it. */
const fromVagrant = (ports: number[]): string =>
  ports
    .map(
      (port, index) =>
        `Host master0${index + 1}\n  HostName 127.0.0.1\n  User vagrant\n  Port ${port}\n  IdentityFile ` +
        '"/a b/private_key"\n  IdentitiesOnly yes\n  LogLevel FATAL\n\n',
    )
    .join('')

const greet = (words: string): Promise<Server> =>
  new Promise((ready) => {
    const server = createServer((socket) => socket.end(words)).listen(0, '127.0.0.1', () => ready(server))
  })

test(
  'each host goes by its name and its address and is reached there, as the user and with ' +
    'the key that Vagrant says',
  () => {
    const [first = '', second = ''] = sshConfig(testCluster(), fromVagrant([2222, 2200, 2201]), true).split(
      /^(?=Host )/m,
    )
    assert.match(
      first,
      /^Host master01 127\.77\.0\.101\n +HostName 127\.77\.0\.101\n +User vagrant\n +IdentityFile "\/a b\/private/,
    )
    assert.match(first, 'LogLevel ERROR')
    assert.not.match(first, /FATAL|Port/)
    assert.match(second, /^Host master02 127\.77\.0\.102\n {2}HostName 127\.77\.0\.102\n/)
  },
)

test('hosts whose addresses cannot be reached from here are reached by the ports that Vagrant forwards', () => {
  const [first = ''] = sshConfig(testCluster(), fromVagrant([2222, 2200, 2201]), false).split(/^(?=Host )/m)
  assert.match(first, /^Host master01 127\.77\.0\.101\n {2}HostName 127\.0\.0\.1\n {2}User vagrant\n {2}Port 2222\n/)
})

test('a host of which Vagrant says nothing is a failure that names it', () =>
  assert.throws(
    () => sshConfig(testCluster(), fromVagrant([2222, 2200]), true),
    /^Vagrant does not say how master03 is reached/,
  ))

test('it is written for its owner alone, and once', async () => {
  const cluster = testCluster()
  assert.is(await writeSshConfig(cluster, fromVagrant([1, 2, 3])), true)
  assert.is(statSync(cluster.paths.sshConfig).mode & 0o777, 0o600)
  assert.is(await writeSshConfig(cluster, fromVagrant([1, 2, 3])), false)
  assert.is(await writeSshConfig(cluster, fromVagrant([1, 2, 3]).replace('User vagrant', 'User core')), true)
  assert.match(readFileSync(cluster.paths.sshConfig, 'utf8'), /^# How the hosts of test-cluster are reached: ssh -F /)
})

test('without an ssh-config every host is silent; with one, those without an SSH server', async () => {
  const cluster = testCluster({ masters: 1 })
  assert.equal(await silentHosts(cluster), cluster.hosts)
  await writeSshConfig(cluster, fromVagrant([1]))
  assert.equal(await silentHosts(cluster), cluster.hosts)
})

test('only an SSH server is one', async () => {
  const portOf = (server: Server): number => (server.address() as AddressInfo).port
  const [web, shell] = [await greet('HTTP/1.1 400 Bad Request\r\n'), await greet('SSH-2.0-test\r\n')]
  assert.equal([await hasSshd('127.0.0.1', portOf(web)), await hasSshd('127.0.0.1', portOf(shell))], [false, true])
  for (const server of [web, shell]) server.close()
})

for (const [systemctl, isStopped] of [
  [0, true],
  [5, true],
  [1, false],
] as const)
  test(`a crash kills the container, then the unit, and keeps it down; systemctl ends with ${systemctl}`, async () => {
    const [cluster, programs, path] = [testCluster(), temporaryFolder(), process.env.PATH]
    const log = join(programs, 'log')
    writeFileSync(join(programs, 'ssh'), '#!/bin/sh\nfor command; do :; done\nexec sh -c "$command"\n', { mode: 0o755 })
    writeFileSync(join(programs, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
    for (const [name, code] of [
      ['docker', 1],
      ['systemctl', systemctl],
    ] as const)
      writeFileSync(join(programs, name), `#!/bin/sh\necho ${name} "$*" >>${log}\nexit ${code}\n`, { mode: 0o755 })
    process.env.PATH = `${programs}${delimiter}${path}`
    const failure = await failureOf(() => crashMember(cluster, hostNamed(cluster, 'master01')))
    process.env.PATH = path
    assert.is(failure === undefined, isStopped)
    assert.is(
      readFileSync(log, 'utf8'),
      'docker kill etcd-member\nsystemctl kill --signal SIGKILL etcd-member\nsystemctl stop etcd-member\n',
    )
  })

test("a path with a space reaches ssh whole, and Ansible's control socket is the cluster's own", () => {
  const cluster = testCluster({ paths: { sshConfig: '/a b/ssh-config' } })
  const [host] = cluster.hosts
  if (!host) throw new Error('no host')
  const { ansible_ssh_args, ansible_host } = sshConnection(cluster, host)
  assert.match(String(ansible_ssh_args), /^-F '\/a b\/ssh-config' /)
  assert.is(ansible_host, '127.77.0.101') // the name of the socket is made of it: master01 is a host of every cluster
})

test('no cluster is given the connection to a host that has the same address at another place', () => {
  const [folder, other] = ['/a/ssh-config', '/b/ssh-config'].map((sshConfig) => {
    const cluster = testCluster({ paths: { ...testCluster().paths, sshConfig } })
    return String(sshConnection(cluster, cluster.hosts[0] as Host).ansible_control_path_dir)
  })
  assert.match(folder ?? '', /^~\/\.ansible\/cp\/[0-9a-f]{8}$/)
  assert.is.not(folder, other)
})

test("Ansible runs the system's Python, unless the configuration names another for a host", () => {
  const [first, second] = testCluster().hosts
  if (!first || !second) throw new Error('no host')
  const cluster = testCluster({
    provider: 'ssh',
    own: { hosts: [{ ...first, python: '/usr/bin/python3.11' }, second], inventory: undefined },
  })
  assert.equal(
    [first, second].map((host) => sshConnection(cluster, host).ansible_python_interpreter),
    ['/usr/bin/python3.11', '/usr/bin/python3'],
  )
})

test.run()
