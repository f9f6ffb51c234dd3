// Hosts for tests: Docker containers that run systemd and sshd, each with a static address and our SSH key.
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { temporaryFolder } from './folder.ts'

const exec = promisify(execFile)
const user = 'vagrant'

/** A shell script that waits until somebody listens on this port of its host. */
export const untilListens = (port: number): string =>
  `for i in $(seq 600); do ss -Hltn | grep -q ':${port} ' && exit 0; sleep 0.1; done; exit 1`

/**
 * What makes systemd boot in a container, without --privileged. NET_ADMIN: tests cut networks; SYS_PTRACE: a server's
 * root may read other users' processes.
 */
const systemd =
  '--stop-signal SIGRTMIN+3 --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE ' +
  '--security-opt seccomp=unconfined --security-opt apparmor=unconfined --cgroupns=private ' +
  '--tmpfs /run --tmpfs /run/lock --tmpfs /tmp -e container=docker'

// A test that is ended removes its hosts, too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

export interface TestHost {
  name: string
  address: string
  /** Where it has one, on the same network. */
  address6?: string
  container: string
}

export interface TestHosts {
  hosts: TestHost[]
  /** The inventory variables by which Ansible reaches any of them. */
  ssh: Record<string, string>
  /** Runs a shell script on a host as root and returns what it printed. @throws when it fails */
  on: (name: string, script: string) => Promise<string>
  /** Copies a file of this machine to a host. */
  copy: (name: string, from: string, to: string) => Promise<unknown>
  /** As a machine's power switch: ends everything on it at once. */
  kill: (name: string) => Promise<unknown>
  /** Starts a host again, or for the first time, and waits until it can be reached. */
  boot: (name: string) => Promise<void>
  /** Ends a host in good order and starts it again. */
  reboot: (name: string) => Promise<void>
  remove: () => void
}

const docker = async (...args: string[]): Promise<string> =>
  (await exec('docker', args, { maxBuffer: 1 << 26 })).stdout.trim()

/**
 * Starts `count` hosts named master01 and up on a network of their own.
 * @param image has systemd, sshd, sudo and python3; the user is made where there is none
 * @param dual whether each has an IPv6 address, too
 * @throws when Docker is not there, or none of the networks is free
 */
export async function startHosts(image: string, count: number, dual = false): Promise<TestHosts> {
  const id = `h-${randomBytes(3).toString('hex')}`
  const folder = temporaryFolder()
  const key = join(folder, 'id')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const prefix = await makeNetwork(id, dual ? ['--ipv6', '--subnet', `${prefix6}/64`] : [])
  const hosts = Array.from({ length: count }, (_, index): TestHost => {
    const name = `master${String(index + 1).padStart(2, '0')}`
    const one = { name, address: `${prefix}.${101 + index}`, container: `${id}-${name}` }
    return dual ? { ...one, address6: `${prefix6}${101 + index}` } : one
  })
  let removed = false
  const remove = (): void => {
    if (removed) return
    removed = true
    process.off('exit', remove)
    execFileSync('docker', ['rm', '--force', '--volumes', ...hosts.map(({ container }) => container)], {
      stdio: 'ignore',
    })
    execFileSync('docker', ['network', 'rm', id], { stdio: 'ignore' })
  }
  process.once('exit', remove)

  const containerOf = (name: string): string => hosts.find((host) => host.name === name)?.container ?? name
  const on = (name: string, script: string): Promise<string> => docker('exec', containerOf(name), 'sh', '-ec', script)
  const boot = async (name: string): Promise<void> => {
    await docker('start', containerOf(name))
    await on(
      name,
      'for i in $(seq 1200); do case $(systemctl is-system-running) in running|degraded) exit 0;; ' +
        'esac; sleep 0.1; done; exit 1',
    )
  }

  await Promise.all(
    hosts.map(async ({ name, address, address6, container }) => {
      await docker(
        'create',
        '--name',
        container,
        '--hostname',
        name,
        '--network',
        id,
        '--ip',
        address,
        ...(address6 ? ['--ip6', address6] : []),
        ...systemd.split(' '),
        image,
      )
      await boot(name)
      await on(
        name,
        `id ${user} >/dev/null 2>&1 || useradd --create-home --shell /bin/sh ${user}; echo '${user} ` +
          `ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/${user}`,
      )
      await on(
        name,
        `mkdir -p /home/${user}/.ssh; echo '${readFileSync(`${key}.pub`, 'utf8').trim()}' > ` +
          `/home/${user}/.ssh/authorized_keys; chown -R ${user}: /home/${user}/.ssh`,
      )
    }),
  )
  const knownHosts = join(folder, 'known_hosts')
  const lines = await Promise.all(
    hosts.map(async ({ name, address, address6 }) => {
      const hostKey = await on(name, 'cut -d" " -f1,2 /etc/ssh/ssh_host_ed25519_key.pub')
      return [address, address6 ?? []].flat().map((one) => `${one} ${hostKey}`)
    }),
  )
  writeFileSync(knownHosts, `${lines.flat().join('\n')}\n`)

  return {
    hosts,
    // The shared connections lie in our folder: they end with the test.
    ssh: {
      ansible_user: user,
      ansible_ssh_private_key_file: key,
      ansible_ssh_common_args: `-o UserKnownHostsFile=${knownHosts} -o ControlPath=${folder}/%C`,
    },
    on,
    copy: (name, from, to) => docker('cp', from, `${containerOf(name)}:${to}`),
    kill: (name) => docker('kill', containerOf(name)),
    boot,
    reboot: async (name) => {
      await docker('stop', '--time', '10', containerOf(name))
      await boot(name)
    },
    remove,
  }
}

