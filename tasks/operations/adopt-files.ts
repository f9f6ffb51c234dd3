// The certificates of a cluster that is being adopted, beside those of its new authority.
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { type NewFile, readFileIfThere, writeFileIfChanged, writeFilesAtomic } from '../core/files.ts'
import { certificatesIn } from '../core/x509.ts'
import { attempt, isSignedBy, leaves, oldAuthorities, pairOf } from '../etcd/certificates.ts'
import { certificateSettings, type ForeignHost, isPlain } from '../etcd/foreign.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import * as pki from '../pki/index.ts'
import type { Step } from './steps.ts'

/** A client certificate of a person's own, and its key: paths. */
export interface ClientFiles {
  certificate: string
  key: string
}

/** The members with the certificates that they had, as the role takes them. */
export const asBefore = (cluster: Cluster): Cluster => ({
  ...cluster,
  paths: { ...cluster.paths, certs: cluster.paths.adopting },
})

/** The same, as far as a half-done adoption has come: once our own authority issues, the old ones are gone. */
export const asLetIn = (cluster: Cluster): Cluster =>
  cluster.begun?.verb === 'adopt' && existsSync(cluster.paths.adopting) ? asBefore(cluster) : cluster

/** Makes an authority of ours, and puts the members' certificates aside, which trust it, too. */
export async function stage(cluster: Cluster, files: NewFile[]): Promise<void> {
  await pki.ensureCertificates({ ...cluster, formed: undefined })
  const { adopting, certs } = cluster.paths
  const old = files.find(({ path }) => path === 'ca.crt')?.content ?? ''
  writeFileIfChanged(oldAuthorities(cluster), old, 0o644)
  const ours = readFileIfThere(join(certs, 'ca.crt')) ?? ''
  const both = ours.includes(old) ? ours : ours + old
  writeFileIfChanged(join(certs, 'ca.crt'), both, 0o644)
  const staged = files.map((file) => (file.path === 'ca.crt' ? { ...file, content: both } : file))
  const lacking = leaves(cluster).filter(({ title }) => !files.some(({ path }) => path === title))
  for (const { title, certificate, key } of lacking)
    staged.push(...pairOf(title, readFileIfThere(certificate), readFileIfThere(key)))
  await writeFilesAtomic(staged.map((file) => ({ ...file, path: join(adopting, file.path) })))
}

export const forget = ({ paths }: Cluster): Step => ({
  title: 'Forget the adoption',
  task: () => {
    for (const path of ['record', 'inventory', 'adopting', 'sshConfig'] as const)
      rmSync(paths[path], { recursive: true, force: true })
  },
})

/** Reads the members' certificates and keys from the hosts; gives each host its own certificates. */
export async function fetchFiles(
  copy: Cluster,
  folder: string,
  foreign: ForeignHost[],
): Promise<Record<string, Record<string, string>>> {
  if (foreign.length === 0) return {}
  const wanted = foreign.map(({ host, etcd, settings }) => {
    const paths = Object.entries(certificateSettings).flatMap(([name, setting]) => {
      const path = settings[setting]
      return path ? [[name, path.startsWith('/') ? path : join(etcd.cwd, path)]] : []
    })
    return [host.name, Object.fromEntries(paths)] as const
  })
  const there = join(folder, 'fetched')
  await runPlaybook(copy, {
    playbook: 'adopt',
    limit: foreign.map(({ host }) => host.name),
    variables: {
      etcd_adopt_action: 'fetch',
      etcd_adopt_files: Object.fromEntries(wanted),
      etcd_fetch_directory: there,
    },
  })
  const texts = wanted.map(([host, paths]) => [
    host,
    Object.fromEntries(Object.keys(paths).map((name) => [name, readFileSync(join(there, host, name), 'utf8')])),
  ])
  const fetched = Object.fromEntries(texts) as Record<string, Record<string, string>>
  for (const one of foreign) {
    one.server = readCertificate(fetched[one.host.name]?.['server.crt'])
    one.peer = readCertificate(fetched[one.host.name]?.['peer.crt'])
  }
  return fetched
}

