// The certificates of a cluster that is being adopted, beside those of its new authority.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { type NewFile, readFileIfThere, writeFileIfChanged, writeFilesAtomic } from '../core/files.ts'
import { leaves, oldAuthorities, pairOf } from '../etcd/certificates.ts'
import * as pki from '../pki/index.ts'
import type { Step } from './steps.ts'

/** The members with the certificates that they had, as the role takes them. */
export const asBefore = (cluster: Cluster): Cluster => ({
  ...cluster,
  paths: { ...cluster.paths, certs: cluster.paths.adopting },
})

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
