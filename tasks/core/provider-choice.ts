// Where the hosts are when nobody says it: on Vagrant's machines where that can work at once, else on this machine.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defaults } from './config.ts'
import { vagrantHome, vagrantsOwnChoice } from './environment.ts'
import { OperationError } from './errors.ts'
import { entriesIn, readFileIfThere } from './files.ts'
import { findProgram } from './programs.ts'
import type { ClusterRecord, ProviderName } from './record.ts'
import { run } from './run.ts'
import { type Config, type VagrantProvider, vagrantProviders } from './schema.ts'
import { ask } from './shell.ts'

/** Memory in MB. No box: our own choice for the provider; driver qemu emulates libvirt's machines. */
export type VagrantSettings = NonNullable<ClusterRecord['vagrant']>

export interface Choice {
  provider: ProviderName
  /** One clause for the terminal. */
  reason: string
}

/** Of a cluster not recorded yet. `leftover`: Vagrant's folder of it: where that is, its machines may be, too. */
export async function chooseProvider(asked: Config, leftover: string): Promise<Choice> {
  if (asked.provider && asked.provider !== 'auto') return { provider: asked.provider, reason: 'as asked' }
  if (asked.hosts || asked.inventory) return { provider: 'ssh', reason: 'the configuration names the hosts' }
  const local = (why: string): Choice => ({ provider: 'local', reason: `on this machine since ${why}` })
  if (existsSync(leftover)) return { provider: 'vagrant', reason: `${leftover} is left from earlier` }
  if (asked.subnet?.startsWith('127.')) return local('the subnet is on its loopback interface')
  if (asked.subnet?.includes(':')) return local('the subnet is IPv6')
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
 * The configuration's, read at every run, but for what must stay: the hypervisor, and the box's version, which may have
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
  const given = asked.vagrant as Partial<VagrantSettings> | undefined
  return { ...(recorded?.boxVersion && { boxVersion: recorded.boxVersion }), ...defaults.vagrant, ...given, provider }
}

/** The networks that VirtualBox allows without being told (its manual, "Host-only networking"). */
export const privateSubnets = Array.from({ length: 8 }, (_, index) => `192.168.${56 + index}.0/24`)

/** The first free network that VirtualBox allows without being told. @throws OperationError when there is none */
export function freePrivateSubnet(taken: (string | undefined)[]): string {
  const free = privateSubnets.find((subnet) => !taken.includes(subnet))
  if (free) return free
  throw new OperationError('Every network from 192.168.56.0/24 to 192.168.63.0/24 belongs to a cluster.', {
    hint: 'Name another one with subnet: in the configuration.',
  })
}

/** Whether Vagrant could bring machines up with it, as far as can be seen at once. Asked once a run. */
export const canUse = (hypervisor: VagrantProvider): Promise<boolean> => run().once(hypervisor, looks[hypervisor])

const looks: Record<VagrantProvider, () => Promise<boolean>> = {
  docker: () => succeeds('docker', 'version', '--format', '{{.Server.Version}}'),
  libvirt: () => succeeds('virsh', '--connect', 'qemu:///system', 'version'),
  virtualbox: async () =>
    findProgram('VBoxManage') !== undefined && (process.platform !== 'linux' || existsSync('/dev/vboxdrv')),
  parallels: async () => findProgram('prlctl') !== undefined,
}

const succeeds = async (program: string, ...args: string[]): Promise<boolean> =>
  findProgram(program) !== undefined && (await ask(program, args, { timeout: 5000 })).exitCode === 0

export const vagrantPlugins: Partial<Record<VagrantProvider, string>> = {
  libvirt: 'vagrant-libvirt',
  parallels: 'vagrant-parallels',
}

const canUseAtOnce = async (hypervisor: VagrantProvider): Promise<boolean> =>
  (await canUse(hypervisor)) && (await hasPlugin(hypervisor))

/** Whether Vagrant has that plugin; true without Vagrant, which takes a second to say so: its own lists come first. */
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
  return [join(folder, 'plugins.json'), ...entriesIn(more).map((name) => join(more, name))]
}
