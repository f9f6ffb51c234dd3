// Machines of libvirt for a test, emulated by QEMU: a Debian box made of Debian's packages, and a libvirtd of the
// test's own.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { projectFolder } from '../../tasks/core/environment.ts'
import { requireProgram } from '../../tasks/core/programs.ts'
import { sleep } from '../../tasks/core/run.ts'
import { mirrors } from '../../tasks/vms/host-image.ts'

const exec = promisify(execFile)

/** Debian packages with all that is used here. */
export const libvirtPackages = (
  'libvirt-daemon-system libvirt-clients dnsmasq-base qemu-system-x86 qemu-utils vagrant vagrant-libvirt ' +
  'mmdebstrap e2fsprogs iproute2 iptables'
).split(' ')

/** What a machine needs beyond what prepare.sh puts into a container. */
const forMachines = 'linux-image-cloud-amd64,initramfs-tools,ifupdown,isc-dhcp-client'
const diskGigabytes = 2

/**
 * The kernel is started by libvirt itself, so the disk needs no boot loader, and nothing has to be mounted to make it.
 */
const boxVagrantfile = `Vagrant.configure("2") do |config|
  config.vm.provider "libvirt" do |libvirt|
    libvirt.kernel = File.join(__dir__, "vmlinuz")
    libvirt.initrd = File.join(__dir__, "initrd.img")
    libvirt.cmd_line = "root=/dev/vda net.ifnames=0 console=ttyS0"
  end
end
`

/** Makes a box in `folder` and returns its path. Needs root, and Debian's packages; takes minutes. */
export async function makeBox(folder: string): Promise<string> {
  const root = join(folder, 'root')
  const hooks = ['copy-in prepare.sh /tmp', 'chroot "$1" sh /tmp/prepare.sh', 'rm "$1/tmp/prepare.sh"'].map(
    (hook) => `--customize-hook=${hook}`,
  )
  const slim = ['doc', 'man', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`)
  await must(
    'mmdebstrap',
    [
      '--quiet',
      '--variant=minbase',
      '--format=directory',
      `--include=${forMachines}`,
      ...slim,
      ...hooks,
      'bookworm',
      root,
      ...(await mirrors()),
    ],
    {
      cwd: join(projectFolder, 'templates/vagrant/docker'),
    },
  )
  writeFileSync(join(root, 'etc/fstab'), '/dev/vda / ext4 errors=remount-ro 0 1\n')
  writeFileSync(
    join(root, 'etc/network/interfaces'),
    'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n',
  )
  writeFileSync(join(root, 'etc/hostname'), 'debian\n')
  const boot = readdirSync(join(root, 'boot'))
  for (const name of ['vmlinuz', 'initrd.img']) {
    const kernel = boot.find((file) => file.startsWith(`${name}-`))
    if (!kernel) throw new Error(`The box has no ${name}.`)
    await must('cp', [join(root, 'boot', kernel), join(folder, name)])
  }
  await must('mke2fs', ['-q', '-t', 'ext4', '-d', root, 'disk', `${diskGigabytes}G`], { cwd: folder })
  await must('qemu-img', ['convert', '-O', 'qcow2', 'disk', 'box.img'], { cwd: folder })
  writeFileSync(
    join(folder, 'metadata.json'),
    JSON.stringify({ provider: 'libvirt', format: 'qcow2', virtual_size: diskGigabytes }),
  )
  writeFileSync(join(folder, 'Vagrantfile'), boxVagrantfile)
  await must('tar', ['-cSf', 'debian.box', 'metadata.json', 'Vagrantfile', 'box.img', 'vmlinuz', 'initrd.img'], {
    cwd: folder,
  })
  await must('rm', ['-r', 'root', 'disk', 'box.img'], { cwd: folder })
  return join(folder, 'debian.box')
}

interface Libvirt {
  /** With this environment, vagrant and virsh work with our libvirtd. */
  environment: Record<string, string>
  virsh: (...args: string[]) => Promise<string>
  stop: () => Promise<void>
}

/** libvirt's folders, which nobody else's libvirtd may share. */
const folders = ['/etc/libvirt', '/var/lib/libvirt', '/run/libvirt', '/var/cache/libvirt', '/var/log/libvirt']

/** Without the daemons beside libvirtd, and without the cgroups and device nodes that another libvirtd may manage. */
const qemuConfig = `user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
remember_owner = 0
`

/**
 * Starts libvirtd in the network namespace that we are in, with folders in `folder` in place of the machine's own and
 * with a process namespace: whatever it starts ends with it, however it ends. Vagrant knows the box as `boxName`.
 */
export async function startLibvirt(folder: string, box: string, boxName: string): Promise<Libvirt> {
  const etc = join(folder, 'etc/libvirt')
  mkdirSync(etc, { recursive: true })
  writeFileSync(join(etc, 'qemu.conf'), qemuConfig)
  writeFileSync(join(etc, 'libvirtd.conf'), 'auth_unix_rw = "none"\n')
  const mounts = folders.map((path) => `mkdir -p ${path} "$1${path}"; mount --bind "$1${path}" ${path}`)
  const log = openSync(join(folder, 'libvirtd.log'), 'w')
  const child = spawn(
    'unshare',
    [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-ec',
      [...mounts, 'libvirtd & wait $!'].join('\n'),
      'sh',
      folder,
    ],
    {
      stdio: ['ignore', log, log], // not detached: the runner ends our group
    },
  )
  closeSync(log)
  const end = (): void => void (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
  process.once('exit', end)

  const programs = join(folder, 'bin')
  mkdirSync(programs)
  const inside =
    `nsenter --mount=/proc/${child.pid}/ns/mnt --pid=/proc/${child.pid}/ns/pid_for_children sh -c 'cd ` +
    `"$0" && exec "$@"' "$PWD"`
  for (const name of ['vagrant', 'virsh']) {
    writeFileSync(join(programs, name), `#!/bin/sh\nexec ${inside} ${requireProgram(name)} "$@"\n`)
    chmodSync(join(programs, name), 0o755)
  }
  const environment = {
    PATH: `${programs}${delimiter}${process.env.PATH}`,
    VAGRANT_HOME: join(folder, 'vagrant'),
    VAGRANT_CHECKPOINT_DISABLE: '1',
  }
  const virsh = async (...args: string[]): Promise<string> =>
    (await exec(join(programs, 'virsh'), ['--connect', 'qemu:///system', ...args])).stdout.trim()

  for (let waited = 0; !(await virsh('version').catch(() => undefined)); waited += 250) {
    if (child.exitCode !== null || waited > 60_000)
      throw new Error(`libvirtd did not start.\n${lastOf(join(folder, 'libvirtd.log'))}`)
    await sleep(250)
  }
  await must('vagrant', ['box', 'add', '--name', boxName, '--provider', 'libvirt', box], { env: environment })
  return {
    environment,
    virsh,
    stop: async () => {
      const ended = once(child, 'exit')
      end()
      await ended
    },
  }
}

async function must(
  program: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<void> {
  await exec(program, args, { maxBuffer: 2 ** 26, ...options, env: { ...process.env, ...options.env } })
}

const lastOf = (log: string): string => readFileSync(log, 'utf8').split('\n').slice(-8).join('\n')