const readCertificate = (text = ''): X509Certificate | undefined => attempt(() => new X509Certificate(text))

/** As the role takes them: ca.crt with all that is trusted, a pair of each kind for every host, and the client's. */
export function arranged(
  foreign: ForeignHost[],
  fetched: Record<string, Record<string, string>>,
  client: ClientFiles | undefined,
): NewFile[] {
  const texts = Object.values(fetched)
  const trusted = texts.flatMap((one) => certificatesIn(`${one['client-ca.crt'] ?? ''}\n${one['peer-ca.crt'] ?? ''}`))
  // Of a port that speaks plain HTTP there are none: it gets those of our authority.
  const [plainClients, plainPeers] = [isPlain(foreign, 'client'), isPlain(foreign, 'peer')]
  const ofHosts = foreign.flatMap(({ host: { name } }) => {
    const one = fetched[name] ?? {}
    return [
      ...(plainClients ? [] : pairOf(`${name}/server.crt`, one['server.crt'], one['server.key'])),
      ...(plainPeers ? [] : pairOf(`${name}/${name}.crt`, one['peer.crt'], one['peer.key'])),
    ]
  })
  return [
    { path: 'ca.crt', content: [...new Set(trusted)].map((pem) => `${pem}\n`).join(''), mode: 0o644 },
    ...ofHosts,
    ...(client ? clientPair(client) : plainClients ? [] : clientOf(texts)),
  ]
}

/** A person's own pair, as the role takes it. */
export const clientPair = ({ certificate, key }: ClientFiles): NewFile[] =>
  pairOf('etcd-client.crt', readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'))

/** A certificate of a member's that the members let in as a client's. */
function clientOf(texts: Record<string, string>[]): NewFile[] {
  const clientUse = '1.3.6.1.5.5.7.3.2'
  const candidates = texts.flatMap((one) => {
    const authorities = certificatesIn(one['client-ca.crt'] ?? one['peer-ca.crt'] ?? '').map(readCertificate)
    return ['server', 'peer'].flatMap((kind) => {
      const certificate = readCertificate(one[`${kind}.crt`])
      const isClient = certificate && (certificate.keyUsage ?? [clientUse]).includes(clientUse)
      const isTrusted = certificate && authorities.some((ca) => ca && isSignedBy(certificate, ca))
      return isClient && isTrusted ? [pairOf('etcd-client.crt', one[`${kind}.crt`], one[`${kind}.key`])] : []
    })
  })
  if (candidates[0]) return candidates[0]
  throw new OperationError('No certificate of the members is one that they let in as a client.', {
    hint: 'Name a client certificate of this cluster: --client-cert FILE --client-key FILE',
  })
}

/** What an earlier run has put aside. */
export function readStaged({ hosts, begun, paths: { adopting } }: Cluster): NewFile[] {
  if (!begun || !existsSync(adopting)) return []
  const names = ['etcd-client', ...hosts.flatMap(({ name }) => [`${name}/server`, `${name}/${name}`])]
  const read = (name: string): string => readFileIfThere(join(adopting, name)) ?? ''
  return [
    { path: 'ca.crt', content: read('ca.crt'), mode: 0o644 },
    ...names.flatMap((name) => pairOf(`${name}.crt`, read(`${name}.crt`), read(`${name}.key`))),
  ]
}

/** The cluster as its members let us in: with their certificates. */
export async function withTheirs(copy: Cluster, files: NewFile[]): Promise<Cluster> {
  const { certs } = copy.paths
  const ours = readFileSync(join(certs, 'ca.crt'), 'utf8')
  const content = (file: NewFile): string => (file.path === 'ca.crt' ? ours + file.content : file.content)
  await writeFilesAtomic(files.map((file) => ({ ...file, content: content(file), path: join(certs, file.path) })))
  return copy
}
