// Vagrant's hosts for real: containers with systemd from the rendered Vagrantfile, then everything that the original
// did there. Needs a Docker engine (DOCKER_HOST) in whose network this runs, Vagrant, and the hosts' image or the means
// to build it.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import '../support/own-ansible.ts'
import { snapshotOf, testHome } from '../support/verbs.ts'
import { pause } from '../support/wait.ts'

const subnet = process.env.E2E_SUBNET ?? '192.168.62.0/24'
const image = process.env.TEST_IMAGE ?? ''
const name = 'v-e2e'
const home = testHome({ HA_ETCD_PROVIDER: 'vagrant', HA_ETCD_CLUSTER: name })
writeFileSync(join(home.path, 'cluster.yaml'), `subnet: ${subnet}\nvagrant: { provider: docker }\n`)
const state = join(home.path, '.cluster', name)
const folder = join(state, 'vagrant')
const hosts = ['master01', 'master02', 'master03']
const address = (number: number): string => subnet.replace('0/24', `10${number}`)

interface Result {
  exitCode: number
  stdout: string
  stderr: string
}

/** Runs a program as a person would, in the cluster's Vagrant folder. */
const byHand = (program: string, ...args: string[]): Promise<Result> =>
  new Promise((done) =>
    execFile(
      program,
      args,
      { cwd: existsSync(folder) ? folder : home.path, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => done({ exitCode: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
    ),
  )
const onHost = async (host: string, command: string): Promise<string> => {
  const { stdout, stderr, exitCode } = await byHand('ssh', '-F', join(state, 'ssh-config'), host, command)
  assert.is(exitCode, 0, `${command} on ${host}: ${stderr}`)
  return stdout.trim()
}
const pids = async (): Promise<string[]> =>
  Promise.all(hosts.map((host) => onHost(host, 'systemctl show --property MainPID --value etcd-member')))

test('phase vms alone brings up three hosts with systemd and keys of their own, on an engine in use', async () => {
  let busy = true
  const others = (async () => {
    for (; busy; await pause(2000)) await byHand('docker', 'run', '--rm', '--entrypoint', 'true', image)
  })()
  const { exitCode, stderr } = await home.verb('vms', '--yes')
  busy = false
  await others
  assert.is(exitCode, 0, stderr)
  for (const [index, host] of hosts.entries()) {
    assert.is(await onHost(host, 'hostname'), host)
    assert.match(await onHost(host, 'ps -p 1 -o comm= 2>/dev/null || cat /proc/1/comm'), 'systemd')
    assert.match(await onHost(host, 'ip -brief address'), `${address(index + 1)}/24`)
    assert.not.match(await onHost(host, 'cat .ssh/authorized_keys'), 'insecure public key')
  }
  const hostKeys = await Promise.all(hosts.map((host) => onHost(host, 'cat /etc/ssh/ssh_host_ed25519_key.pub')))
  assert.is(new Set(hostKeys.map((key) => key.split(' ')[1])).size, 3)
})

test('phase vms again changes no file and starts nothing', async () => {
  const before = snapshotOf(folder)
  const config = snapshotOf(state)['ssh-config']
  const { exitCode, stdout } = await home.verb('vms')
  assert.is(exitCode, 0)
  assert.match(stdout, '3 docker hosts are up')
  assert.equal(snapshotOf(folder), before)
  assert.is(snapshotOf(state)['ssh-config'], config)
})

test('by hand before there are certificates, Vagrant stops with one sentence that says what to do', async () => {
  const { exitCode, stdout, stderr } = await byHand('vagrant', 'up', '--provision')
  assert.is.not(exitCode, 0)
  assert.match(stderr, /ca\.crt is missing\. Make the certificates and get etcd first, with: npx zx scripts\/up\.ts/)
  assert.not.match(stdout, 'TASK [')
})

test('up ends with a verified cluster on these hosts', async () => {
  const { exitCode, stdout, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'The cluster is up and verified')
  assert.match(stdout, /Hosts +3 vagrant/)
})

test("the hosts hold what the original's role left there", async () => {
  for (const [index, host] of hosts.entries()) {
    const files = (await onHost(host, 'sudo ls /etc/ssl/etcd')).split('\n')
    assert.equal(
      files.sort(),
      ['ca.crt', 'etcd-client.crt', 'etcd-client.key', 'server.crt', 'server.key', `${host}.crt`, `${host}.key`].sort(),
    )
    assert.is(await onHost(host, 'sudo stat -c %a:%U /etc/ssl/etcd/server.key /var/lib/etcd'), '600:etcd\n700:etcd')
    const dropIn = await onHost(host, 'sudo cat /etc/systemd/system/etcd-member.service.d/40-cluster-ips.conf')
    const at = address(index + 1)
    for (const words of [
      `ETCD_NAME=${host}`,
      `ETCD_LISTEN_PEER_URLS=https://${at}:2380`,
      `ETCD_LISTEN_CLIENT_URLS=https://${at}:2379,https://127.0.0.1:2379,https://127.0.0.1:4001`,
      `ETCD_INITIAL_CLUSTER_TOKEN=${name}`,
      `ETCD_INITIAL_CLUSTER=${hosts.map((each, number) => `${each}=https://${address(number + 1)}:2380`).join(',')}`,
      'ETCD_STRICT_RECONFIG_CHECK=true',
      'ETCD_CLIENT_CERT_AUTH=true',
      'ETCD_PEER_CLIENT_CERT_AUTH=true',
    ])
      assert.match(dropIn, words)
    assert.is(
      await onHost(host, 'systemctl is-active etcd-member; systemctl is-enabled etcd-member'),
      'active\nenabled',
    )
  }
})

test("the inventory is the original's: group role=master, private_ipv4", () => {
  const { all } = parse(readFileSync(join(state, 'inventory.yml'), 'utf8')) as {
    all: { children: Record<string, { hosts: Record<string, { private_ipv4: string }> }> }
  }
  const members = all.children['role=master']?.hosts ?? {}
  assert.equal(
    Object.entries(members).map(([host, { private_ipv4 }]) => [host, private_ipv4]),
    hosts.map((host, index) => [host, address(index + 1)]),
  )
})

test('on any master, health and the member list can be had by hand', async () => {
  const flags =
    '--cacert /etc/ssl/etcd/ca.crt --cert /etc/ssl/etcd/etcd-client.crt --key ' +
    '/etc/ssl/etcd/etcd-client.key --endpoints https://127.0.0.1:2379'
  for (const host of hosts) {
    assert.match(
      await onHost(host, `sudo /usr/local/bin/etcdctl ${flags} endpoint health --cluster 2>&1`),
      /(is healthy[\s\S]*){3}/,
    )
    assert.is((await onHost(host, `sudo /usr/local/bin/etcdctl ${flags} member list`)).split('\n').length, 3)
  }
})

test('vagrant up --provision by hand runs the same playbook over all hosts, and finds nothing to do', async () => {
  const before = await pids()
  const { exitCode, stdout, stderr } = await byHand('vagrant', 'up', '--provision')
  assert.is(exitCode, 0, stderr)
  assert.is(stdout.split('PLAY [etcd]').length - 1, 1)
  for (const host of hosts) assert.match(stdout, new RegExp(`${host} +: ok=\\d+ +changed=0 +unreachable=0 +failed=0`))
  assert.equal(await pids(), before)
})

test('up again restarts no member', async () => {
  const before = await pids()
  const { exitCode, stdout, stderr } = await home.verb('up')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'nothing had to be changed')
  assert.equal(await pids(), before)
})

test('a host that was halted comes back at the same address, with its data', async () => {
  assert.is((await byHand('vagrant', 'halt', 'master02')).exitCode, 0)
  const { exitCode, stdout, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'The cluster is up and verified')
  assert.match(await onHost('master02', 'ip -brief address'), `${address(2)}/24`)
})

test('containers with etcd that Vagrant here knows nothing of are left as they are, and the run refused', async () => {
  renameSync(state, `${state}.kept`) // as if the folder had been lost
  try {
    const { exitCode, stderr } = await home.verb('up', '--yes')
    assert.is(exitCode, 1)
    assert.match(
      stderr,
      /Docker has 3 hosts of v-e2e with etcd, .* They were not changed(.|\n)*Next: .*down\.ts --cluster v-e2e/,
    )
  } finally {
    rmSync(state, { recursive: true, force: true })
    renameSync(`${state}.kept`, state)
  }
  assert.match((await home.verb('up')).stdout, 'nothing had to be changed')
})

test("a container that a killed run left behind, unknown to Vagrant, is in nobody's way", async () => {
  const orphan = (
    await byHand('docker', 'ps', '--quiet', '--no-trunc', '--filter', `name=${name}-.*-master03`)
  ).stdout.trim()
  // as if Vagrant had been killed before it noted it,
  rmSync(join(folder, '.vagrant/machines/master03'), { recursive: true })
  await byHand('docker', 'exec', orphan, 'rm', '-rf', '/etc/ssl/etcd') // and so before there was any etcd
  rmSync(join(state, 'ssh-config'))
  const { exitCode, stderr } = await home.verb('vms')
  assert.is(exitCode, 0, stderr)
  assert.is(await onHost('master03', 'hostname'), 'master03')
  assert.is.not((await byHand('docker', 'inspect', orphan)).exitCode, 0)
})

test('down removes hosts, network and folder; certificates stay; down again is no failure', async () => {
  const { exitCode, stderr } = await home.verb('down', '--yes')
  assert.is(exitCode, 0, stderr)
  const left = await new Promise<string>((done) =>
    execFile('docker', ['ps', '--all', '--format', '{{.Names}}'], (_, stdout) => done(stdout)),
  )
  assert.not.match(left, name)
  const networks = await new Promise<string>((done) =>
    execFile('docker', ['network', 'ls', '--format', '{{.Name}}'], (_, stdout) => done(stdout)),
  )
  assert.not.match(networks, name)
  assert.ok(readFileSync(join(home.path, 'certs', name, 'ca.crt')))
  assert.is((await home.verb('down', '--yes')).exitCode, 0)
})

test.after(() => home.downAll())
test.run()
