// The kinds of clusters that other tools set up, one of which after the other is had on the same hosts.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { type Manner, setUpByHand } from './foreign.ts'
import { listHosts, type TestHosts } from './hosts.ts'
import type { Home } from './verbs.ts'
import { etcdOf } from './versions.ts'

export interface Kind {
  title: string
  version: string
  manner: Manner
}

const certs = { original: '/etc/ssl/etcd', pods: '/etc/kubernetes/pki/etcd' }

export const kinds = {
  byHand: {
    title: 'other names, folders and users, and two authorities',
    version: '3.5.33',
    manner: { unit: 'my-etcd', data: '/srv/etcd/data', certs: '/srv/etcd/pki', user: 'keeper', apart: true },
  },
  original: {
    title: "the original write-up's role, with a unit and a drop-in of the very names that ours have",
    version: '3.6.14',
    manner: {
      ...{ unit: 'etcd-member', data: '/var/lib/etcd', certs: certs.original, user: 'root', apart: false },
      ...{ dropIn: '40-cluster-ips.conf', more: { 'ssl-dir': certs.original } },
    },
  },
  pods: {
    title: "kubeadm's static pods",
    version: '3.4.23',
    manner: { unit: 'kubelet', data: '/var/lib/etcd', certs: certs.pods, user: 'root', apart: false, pod: true },
  },
  plain: {
    title: "plain HTTP, as Debian's package has it",
    version: '3.5.33',
    manner: {
      ...{ unit: 'etcd', data: '/var/lib/etcd/default', certs: '/unused', user: 'etcd', apart: false },
      ...{ plain: true, dropIn: 'default.conf' },
    },
  },
} satisfies Record<string, Kind>

/** kubelet ends a pod as its manifest goes. */
const cleared = `
  rm -rf /etc/kubernetes/manifests
  for unit in etcd-member my-etcd etcd; do systemctl disable --now $unit || true; done
  while ss -Hltn | grep -q ':2379 '; do sleep 0.1; done
  systemctl disable --now kubelet || true
  for unit in etcd-member my-etcd etcd kubelet; do rm -rf /etc/systemd/system/$unit.service*; done
  rm -rf /var/lib/etcd /var/lib/etcd.adopted* /etc/ssl/etcd /etc/kubernetes /srv/etcd
  systemctl daemon-reload`

/** A cluster of this kind in the place of what the hosts had, and a home that knows of it only where its hosts are. */
export async function setUpKind(home: Home, machines: TestHosts, { title, version, manner }: Kind): Promise<Cluster> {
  const etcd = await etcdOf(version)
  if (!etcd) throw new Error(`etcd ${version} cannot be had here.`)
  await Promise.all(machines.hosts.map(({ name }) => machines.on(name, cleared)))
  for (const folder of ['certs', '.cluster']) rmSync(join(home.path, folder), { recursive: true, force: true })
  const clients = await setUpByHand(machines, 3, etcd.folder, folderOf(home, { title }), manner)
  const pki = { extraSans: ['etcd-0.example', 'etcd-1.example', 'etcd-2.example'] }
  listHosts(home.path, machines, 3, { binaries: etcd.folder }, manner.plain ? {} : { pki })
  return clients
}

/** Where the files lie that its makers have. */
export const folderOf = (home: Home, { title }: Pick<Kind, 'title'>): string =>
  join(home.path, title.replaceAll(/\W+/g, '-'))
