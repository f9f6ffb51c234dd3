// Vagrant's hosts on libvirt: real machines, each with a kernel of its own, emulated by QEMU, which is slow; so only
// when asked for. E2E_LIBVIRT says how many masters: E2E_LIBVIRT=1 npm run test:e2e -- libvirt, or E2E_LIBVIRT=3.
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../support/folder.ts'
import { startLibvirt } from '../support/libvirt.ts'
import { type Home, testHome } from '../support/verbs.ts'

const asked = process.env.E2E_LIBVIRT
const masters = Number(asked)
const names = Array.from({ length: masters || 0 }, (_, index) => `master0${index + 1}`)
const boxName = 'ha-etcd-test'
const config = 'subnet: 192.168.63.0/24\nvagrant: { provider: libvirt, driver: qemu, memory: 768, box: ha-etcd-test }\n'

let libvirt: Awaited<ReturnType<typeof startLibvirt>>
let home: Home

interface Result {
  exitCode: number
  stdout: string
  stderr: string
}

const state = (): string => join(home.path, '.cluster/lv-e2e')
const newHome = (): Home => {
  const made = testHome({
    ...libvirt.environment,
    HA_ETCD_CLUSTER: 'lv-e2e',
    HA_ETCD_PROVIDER: 'vagrant',
    MASTER_COUNT: String(masters),
  })
  writeFileSync(join(made.path, 'cluster.yaml'), config)
  return made
}
const byHand = (program: string, ...args: string[]): Promise<Result> =>
  new Promise((done) =>
    execFile(
      program,
      args,
      { cwd: join(state(), 'vagrant'), env: { ...process.env, ...libvirt.environment }, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => done({ exitCode: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
    ),
  )
const onHost = async (host: string, command: string): Promise<string> => {
  const { stdout, stderr, exitCode } = await byHand('ssh', '-F', join(state(), 'ssh-config'), host, command)
  assert.is(exitCode, 0, `${command} on ${host}: ${stderr}`)
  return stdout.trim()
}
const pids = (): Promise<string[]> =>
  Promise.all(names.map((name) => onHost(name, 'systemctl show --property MainPID --value etcd-member')))

if (asked) {
  test.before(async () => {
    const box = process.env.TEST_BOX
    if (!box || !(masters > 0))
      throw new Error('E2E_LIBVIRT is the number of masters; npm run test:e2e makes the box that TEST_BOX names.')
    const folder = join(temporaryFolder(), 'libvirt')
    mkdirSync(folder)
    libvirt = await startLibvirt(folder, box, boxName)
    home = newHome()
  })
  test.after(async () => {
    await home?.downAll()
    await libvirt?.stop()
  })
}
const onLibvirt = asked ? test : test.skip
const unless = asked
  ? ''
  : ' (this and the rest of the file only with E2E_LIBVIRT=1 or 3, the number of masters: emulated ' +
    'machines take many minutes)'

onLibvirt(`up ends with a verified cluster on machines of libvirt${unless}`, async () => {
  const { exitCode, stdout, stderr, tookMs } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr + stdout)
  assert.match(stdout, 'The cluster is up and verified')
  assert.match(stdout, new RegExp(`Hosts +${masters} vagrant`))
  assert.not.match(stdout, /Progress: \d+%/)
  console.log(`up with ${masters} masters took ${Math.round(tookMs / 1000)} s`)
  for (const [index, name] of names.entries()) {
    assert.is(await onHost(name, 'hostname; systemd-detect-virt; cat /proc/1/comm'), `${name}\nqemu\nsystemd`)
    assert.match(await onHost(name, 'ip -brief address show eth1'), `192.168.63.${101 + index}/24`)
    assert.is(
      await onHost(name, 'systemctl is-active etcd-member; systemctl is-enabled etcd-member'),
      'active\nenabled',
    )
    assert.not.match(await onHost(name, 'cat .ssh/authorized_keys'), 'insecure public key')
  }
})

onLibvirt('up again, and vagrant up --provision by hand, change nothing', async () => {
  const before = await pids()
  const { exitCode, stdout, stderr } = await home.verb('up')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'nothing had to be changed')
  const provisioned = await byHand('vagrant', 'up', '--provision')
  assert.is(provisioned.exitCode, 0, provisioned.stderr)
  for (const name of names)
    assert.match(provisioned.stdout, new RegExp(`${name} +: ok=\\d+ +changed=0 +unreachable=0 +failed=0`))
  assert.equal(await pids(), before)
})

onLibvirt(
  'a cluster of the same name and network, of another checkout, is refused before anything is made',
  async () => {
    const before = await pids()
    const other = newHome()
    const { exitCode, stderr } = await other.verb('up')
    assert.is(exitCode, 1, stderr)
    assert.match(stderr, 'which overlaps 192.168.63.0/24', stderr)
    assert.is((await libvirt.virsh('list', '--all', '--name')).split('\n').length, masters)
    assert.equal(await pids(), before)
  },
)

onLibvirt('a host that was halted comes back at the same address, with its data', async () => {
  const last = names.at(-1) ?? ''
  const member = await onHost(last, 'sudo ls -i /var/lib/etcd/member/snap/db')
  assert.is((await byHand('vagrant', 'halt', last)).exitCode, 0)
  const { exitCode, stdout, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'The cluster is up and verified')
  assert.is(await onHost(last, 'sudo ls -i /var/lib/etcd/member/snap/db'), member)
})

onLibvirt('down leaves no machine, no disk and no network', async () => {
  const { exitCode, stderr } = await home.verb('down', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.is(await libvirt.virsh('list', '--all', '--name'), '')
  assert.is(await libvirt.virsh('net-list', '--all', '--name'), '')
  assert.not.match(await libvirt.virsh('vol-list', 'default'), 'lv-e2e')
  assert.is((await home.verb('down', '--yes')).exitCode, 0)
})

test.run()
