// Clusters of etcd as other people set them up by hand: systemd, openssl, names and folders of their own.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { memberList } from '../../tasks/etcd/etcdctl.ts'
import { freeTestCluster, type Members, startMembers } from './etcd.ts'
import { type TestHosts, untilListens } from './hosts.ts'
import { until } from './wait.ts'

/** What differs between those that people make. */
export interface Manner {
  /** The unit, the data directory and the folder of certificates on a host, and the user that runs etcd. */
  unit: string
  data: string
  certs: string
  user: string
  /** Whether peers have an authority of their own. */
  apart: boolean
  /** The drop-in that has the settings as variables; '' for flags in the unit. */
  dropIn?: string
  /** Whether it speaks plain HTTP, to clients and between members. */
  plain?: boolean
  /** Whether kubelet, which has that unit then, runs it as a static pod. */
  pod?: boolean
  /** Settings besides. */
  more?: Record<string, string>
}

const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' })

/** An authority with RSA keys, as many write-ups make it. */
function authority(folder: string, name: string): void {
  const subject = ['-subj', `/CN=${name}`]
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)]
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '365', ...subject, ...files)
}

export function leaf(folder: string, name: string, ca: string, sans: string[]): void {
  const at = (file: string): string => join(folder, file)
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    at(`${name}.key`),
    '-out',
    at('csr'),
  )
  const names = sans.length > 0 ? `subjectAltName=${sans.join(',')}\n` : ''
  writeFileSync(at('ext'), `${names}extendedKeyUsage=serverAuth,clientAuth\n`)
  const signer = ['-CA', at(`${ca}.crt`), '-CAkey', at(`${ca}.key`), '-CAcreateserial', '-days', '365']
  openssl('x509', '-req', '-in', at('csr'), ...signer, '-extfile', at('ext'), '-out', at(`${name}.crt`))
}

/** Sets etcd up on the first `count` hosts, and waits until it serves. @returns it as its clients see it */
export async function setUpByHand(
  machines: TestHosts,
  count: number,
  programs: string,
  folder: string,
  manner: Manner,
): Promise<Cluster> {
  const { data, certs, user, apart } = manner
  const hosts = machines.hosts.slice(0, count)
  mkdirSync(folder)
  authority(folder, 'clients-ca')
  if (apart) authority(folder, 'peers-ca')
  const peersCa = apart ? 'peers-ca' : 'clients-ca'
  leaf(folder, 'etcd-client', 'clients-ca', [])
  const scheme = manner.plain ? 'http' : 'https'
  const initial = hosts.map(({ address }, index) => `node-${index}=${scheme}://${address}:2380`).join(',')
  await Promise.all(
    hosts.map(async ({ name, address }, index) => {
      for (const [kind, ca] of [
        ['server', 'clients-ca'],
        ['peer', peersCa],
      ] as const)
        leaf(folder, `${name}-${kind}`, ca, [`IP:${address}`, 'IP:127.0.0.1', `DNS:etcd-${index}.example`])
      await machines.on(
        name,
        `mkdir -p ${certs} ${data} /opt/etcd; chmod 700 ${data}; id ${user} || useradd -r ${user}`,
      )
      for (const program of ['etcd', 'etcdctl'])
        await machines.copy(name, join(programs, program), `/opt/etcd/${program}`)
      const files = { 'ca.crt': 'clients-ca.crt', 'peers-ca.crt': `${peersCa}.crt` }
      const own = ['server', 'peer'].flatMap((kind) =>
        ['crt', 'key'].map((end) => [`${kind}.${end}`, `${name}-${kind}.${end}`]),
      )
      for (const [there, here] of [...Object.entries(files), ...own])
        await machines.copy(name, join(folder, here as string), `${certs}/${there}`)
      await machines.on(name, `chown -R ${user}: ${certs} ${data}`)
      const settings = { name: `node-${index}`, 'initial-cluster': initial, ...settingsAt(address, manner) }
      await (manner.pod ? installPod : installUnit)(machines, name, folder, settings, manner)
    }),
  )
  const start = `systemctl daemon-reload; systemctl enable --now ${manner.unit}; ${untilListens(2379)}`
  await Promise.all(hosts.map(({ name }) => machines.on(name, start)))
  return clientsOf(machines, count, folder, ['clients-ca.crt'], scheme)
}

type Settings = Record<string, string>

const settingsAt = (address: string, { data, more = {}, plain, certs }: Manner): Settings => ({
  ...{ 'data-dir': data, 'initial-cluster-token': 'by-hand', 'initial-cluster-state': 'new' },
  ...urlsAt(address, plain ? 'http' : 'https'),
  ...(!plain && filesIn(certs)),
  ...more,
})

const urlsAt = (address: string, scheme: string): Settings => ({
  'listen-peer-urls': `${scheme}://${address}:2380`,
  'initial-advertise-peer-urls': `${scheme}://${address}:2380`,
  'listen-client-urls': `${scheme}://0.0.0.0:2379`,
  'advertise-client-urls': `${scheme}://${address}:2379`,
})

const filesIn = (certs: string): Settings => ({
  ...{ 'client-cert-auth': 'true', 'trusted-ca-file': `${certs}/ca.crt` },
  ...{ 'cert-file': `${certs}/server.crt`, 'key-file': `${certs}/server.key` },
  ...{ 'peer-client-cert-auth': 'true', 'peer-trusted-ca-file': `${certs}/peers-ca.crt` },
  ...{ 'peer-cert-file': `${certs}/peer.crt`, 'peer-key-file': `${certs}/peer.key` },
})

