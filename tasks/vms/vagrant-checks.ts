// What Vagrant's hosts need of this machine.
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Check, Finding } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { aptInstall, compareVersions, findProgram, hasApt, isRoot, versionOf } from '../core/programs.ts'
import { canUse, hasPlugin, type VagrantSettings, vagrantPlugins } from '../core/provider-choice.ts'
import type { VagrantProvider } from '../core/schema.ts'
import { imageCheck } from './host-image.ts'
import { hasSshd, sshCheck } from './over-ssh.ts'
import { diskCheck, memoryCheck } from './resources.ts'
import { networksHere, subnetClash } from './subnet.ts'
import { boxOf, clusterLabel, requireVagrant } from './vagrant-folder.ts'

/** The oldest that the Vagrantfile and Flatcar's box work with. */
const oldest = '2.2.5'
const dockerPerHost = { memory: 128 * 2 ** 20, disk: 512 * 2 ** 20 }
const diskPerMachine = 4 * 2 ** 30
/** Where a provider keeps its machines' disks; the first that is there counts. */
const diskFolders: Record<VagrantProvider, string[]> = {
  docker: ['/var/lib/docker'],
  libvirt: ['/var/lib/libvirt/images', homedir()],
  virtualbox: [homedir()],
  parallels: [homedir()],
}

/** Of a cluster that is there only what every run needs: Vagrant takes a second to say its version. */
export function vagrantChecks(cluster: Cluster): Check[] {
  const { provider, memory } = requireVagrant(cluster)
  const docker = provider === 'docker'
  const first = [
    memoryCheck(cluster, docker ? dockerPerHost.memory : memory * 2 ** 20),
    diskCheck(cluster, docker ? dockerPerHost.disk : diskPerMachine, diskFolders[provider], 'Free some space.'),
    subnetCheck(cluster),
  ]
  const box = cluster.recorded || docker ? [] : [boxCheck(cluster)]
  return [
    ...box,
    vagrantCheck(cluster),
    hypervisorCheck(cluster),
    sshCheck,
    ...(cluster.recorded ? [] : first),
    ...(docker ? [imageCheck(cluster)] : []),
  ]
}

const vagrantCheck = (cluster: Cluster): Check => ({
  title: 'Check Vagrant',
  look: async () => {
    const program = findProgram('vagrant')
    if (!program)
      return {
        detail: 'vagrant was not found.',
        remedy: `Install Vagrant ${oldest} or later from your distribution, or as its site says.`,
      }
    if (cluster.recorded) return program
    const version = await versionOf(program)
    return version && compareVersions(version, oldest) >= 0
      ? `Vagrant ${version}`
      : {
          detail: `${program} is Vagrant ${version ?? 'of no known version'}; ${oldest} or later is needed.`,
          remedy: 'Put a newer one first on PATH.',
        }
  },
  mend: {
    question: 'Vagrant is missing. Install the package vagrant with apt-get?',
    impossible: () => {
      if (findProgram('vagrant')) return 'Put a newer Vagrant first on PATH.'
      if (!hasApt()) return `Install Vagrant ${oldest} or later, or take hosts on this machine: --provider local`
      return isRoot() ? undefined : 'Install it with: sudo apt-get install --no-install-recommends vagrant'
    },
    run: async (report) => {
      await aptInstall(['vagrant'], report)
      return 'Vagrant installed with apt-get'
    },
  },
})

/** From which VirtualBox on which Vagrant is needed, the newest first (Vagrant's CHANGELOG.md). */
const vagrantForVirtualbox = [
  ['7.2', '2.4.9'],
  ['7.1', '2.4.2'],
  ['7.0', '2.3.2'],
] as const

const remedies: Record<VagrantProvider, string> = {
  docker: 'Install and start Docker, and see that this user may use it (docker version).',
  libvirt: 'Install and start libvirt, and see that this user may use it (virsh --connect qemu:///system list).',
  virtualbox: 'Install VirtualBox, and load its kernel module (sudo /sbin/vboxconfig).',
  parallels: 'Install Parallels Desktop Pro, whose command prlctl Vagrant needs.',
}

