// npm run bench:hosts: the role against a plain one (plain/etcd.yml), on fresh Docker hosts, in turn in the same run.
// Prints medians and exits 1 where a ratio is missed. Usage: npm run bench:hosts [-- ROUNDS]
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Host } from '../../tasks/core/cluster.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { requireEtcd } from '../../tasks/etcd/binaries.ts'
import { ensureCertificates } from '../../tasks/pki/index.ts'
import { testCluster } from '../support/cluster.ts'
import { startHosts } from '../support/hosts.ts'
import { type Goal, judge, median } from './goals.ts'

const rounds = Number(process.argv[2] ?? 5)
const image = process.env.TEST_IMAGE
if (!image) throw new Error('TEST_IMAGE names no image: run this with npm run bench:hosts.')

const playbooks = {
  ours: {
    file: join(projectFolder, 'templates/ansible/playbooks/etcd.yml'),
    env: { ANSIBLE_CONFIG: join(projectFolder, 'templates/ansible/ansible.cfg') },
  },
  plain: {
    file: join(projectFolder, 'test/bench/plain/etcd.yml'),
    env: { ANSIBLE_CONFIG: join(projectFolder, 'test/bench/plain/ansible.cfg') },
  },
}

/** Seconds of a first run on fresh hosts, and of a second one with nothing to do. */
async function measure(kind: keyof typeof playbooks, count: number): Promise<{ first: number; again: number }> {
  const machines = await startHosts(image as string, count)
  const hosts = machines.hosts.map(
    ({ name, address }): Host => ({
      name,
      address,
      clientURL: `https://${address}:2379`,
      peerURL: `https://${address}:2380`,
    }),
  )
  const cluster = testCluster({ masters: count, hosts })
  await ensureCertificates(cluster)
  mkdirSync(cluster.paths.state, { recursive: true })
  const vars = {
    ...machines.ssh,
    etcd_cluster_token: cluster.name,
    etcd_pki_directory: cluster.paths.certs,
    etcd_binaries_source: (await requireEtcd(cluster)).folder,
  }
  const listed = Object.fromEntries(
    hosts.map(({ name, address }) => [name, { ansible_host: address, private_ipv4: address }]),
  )
  writeFileSync(
    cluster.paths.inventory,
    stringify({ all: { children: { 'role=master': { hosts: listed, vars } } } }, { lineWidth: 0 }),
  )
  const { file, env } = playbooks[kind]
  const seconds = (): number => {
    const started = process.hrtime.bigint()
    execFileSync('ansible-playbook', ['--inventory', cluster.paths.inventory, file], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    return Number(process.hrtime.bigint() - started) / 1e9
  }
  try {
    return { first: seconds(), again: seconds() }
  } finally {
    machines.remove()
  }
}

const samples = {
  ours: [] as Awaited<ReturnType<typeof measure>>[],
  plain: [] as Awaited<ReturnType<typeof measure>>[],
  seven: [] as Awaited<ReturnType<typeof measure>>[],
}
for (let round = 1; round <= rounds; round++) {
  process.stderr.write(`round ${round} of ${rounds}\n`)
  samples.plain.push(await measure('plain', 3))
  samples.ours.push(await measure('ours', 3))
  samples.seven.push(await measure('ours', 7))
}

const of = (kind: keyof typeof samples, what: 'first' | 'again'): number =>
  median(samples[kind].map((sample) => sample[what]))
const versus = (kind: keyof typeof samples, base: keyof typeof samples, what: 'first' | 'again'): string =>
  `(${of(kind, what).toFixed(1)} s) against ${of(base, what).toFixed(1)} s`
const goals: Goal[] = [
  {
    what: `a first run ${versus('ours', 'plain', 'first')} of a plain role`,
    value: of('ours', 'first') / of('plain', 'first'),
    unit: ' x',
    most: 0.8,
  },
  {
    what: `nothing to do ${versus('ours', 'plain', 'again')} of a plain role`,
    value: of('ours', 'again') / of('plain', 'again'),
    unit: ' x',
    most: 0.35,
  },
  {
    what: `7 hosts ${versus('seven', 'ours', 'first')} of 3`,
    value: of('seven', 'first') / of('ours', 'first'),
    unit: ' x',
    most: 1.5,
  },
]
process.exit(judge(goals, rounds))
