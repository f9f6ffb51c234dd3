// Where the hosts are when nobody says it: on Vagrant's machines where that can work at once, else on this machine.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { defaults } from './config.ts'
import { vagrantHome, vagrantsOwnChoice } from './environment.ts'
import { OperationError } from './errors.ts'
import { readFileIfThere } from './files.ts'
import { findProgram } from './programs.ts'
import type { ProviderName } from './record.ts'
import { run } from './run.ts'
import { type Config, type VagrantProvider, vagrantProviders } from './schema.ts'
import { ask } from './shell.ts'

export interface Choice {
  provider: ProviderName
  /** One clause for the terminal. */
  reason: string
}

/** What Vagrant makes its machines of. Memory in MB. */
export interface VagrantSettings {
  provider: VagrantProvider
  /** The box, for docker the image; undefined: our own choice for the provider. */
  box?: string | undefined
  boxVersion?: string | undefined
  memory: number
  cpus: number
  /** libvirt only: qemu emulates the machine where there is no hardware for it. */
  driver?: 'kvm' | 'qemu' | undefined
}

/**
 * The provider of a cluster that is not recorded yet. Costs nothing where Vagrant is not installed.
 * @param leftover Vagrant's folder of this cluster: where it is there, its machines may be, too
 */
export async function chooseProvider(asked: Config, leftover: string): Promise<Choice> {
  if (asked.provider && asked.provider !== 'auto') return { provider: asked.provider, reason: 'as asked' }
  if (asked.hosts || asked.inventory) return { provider: 'ssh', reason: 'the configuration names the hosts' }
  const local = (why: string): Choice => ({ provider: 'local', reason: `on this machine since ${why}` })
  if (existsSync(leftover)) return { provider: 'vagrant', reason: `${leftover} is left from earlier` }
  if (asked.subnet?.startsWith('127.')) return local('the subnet is on its loopback interface')
  if (!findProgram('vagrant')) return local('Vagrant is not installed')
  const hypervisor = asked.vagrant?.provider ?? (await usableHypervisor())
  return hypervisor && (await canUse(hypervisor))
    ? { provider: 'vagrant', reason: `Vagrant and ${hypervisor} are here` }
    : local('Vagrant has no hypervisor here')
}

/**
 * The hypervisor for Vagrant's machines: what the person told Vagrant itself, else the first that `fits`,
 * those first that come up fastest. On macOS a container's address cannot be reached, so Docker is left out there.
 */
async function usableHypervisor(fits = canUseAtOnce): Promise<VagrantProvider | undefined> {
  const own = vagrantProviders.find((name) => name === vagrantsOwnChoice())
  if (own) return own
  const candidates = vagrantProviders.filter((name) => name !== 'docker' || process.platform === 'linux')
  for (const name of candidates) if (await fits(name)) return name
  return undefined
}

/**
 * The configuration's, at every run anew, but for what must stay: the hypervisor, and the box's version, which may have
 * come from the environment. Where no hypervisor works at once, the first that lacks only its plugin, else the first of
 * all, is taken for granted; doctor says what it lacks.
 */
export async function vagrantSettings(asked: Config, recorded: VagrantSettings | undefined): Promise<VagrantSettings> {
  const provider =
    recorded?.provider ??
    asked.vagrant?.provider ??
    (await usableHypervisor()) ??
    (await usableHypervisor(canUse)) ??
    vagrantProviders[0]
  const {
    box,
    boxVersion = recorded?.boxVersion,
    driver,
    memory = defaults.vagrant.memory,
    cpus = defaults.vagrant.cpus,
  } = asked.vagrant ?? {}
  return { provider, memory, cpus, ...(box && { box }), ...(boxVersion && { boxVersion }), ...(driver && { driver }) }
}

/**
 * The first of the networks that VirtualBox allows without being told (its manual, "Host-only networking").
 * @throws OperationError when other clusters have them all
 */
export function freePrivateSubnet(taken: (string | undefined)[]): string {
  const free = Array.from({ length: 8 }, (_, index) => `192.168.${56 + index}.0/24`).find(
    (subnet) => !taken.includes(subnet),
  )
  if (free) return free
  throw new OperationError('Every network from 192.168.56.0/24 to 192.168.63.0/24 belongs to a cluster.', {
    hint: 'Name another one with subnet: in the configuration.',
  })
}

/** Whether Vagrant could bring machines up with it, as far as can be seen at once. Asked once a run. */
export const canUse = (hypervisor: VagrantProvider): Promise<boolean> => run().once(hypervisor, looks[hypervisor])

const looks: Record<VagrantProvider, () => Promise<boolean>> = {
  docker: async () =>
    findProgram('docker') !== undefined &&
    (await ask('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5000 })).exitCode === 0,
  libvirt: async () =>
    findProgram('virsh') !== undefined &&
    (await ask('virsh', ['--connect', 'qemu:///system', 'version'], { timeout: 5000 })).exitCode === 0,
  virtualbox: async () =>
    findProgram('VBoxManage') !== undefined && (process.platform !== 'linux' || existsSync('/dev/vboxdrv')),
  parallels: async () => findProgram('prlctl') !== undefined,
}

/** The plugin of Vagrant's that a hypervisor needs. */
export const vagrantPlugins: Partial<Record<VagrantProvider, string>> = {
  libvirt: 'vagrant-libvirt',
  parallels: 'vagrant-parallels',
}

const canUseAtOnce = async (hypervisor: VagrantProvider): Promise<boolean> =>
  (await canUse(hypervisor)) && (await hasPlugin(hypervisor))

/**
 * Whether Vagrant has the plugin that a hypervisor needs; true, too, where there is no Vagrant to have it. Vagrant's
 * own lists are read first (Vagrant's lib/vagrant/plugin/state_file.rb, and Debian's folder): to say it, Vagrant takes
 * a second and more.
 */
export async function hasPlugin(
  hypervisor: VagrantProvider,
  folders = [vagrantHome(), '/usr/share/vagrant-plugins'],
): Promise<boolean> {
  const plugin = vagrantPlugins[hypervisor]
  if (!plugin || !findProgram('vagrant')) return true
  if (folders.flatMap(pluginLists).some((path) => readFileIfThere(path)?.includes(`"${plugin}"`))) return true
  const { stdout } = await ask('vagrant', ['plugin', 'list'], {
    env: { VAGRANT_CHECKPOINT_DISABLE: '1' },
    timeout: 30_000,
  })
  return stdout.includes(plugin)
}

function pluginLists(folder: string): string[] {
  const more = join(folder, 'plugins.d')
  return [join(folder, 'plugins.json'), ...(existsSync(more) ? readdirSync(more).map((name) => join(more, name)) : [])]
}