const hypervisorCheck = (cluster: Cluster): Check => ({
  title: `Check ${requireVagrant(cluster).provider}`,
  look: async () => {
    const { provider } = requireVagrant(cluster)
    if (!(await canUse(provider)))
      return {
        detail: `Vagrant cannot use ${provider} here.`,
        remedy: `${remedies[provider]} Or choose another one with vagrant.provider in the configuration.`,
      }
    if (provider === 'docker' && process.platform !== 'linux')
      return {
        detail: "Docker's containers cannot be reached by their addresses from this system.",
        remedy: 'Choose virtualbox or parallels with vagrant.provider in the configuration.',
      }
    return cluster.recorded ? 'usable' : ((await whatVagrantLacks(provider)) ?? 'usable')
  },
})

async function whatVagrantLacks(provider: VagrantProvider): Promise<Finding | undefined> {
  const plugin = vagrantPlugins[provider]
  if (!(await hasPlugin(provider)))
    return {
      detail: `Vagrant lacks the plugin ${plugin}.`,
      remedy: `Install it with: vagrant plugin install ${plugin}`,
    }
  const [virtualbox, program] = [findProgram('VBoxManage'), findProgram('vagrant')]
  return provider === 'virtualbox' && virtualbox && program
    ? virtualboxFinding(await versionOf(virtualbox), await versionOf(program))
    : undefined
}

/** What stands against that VirtualBox with that Vagrant; undefined: nothing, or a version is not known. */
export function virtualboxFinding(virtualbox = '0', vagrant = '0'): Finding | undefined {
  const needed = vagrantForVirtualbox.find(([since]) => compareVersions(virtualbox, since) >= 0)?.[1]
  if (!needed || vagrant === '0' || compareVersions(vagrant, needed) >= 0) return undefined
  return {
    detail: `VirtualBox ${virtualbox} needs Vagrant ${needed} or later, and this is Vagrant ${vagrant}.`,
    remedy:
      'Put a newer Vagrant first on PATH, or choose another hypervisor with vagrant.provider in the configuration.',
  }
}

const boxCheck = (cluster: Cluster): Check => ({
  title: 'Check the box',
  look: async () => boxFinding(requireVagrant(cluster), process.arch) ?? boxOf(requireVagrant(cluster)).box,
})

/** What stands against a box on a machine of that architecture (as Node calls it); undefined: nothing that is known. */
export function boxFinding(settings: VagrantSettings, architecture: string): Finding | undefined {
  if (architecture !== 'arm64' || !boxOf(settings).boxUrl) return undefined
  return {
    detail: `The box ${boxOf(settings).box} is for amd64 only: Flatcar has none for arm64.`,
    remedy:
      'Name one of Debian for arm64 with vagrant.box in the configuration, such as bento/debian-12; or ' +
      'take hosts on this machine: --provider local',
  }
}

const subnetCheck = (cluster: Cluster): Check => ({
  title: 'Check the network for the hosts',
  look: async () =>
    subnetClash(cluster.subnet, requireVagrant(cluster).provider, await networksHere(), clusterLabel(cluster)) ??
    (await takenAddress(cluster)) ??
    cluster.subnet,
})

/**
 * Machines of another checkout that have the hosts' addresses: VirtualBox and Parallels take further ones into the same
 * network without a word. Machines that a killed run of this cluster left are known to its own folder.
 */
export async function takenAddress(cluster: Cluster, port = 22): Promise<Finding | undefined> {
  if (
    !['virtualbox', 'parallels'].includes(requireVagrant(cluster).provider) ||
    existsSync(join(cluster.paths.vagrant, '.vagrant/machines'))
  )
    return undefined
  const answers = await Promise.all(cluster.hosts.map(({ address }) => hasSshd(address, port)))
  const taken = cluster.hosts.find((_, index) => answers[index])
  return (
    taken && {
      detail: `A machine that is not this cluster's answers at ${taken.address} already.`,
      remedy: 'Choose another network with subnet: in the configuration.',
    }
  )
}
