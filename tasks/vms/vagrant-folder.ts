// The folder that Vagrant works in: the Vagrantfile as it is, and beside it what it needs to know of this cluster.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { projectFolder } from '../core/environment.ts'
import { writeFileIfChanged } from '../core/files.ts'
import type { VagrantSettings } from '../core/provider-choice.ts'
import { hostImage } from './host-image.ts'
import { ignitionFrom } from './ignition.ts'

const templates = join(projectFolder, 'templates/vagrant')

/** Writes .cluster/<cluster>/vagrant/, and touches no file there that is right already. Returns whether it wrote. */
export function renderFolder(cluster: Cluster): boolean {
  const ignition = requireVagrant(cluster).provider === 'virtualbox' && isFlatcar(cluster)
  const files = {
    Vagrantfile: readFileSync(join(templates, 'Vagrantfile'), 'utf8'),
    'settings.json': `${JSON.stringify(settings(cluster), null, 2)}\n`,
    ...(ignition && { 'config.ign': ignitionFrom(readFileSync(join(templates, 'flatcar/flatcar.bu'), 'utf8')) }),
  }
  return Object.entries(files)
    .map(([name, content]) => writeFileIfChanged(join(cluster.paths.vagrant, name), content, 0o600))
    .includes(true)
}

/** A name for this cluster's containers, libvirt domains and network that no other checkout's cluster has. */
export const clusterLabel = (cluster: Cluster): string =>
  `${cluster.name}-${createHash('sha256').update(cluster.paths.state).digest('hex').slice(0, 6)}`

/** By the box's name: Flatcar's are called flatcar-<channel>, and another one of it is to be called alike. */
export const isFlatcar = (cluster: Cluster): boolean =>
  requireVagrant(cluster).provider !== 'docker' && boxOf(requireVagrant(cluster)).box.startsWith('flatcar-')

export function requireVagrant(cluster: Cluster): VagrantSettings {
  if (!cluster.vagrant) throw new Error(`Cluster ${cluster.name} is not Vagrant's.`)
  return cluster.vagrant
}

function settings(cluster: Cluster): object {
  const { provider, memory, cpus, driver } = requireVagrant(cluster)
  const ansible = join(projectFolder, 'templates/ansible')
  return {
    provider,
    label: clusterLabel(cluster),
    hosts: cluster.hosts.map(({ name, address }) => ({ name, address })),
    memory,
    cpus,
    ...(driver && { driver }),
    ...(provider === 'docker' ? { image: hostImage(cluster) } : boxOf(requireVagrant(cluster))),
    flatcar: isFlatcar(cluster),
    flatcarScript: join(templates, 'flatcar/prepare.sh'),
    ansibleConfig: join(ansible, 'ansible.cfg'),
    playbook: join(ansible, 'playbooks/etcd.yml'),
    inventory: cluster.paths.inventory,
    certificates: cluster.paths.certs,
  }
}

/**
 * The box that was asked for, else Flatcar where there are boxes of it, else Debian. Flatcar's are found by channel and
 * version; there are some for VirtualBox and Parallels only (flatcar.org, "Vagrant"), and for amd64 only
 * (flatcar/Flatcar#762).
 */
export function boxOf({ provider, box, boxVersion }: VagrantSettings): {
  box: string
  boxUrl?: string
  boxVersion?: string
} {
  const name = box ?? (provider === 'libvirt' ? 'debian/bookworm64' : 'flatcar-stable')
  const channel = provider !== 'libvirt' && /^flatcar-(stable|beta|alpha|lts)$/.exec(name)?.[1]
  const site = `https://${channel}.release.flatcar-linux.net/amd64-usr`
  return {
    box: name,
    ...(channel && { boxUrl: `${site}/${boxVersion ?? 'current'}/${metadataOf(provider, channel, boxVersion)}` }),
    ...(boxVersion && { boxVersion }),
  }
}

/**
 * The file that lists a box. Parallels' had a file of its own until 4722, whose builds share one (flatcar/scripts,
 * _write_box_bundle in build_library/vm_image_util.sh, tag stable-4593.2.5, branches flatcar-4694 and flatcar-4722);
 * stable and lts are older yet. Never tried with Parallels.
 */
function metadataOf(provider: VagrantSettings['provider'], channel: string, version: string | undefined): string {
  const own = version ? Number.parseInt(version, 10) < 4722 : channel === 'stable' || channel === 'lts'
  return `flatcar_production_vagrant${provider === 'parallels' && own ? '_parallels' : ''}.json`
}
