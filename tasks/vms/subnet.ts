// Whether a network is free for hosts: what Docker, libvirt, VirtualBox and this machine's routes have to say of it.
import type { Finding } from '../core/check.ts'
import { readFileIfThere } from '../core/files.ts'
import { findProgram } from '../core/programs.ts'
import { canUse, privateSubnets } from '../core/provider-choice.ts'
import type { VagrantProvider } from '../core/schema.ts'
import { ask } from '../core/shell.ts'

export interface Networks {
  routes: { network: string; device: string; gateway: boolean }[]
  docker: { network: string; name: string; device: string }[]
  libvirt: { name: string; device: string }[]
  virtualbox: string[]
}

/** Host-only addresses that VirtualBox >= 6.1.28 allows by default (its manual, "Host-only networking"). */
const virtualboxRange = '192.168.56.0/21'

/** What stands against a network. `own`: the name of the cluster's own one, which a killed run may have left. */
export function subnetClash(
  subnet: string,
  provider: VagrantProvider,
  networks: Networks,
  own: string,
): Finding | undefined {
  const remedy = `Choose another one with subnet: in the configuration; ${freeSubnet(networks)} is free.`
  const allowed = networks.virtualbox.length > 0 ? networks.virtualbox : [virtualboxRange]
  if (provider === 'virtualbox' && !allowed.some((range) => contains(range, subnet)))
    return {
      detail: `VirtualBox (6.1.28 and later) allows addresses in ${allowed.join(', ')} only, and ${subnet} is outside.`,
      remedy: `${remedy} Or allow it: add the line "* ${subnet}" to /etc/vbox/networks.conf.`,
    }
  const docker = networks.docker.find(({ network, name }) => name !== own && overlap(network, subnet))
  if (docker)
    return {
      detail:
        `${subnet} overlaps ${docker.network}, which is Docker's network ` +
        `${docker.name}${docker.name === 'bridge' ? ' (its default)' : ''}.`,
      remedy,
    }
  const devices = [...networks.docker, ...networks.libvirt]
    .filter(({ name }) => name === own)
    .map(({ device }) => device)
  // VirtualBox takes further machines into a network of its own.
  const route = networks.routes.find(
    ({ network, device }) =>
      overlap(network, subnet) &&
      !devices.includes(device) &&
      !(provider === 'virtualbox' && device.startsWith('vboxnet')),
  )
  if (!route) return undefined
  // A route of a whole VPN, say: the hosts' own is the nearer one.
  const wide = route.gateway && contains(route.network, subnet)
  return {
    detail: `This machine has a route to ${route.network} over ${route.device}, which overlaps ${subnet}.`,
    remedy,
    ...(wide && { warning: true }),
  }
}

/** The first network of VirtualBox's range that is nobody's. */
function freeSubnet({ routes, docker }: Networks): string {
  const taken = [...routes, ...docker].map(({ network }) => network)
  const isFree = (subnet: string): boolean => !taken.some((network) => overlap(network, subnet))
  return privateSubnets.find(isFree) ?? '10.213.56.0/24'
}

const contains = (outer: string, inner: string): boolean => prefix(outer) <= prefix(inner) && overlap(outer, inner)
const overlap = (a: string, b: string): boolean => {
  const shift = 2 ** (32 - Math.min(prefix(a), prefix(b)))
  return Math.floor(address(a) / shift) === Math.floor(address(b) / shift)
}
const prefix = (network: string): number => Number(network.split('/')[1] ?? 32)
const address = (network: string): number =>
  (network.split('/')[0] ?? '').split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

export async function networksHere(): Promise<Networks> {
  const [routes, docker, libvirt] = await Promise.all([routesHere(), dockerNetworks(), libvirtNetworks()])
  const allowed = [...(readFileIfThere('/etc/vbox/networks.conf') ?? '').matchAll(/^\s*\*\s+(.*)$/gm)].flatMap(
    ([, ranges = '']) => ranges.trim().split(/\s+/),
  )
  return { routes, docker, libvirt, virtualbox: allowed.filter((range) => range.includes('.')) }
}

async function routesHere(): Promise<Networks['routes']> {
  if (!findProgram('ip')) return []
  const { stdout } = await ask('ip', ['-4', '-json', 'route'], { timeout: 5000 })
  const routes = (stdout.trim() ? JSON.parse(stdout) : []) as { dst: string; dev?: string; gateway?: string }[]
  return routes
    .filter(({ dst }) => dst !== 'default')
    .map(({ dst, dev = '', gateway }) => ({ network: dst, device: dev, gateway: gateway !== undefined }))
}

async function dockerNetworks(): Promise<Networks['docker']> {
  if (!(await canUse('docker'))) return []
  const ids = (await ask('docker', ['network', 'ls', '--quiet', '--no-trunc'], { timeout: 10_000 })).stdout
    .split('\n')
    .filter(Boolean)
  const { stdout } = await ask('docker', ['network', 'inspect', ...ids], { timeout: 10_000 })
  const found = (stdout.trim() ? JSON.parse(stdout) : []) as {
    Id: string
    Name: string
    IPAM?: { Config?: { Subnet?: string }[] | null }
  }[]
  return found.flatMap(({ Id, Name, IPAM }) =>
    (IPAM?.Config ?? []).flatMap(({ Subnet }) =>
      Subnet?.includes('.')
        ? [{ network: Subnet, name: Name, device: Name === 'bridge' ? 'docker0' : `br-${Id.slice(0, 12)}` }]
        : [],
    ),
  )
}

async function libvirtNetworks(): Promise<Networks['libvirt']> {
  if (!(await canUse('libvirt'))) return []
  const virsh = async (...args: string[]): Promise<string> =>
    (await ask('virsh', ['--connect', 'qemu:///system', ...args], { timeout: 5000 })).stdout
  const names = (await virsh('net-list', '--name')).split('\n').filter(Boolean)
  return Promise.all(
    names.map(async (name) => ({ name, device: /^Bridge:\s+(\S+)/m.exec(await virsh('net-info', name))?.[1] ?? '' })),
  )
}