async function installUnit(
  machines: TestHosts,
  name: string,
  folder: string,
  settings: Settings,
  { unit, user, dropIn = '' }: Manner,
): Promise<void> {
  const words = Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`)
  const variables = Object.entries(settings).map(
    ([flag, value]) => `Environment="ETCD_${flag.toUpperCase().replaceAll('-', '_')}=${value}"`,
  )
  const service = [
    '[Unit]\nDescription=etcd by hand\n[Service]\nType=notify\nRestart=always',
    `User=${user}`,
    `ExecStart=/opt/etcd/etcd ${dropIn ? '' : words.join(' \\\n  ')}`,
    '[Install]\nWantedBy=multi-user.target',
  ]
  const path = join(folder, `${name}.service`)
  writeFileSync(path, `${service.join('\n')}\n`)
  await machines.copy(name, path, `/etc/systemd/system/${unit}.service`)
  if (!dropIn) return
  const at = `/etc/systemd/system/${unit}.service.d`
  writeFileSync(`${path}.conf`, `[Service]\n${variables.join('\n')}\n`)
  await machines.on(name, `mkdir -p ${at}`)
  await machines.copy(name, `${path}.conf`, `${at}/${dropIn}`)
}

/** As kubeadm does, beside a kubelet that is imitated. */
async function installPod(
  machines: TestHosts,
  name: string,
  folder: string,
  settings: Settings,
  { unit, data, certs }: Manner,
): Promise<void> {
  const command = ['etcd', ...Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`)]
  const containers = [{ name: 'etcd', image: 'registry.k8s.io/etcd', command }]
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'etcd' }, spec: { hostNetwork: true, containers } }
  const service = [
    '[Unit]\nDescription=kubelet\n[Service]\nKillMode=process',
    `Environment="SHARED=${data} ${certs}"`,
    'ExecStart=/bin/sh /opt/etcd/kubelet.sh',
    '[Install]\nWantedBy=multi-user.target',
  ]
  await machines.on(name, `mkdir -p ${manifests}`)
  for (const [file, text] of [
    [`${manifests}/etcd.yaml`, stringify(pod, { lineWidth: 0 })],
    [`/etc/systemd/system/${unit}.service`, `${service.join('\n')}\n`],
  ] as const) {
    const path = join(folder, `${name}-${basename(file)}`)
    writeFileSync(path, text)
    await machines.copy(name, path, file)
  }
  await machines.copy(name, fileURLToPath(new URL('kubelet.sh', import.meta.url)), '/opt/etcd/kubelet.sh')
}

const manifests = '/etc/kubernetes/manifests'

/** RSA, and one authority for clients, another one for peers. */
function theirCertificates({ hosts, paths: { certs } }: Cluster): void {
  mkdirSync(certs, { recursive: true })
  for (const name of ['clients', 'peers']) authority(certs, name)
  copyFileSync(join(certs, 'clients.crt'), join(certs, 'ca.crt'))
  leaf(certs, 'etcd-client', 'clients', [])
  for (const { name, address } of hosts) {
    mkdirSync(join(certs, name))
    for (const [kind, ca] of [
      ['server', 'clients'],
      [name, 'peers'],
    ] as const) {
      leaf(certs, kind, ca, [`IP:${address}`, 'IP:127.0.0.1'])
      for (const end of ['crt', 'key']) copyFileSync(join(certs, `${kind}.${end}`), join(certs, name, `${kind}.${end}`))
    }
  }
}

/** A cluster of plain processes on this machine that something else runs, with authorities of its own. */
export async function startForeign(masters: number): Promise<[theirs: Cluster, members: Members]> {
  const theirs = await freeTestCluster({ name: 'theirs', masters })
  theirs.hosts.splice(masters)
  theirs.hosts.forEach((host, index) => void (host.name = `infra${index}`))
  theirCertificates(theirs)
  const others = { 'peer-trusted-ca-file': join(theirs.paths.certs, 'peers.crt'), 'peer-cert-allowed-cn': undefined }
  const members = await startMembers(theirs, Object.fromEntries(theirs.hosts.map(({ name }) => [name, others])))
  // a member tells its name a moment after it first answers; on a busy machine it may not answer in time yet
  const haveNames = async (): Promise<boolean> => (await memberList(theirs)).every(({ name }) => name !== '')
  await until('all have told their names', () => haveNames().catch(() => false))
  return [theirs, members]
}

/** What adopt needs to have hosts join it. */
export function accessTo({ hosts, paths: { certs } }: Cluster): string[] {
  const files = {
    'ca-cert': 'clients.crt',
    'ca-key': 'clients.key',
    'peer-ca-cert': 'peers.crt',
    'peer-ca-key': 'peers.key',
  }
  const named = Object.entries(files).flatMap(([flag, name]) => [`--${flag}`, join(certs, name)])
  return ['--endpoints', hosts.map(({ clientURL }) => clientURL).join(','), ...named]
}

/** The cluster as clients see it that trust these authorities' files, in a folder of certificates of their own. */
export function clientsOf(
  machines: TestHosts,
  count: number,
  folder: string,
  trusted: string[],
  scheme = 'https',
): Cluster {
  const certs = join(folder, `view-${trusted.length}`)
  mkdirSync(certs, { recursive: true })
  for (const end of ['crt', 'key']) execFileSync('cp', [join(folder, `etcd-client.${end}`), certs])
  const all = trusted.map((name) => execFileSync('cat', [name.startsWith('/') ? name : join(folder, name)]).toString())
  writeFileSync(join(certs, 'ca.crt'), all.join(''))
  const hosts = machines.hosts.slice(0, count).map(({ name, address }) => ({
    name,
    address,
    clientURL: `${scheme}://${address}:2379`,
    peerURL: `${scheme}://${address}:2380`,
  }))
  const [etcd, paths] = [{ clientPort: 2379 }, { certs }]
  return { name: 'by-hand', hosts, etcd, paths } as Cluster
}