/** Writes the configuration of a home: the first of the hosts, as a person lists them. */
export function listHosts(
  home: string,
  machines: TestHosts,
  count: number,
  etcd: object = {},
  more: object = {},
): void {
  const { ansible_ssh_private_key_file: identityFile, ansible_ssh_common_args: args = '' } = machines.ssh
  const ssh = { user, identityFile, knownHosts: /UserKnownHostsFile=(\S+)/.exec(args)?.[1] }
  const hosts = machines.hosts.slice(0, count).map(({ name, address }) => ({ name, address, ssh }))
  writeFileSync(join(home, 'cluster.yaml'), stringify({ hosts, etcd, ...more }))
}

/** 192.168.70.101 becomes 192.168.70.<first>1, and so on. */
export const shifted = (address: string, first: string): string =>
  address.replace(/\d+$/, (last) => `${first}${last.slice(-1)}`)

/** Gives each host that address beside those that it has. */
export async function addAddresses({ hosts, on }: TestHosts, first: string): Promise<void> {
  for (const { name, address } of hosts) await on(name, `ip address add ${shifted(address, first)}/24 dev eth0`)
}

/** Lists the first `count` hosts of the configuration at these addresses of theirs. */
export function relist(home: string, { ssh }: TestHosts, first: string, count = 3): void {
  const file = join(home, 'cluster.yaml')
  const { hosts, ...more } = parse(readFileSync(file, 'utf8')) as { hosts: { address: string }[] }
  const moved = hosts.map((host, index) => (index < count ? { ...host, address: shifted(host.address, first) } : host))
  writeFileSync(file, stringify({ hosts: moved, ...more }))
  const known = /UserKnownHostsFile=(\S+)/.exec(ssh.ansible_ssh_common_args ?? '')?.[1] ?? ''
  const lines = readFileSync(known, 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => [line, line.replace(/^\S+/, (address) => shifted(address, first))])
  writeFileSync(known, `${[...new Set(lines)].join('\n')}\n`)
}

const prefix6 = 'fd00:70::'

/** The first free of a few networks; returns its first three numbers. */
async function makeNetwork(name: string, more: string[]): Promise<string> {
  let last: unknown
  for (let third = 70; third < 79; third++) {
    const prefix = `192.168.${third}`
    try {
      await docker('network', 'create', '--subnet', `${prefix}.0/24`, ...more, name)
      return prefix
    } catch (error) {
      last = error
    }
  }
  throw last
}
