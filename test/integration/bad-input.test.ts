// Bad input: refused with one clear sentence and the right exit code, and before anything is touched.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { birthOf } from '../../tasks/core/processes.ts'
import { temporaryFolder } from '../support/folder.ts'
import { environmentOfTests, performHere, testHome } from '../support/verbs.ts'

interface Case {
  title: string
  /** What is wrong, in the one sentence on standard error. */
  says: RegExp
  verb?: string
  args?: string[]
  env?: Record<string, string>
  /** cluster.yaml */
  config?: string
  /** .cluster/etcd-cluster-1/cluster.json */
  record?: string
  /** Programs that PATH has besides the shell's own, and the version each of them prints; none given: PATH as it is. */
  programs?: Record<string, string>
  /** Whatever else must be there; may return how to undo it. */
  prepare?: (home: string) => unknown
  /** It mounts a small file system of its own: skipped, and counted as that, where this is not allowed. */
  needsMount?: true
  /** 2, unless the world failed. */
  code?: 1 | 2
  /** True where the failure comes after the work has begun: then files may differ. */
  touches?: boolean
}

const test = suite('bad input')

// ---- What a cluster looks like on disk

const record = (changes: object = {}, subnet = '127.203.7'): string =>
  JSON.stringify({
    name: 'etcd-cluster-1',
    provider: 'local',
    subnet: `${subnet}.0/24`,
    clientPort: 2379,
    peerPort: 2380,
    members: [1, 2, 3].map((number) => ({ name: `master0${number}`, address: `${subnet}.10${number}` })),
    etcd: { version: '3.5.16' },
    ...changes,
  })

const recordPath = (home: string): string => join(home, '.cluster/etcd-cluster-1/cluster.json')

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

// ---- Flags

const flags: Case[] = [
  { title: 'an unknown flag', args: ['--colour'], says: /^Error: Unknown flag --colour\. Valid: --/ },
  {
    title: 'a mistyped flag',
    args: ['--master', '3'],
    says: /^Error: Unknown flag --master\. Did you mean --masters\?$/,
  },
  { title: 'a short flag', args: ['-y'], says: /^Error: Unknown flag -y\./ },
  {
    title: 'a flag given twice',
    args: ['--masters', '3', '--masters', '5'],
    says: /^Error: --masters is given twice\.$/,
  },
  {
    title: 'a flag without its value',
    args: ['--cluster'],
    says: /^Error: --cluster needs a value: --cluster NAME\.$/,
  },
  {
    title: 'a flag with another flag for its value',
    args: ['--cluster', '--yes'],
    says: /^Error: --cluster needs a value/,
  },
  {
    title: 'a flag with an empty value',
    args: ['--config='],
    says: /^Error: --config needs a value: --config FILE\.$/,
  },
  { title: 'a value for a switch', args: ['--json=true'], says: /^Error: --json takes no value\.$/ },
  { title: 'a word that is no flag', args: ['up'], says: /^Error: Unexpected argument "up"\.$/ },
  { title: 'a word after --', args: ['--', 'up'], says: /^Error: Unexpected argument "up"\.$/ },
  { title: 'a flag of another verb', args: ['--purge'], says: /^Error: Unknown flag --purge\./ },
  {
    title: 'a misspelt flag of up',
    verb: 'up',
    args: ['--form', 'pki'],
    says: /^Error: Unknown flag --form\. Did you mean --from\?$/,
  },
  {
    title: 'a phase that is not there',
    verb: 'up',
    args: ['--from', 'pky'],
    says: /^Error: There is no phase pky\. Did you mean pki\?$/,
  },
  {
    title: 'a skipped phase that is not there',
    verb: 'up',
    args: ['--skip', 'pki,vm'],
    says: /^Error: There is no phase vm\. Did you mean vms\?$/,
  },
  {
    title: 'skipping every phase',
    verb: 'up',
    args: ['--from', 'verify', '--skip', 'verify'],
    says: /^Error: --from and --skip leave no phase to run\.$/,
  },
  {
    title: 'two documents at once',
    verb: 'metrics',
    args: ['--rules', '--dashboard'],
    record: record(),
    says: /^Error: --rules and --dashboard exclude each other\.$/,
  },
  {
    title: 'a file in a folder that is not there',
    verb: 'metrics',
    args: ['--output', 'nowhere/a.prom'],
    record: record(),
    says: /^Error: There is no folder .*\/nowhere\.$/,
  },
  {
    title: 'a folder in the place of a file',
    verb: 'metrics',
    args: ['--rules', '--output', 'tasks'],
    record: record(),
    says: /^Error: .*tasks is a folder, but a file is needed there\.$/,
    code: 1,
  },
  { title: 'no snapshot', verb: 'restore', says: /^Error: FILE is missing, or --from TARGET\.$/ },
  {
    title: 'a target without a key',
    verb: 'backup',
    args: ['--to', '.'],
    says: /^Error: --to needs --recipient: nothing leaves this machine that is not sealed\.$/,
  },
  {
    title: 'a target that is not there',
    verb: 'restore',
    args: ['--from', 'nowhere', '--identity', 'package.json'],
    says: /^Error: The target .*nowhere is not there\.$/,
  },
  {
    title: 'a snapshot that is not there',
    verb: 'restore',
    args: ['nowhere.db', '--yes'],
    says: /^Error: There is no snapshot at .*nowhere\.db\.$/,
  },
  {
    title: 'a file that is no snapshot',
    verb: 'restore',
    args: ['package.json', '--yes'],
    says: /^Error: .*package\.json is not a whole snapshot: /,
  },
]

const values: Case[] = [
  ...['0', '2', '4', '8'].map((masters) => ({
    title: `${masters} masters`,
    args: ['--masters', masters],
    says: new RegExp(`^Error: --masters must be odd .*, not ${masters}\\.$`),
  })),
  ...['11', '-3', '3.5', 'abc'].map((masters) => ({
    title: `${masters} masters`,
    args: [`--masters=${masters}`],
    says: /^Error: --masters must be 1, 3, 5, 7 or 9, not /,
  })),
  {
    title: 'masters without a number',
    args: ['--masters', ''],
    says: /^Error: --masters needs a value: --masters N\.$/,
  },
  ...['Prod', 'a/b', '..', 'a b', 'x'.repeat(64)].map((name) => ({
    title: `a cluster named ${name.slice(0, 8)}`,
    args: ['--cluster', name],
    says: /^Error: --cluster must be 1 to 63 lower-case letters/,
  })),
  { title: 'a cluster without a name', args: ['--cluster='], says: /^Error: --cluster needs a value/ },
  {
    title: 'a provider that is not there',
    args: ['--provider', 'locl'],
    says: /^Error: --provider must be one of .*, not "locl"\. Did you mean local\?$/,
  },
]

// ---- The configuration file

const configuration: Case[] = [
  {
    title: 'a configuration file that is not there',
    args: ['--config', 'nowhere.yaml'],
    says: /^Error: The configuration file .*nowhere\.yaml cannot be read \(ENOENT\)\.$/,
  },
  {
    title: 'a folder for a configuration file',
    args: ['--config', '.'],
    says: /^Error: The configuration file .* cannot be read \(EISDIR\)\.$/,
  },
  ...(
    [
      ['YAML that is none', 'masters: [3', /cluster\.yaml is not valid YAML: /],
      ['a key twice', 'masters: 3\nmasters: 5', /cluster\.yaml is not valid YAML: /],
      ['an alias that stands for nothing', 'masters: *none', /cluster\.yaml is not valid YAML: /],
      ['a list', '- masters: 3', /the file must be a list of keys and values/],
      ['an unknown key', 'master: 3', /cluster\.yaml: master is not a known key\. Did you mean masters\?$/],
      [
        'a metrics port that is the peer port',
        'etcd: { metricsPort: 2380 }',
        /etcd\.peerPort and etcd\.metricsPort must differ \(both are 2380\)\.$/,
      ],
      ['an unknown key below etcd', 'etcd: { port: 1 }', /cluster\.yaml: etcd\.port is not a known key\./],
      [
        'an unknown key below pki',
        'pki: { leafdays: 1 }',
        /cluster\.yaml: pki\.leafdays is not a known key\. Did you mean leafDays\?$/,
      ],
      ['a number for a name', 'cluster: 7', /: cluster must be text, not 7\.$/],
      ['a list for a provider', 'provider: [local]', /: provider must be one of /],
      ['text for masters', 'masters: "3"', /: masters must be 1, 3, 5, 7 or 9, not "3"\.$/],
      ['an even number of masters', 'masters: 4', /: masters must be odd /],
      ['a number for a subnet', 'subnet: 127', /: subnet must be an IPv4 \/24 network/],
      ['a number for a version', 'etcd: { version: 3.6 }', /: etcd\.version must be text, not 3\.6\.$/],
      ['a version that is none', 'etcd: { version: latest }', /: etcd\.version must be an etcd version such as /],
      ['true for binaries', 'etcd: { binaries: true }', /: etcd\.binaries must be text, not true\.$/],
      ['text for a port', 'etcd: { clientPort: "2379" }', /: etcd\.clientPort must be a port /],
      ['port 0', 'etcd: { clientPort: 0 }', /: etcd\.clientPort must be a port from 1 to 65535, not 0\.$/],
      ['port 70000', 'etcd: { peerPort: 70000 }', /: etcd\.peerPort must be a port from 1 to 65535, not 70000\.$/],
      [
        'one port for both',
        'etcd: { clientPort: 2380 }',
        /etcd\.clientPort and etcd\.peerPort must differ \(both are 2380\)\.$/,
      ],
      ['text for the environment', 'etcd: { environment: ETCD_X }', /: etcd\.environment /],
      [
        'a variable that is not of etcd',
        'etcd: { environment: { PATH: x } }',
        /: etcd\.environment\.PATH must be an ETCD_\* variable/,
      ],
      [
        'a variable that we derive',
        'etcd: { environment: { ETCD_DATA_DIR: /tmp } }',
        /ETCD_DATA_DIR is derived from the cluster and cannot be set\.$/,
      ],
      [
        'a second port for HTTP',
        'etcd: { environment: { ETCD_LISTEN_CLIENT_HTTP_URLS: "http://0.0.0.0:2378" } }',
        /ETCD_LISTEN_CLIENT_HTTP_URLS cannot be set: with http every key is open to everyone, without TLS; with https /,
      ],
      [
        'a variable on two lines',
        'etcd: { environment: { ETCD_X: "a\\nb" } }',
        /: etcd\.environment\.ETCD_X must be on one line/,
      ],
      ['a version too old', 'etcd: { version: 3.3.27 }', /etcd\.version 3\.3\.27 is too old/],
      ['version and binaries together', 'etcd: { version: 3.6.14, binaries: /nowhere }', /exclude each other/],
      ['binaries without etcd', 'etcd: { binaries: /nowhere }', /etcd\.binaries: there is no etcd in \/nowhere\.$/],
      ['a key algorithm of another kind', 'pki: { keyAlgorithm: rsa-1024 }', /: pki\.keyAlgorithm must be one of /],
      ['text for days', 'pki: { caDays: ten }', /: pki\.caDays must be a whole number of days/],
      ['half a day', 'pki: { leafDays: 0.5 }', /: pki\.leafDays must be a whole number of days/],
      ['a negative renewal', 'pki: { renewBeforeDays: -1 }', /: pki\.renewBeforeDays must be a whole number of days/],
      [
        'leaves that outlive their authority',
        'pki: { caDays: 100 }',
        /pki\.leafDays \(365\) must not exceed pki\.caDays \(100\)/,
      ],
      [
        'a renewal that never ends',
        'pki: { leafDays: 20 }',
        /pki\.renewBeforeDays \(30\) must be less than pki\.leafDays \(20\)/,
      ],
      [
        'a SAN that is no address',
        'pki: { extraSans: [10.0.0.300] }',
        /: pki\.extraSans\.0 must be a DNS name or an IP address, not "10\.0\.0\.300"\.$/,
      ],
      ['text for SANs', 'pki: { extraSans: a.example }', /: pki\.extraSans must be a list/],
      ['a subnet that is no /24', 'subnet: 127.0.0.0/8', /: subnet must be an IPv4 \/24 network/],
      ['a subnet of the outside', 'subnet: 10.0.0.0/24', /subnet 10\.0\.0\.0\/24 is not on the loopback interface/],
    ] as [string, string, RegExp][]
  ).map(([what, config, says]) => ({ title: `a configuration with ${what}`, config, says })),
]

// ---- The environment

const environment: Case[] = [
  { title: 'HA_ETCD_MASTERS=2', env: { HA_ETCD_MASTERS: '2' }, says: /^Error: HA_ETCD_MASTERS must be odd / },
  { title: 'MASTER_COUNT=4', env: { MASTER_COUNT: '4' }, says: /must be odd .*, not 4\.$/ },
  {
    title: 'a variable of ours that is not there',
    env: { HA_ETCD_MASTER: '3' },
    says: /^Error: Unknown environment variable HA_ETCD_MASTER\. Did you mean HA_ETCD_MASTERS\?$/,
  },
  {
    title: 'HA_ETCD_CONFIG that leads nowhere',
    env: { HA_ETCD_CONFIG: '/nowhere.yaml' },
    says: /^Error: The configuration file \/nowhere\.yaml cannot be read/,
  },
  {
    title: 'HA_ETCD_CLUSTER in upper case',
    env: { HA_ETCD_CLUSTER: 'PROD' },
    says: /^Error: HA_ETCD_CLUSTER must be 1 to 63 lower-case/,
  },
  {
    title: 'HA_ETCD_PROVIDER=moon',
    env: { HA_ETCD_PROVIDER: 'moon' },
    says: /^Error: HA_ETCD_PROVIDER must be one of /,
  },
]

// ---- The record of a cluster, and what contradicts it

const records: Case[] = [
  ...(
    [
      ['empty', ''],
      ['cut off', record().slice(0, 40)],
      ['a list', '[]'],
      ['without members', record({ members: undefined })],
      ['with no member at all', record({ members: [] })],
      ['with a port as text', record({ clientPort: '2379' })],
      ['with an address that is none', record({ members: [{ name: 'master01', address: 'here' }] })],
      ['with a name that leads elsewhere', record({ members: [{ name: '../../x', address: '127.0.0.1' }] })],
    ] as [string, string][]
  ).map(([what, content]) => ({
    title: `a cluster.json that is ${what}`,
    record: content,
    says: /cluster\.json cannot be understood: .+\.$/,
  })),
  {
    title: 'a cluster.json that is a folder',
    prepare: (home) => mkdirSync(recordPath(home), { recursive: true }),
    says: /^Error: .*cluster\.json is a folder, but a file is needed there\.$/,
    code: 1,
  },
  {
    title: 'other masters than recorded',
    record: record(),
    args: ['--masters', '5'],
    says: /was made with masters 3; it cannot become 5\.$/,
  },
  {
    title: 'another subnet than recorded',
    record: record(),
    config: 'subnet: 127.9.9.0/24',
    says: /was made with subnet 127\.203\.7\.0\/24; it cannot become 127\.9\.9\.0\/24\.$/,
  },
  {
    title: 'another client port than recorded',
    record: record(),
    config: 'etcd: { clientPort: 2381 }',
    says: /was made with etcd\.clientPort 2379; it cannot become 2381\.$/,
  },
  {
    title: 'another peer port than recorded',
    record: record(),
    config: 'etcd: { peerPort: 2381 }',
    says: /was made with etcd\.peerPort 2380; it cannot become 2381\.$/,
  },
  {
    title: 'another version than recorded',
    record: record(),
    config: 'etcd: { version: 3.6.14 }',
    says: /was made with etcd\.version 3\.5\.16; it cannot become 3\.6\.14\.$/,
  },
]

// ---- The world

/** Root in a container may not be allowed to mount; then nothing here can be made read-only or full. */
const canMount = process.getuid?.() === 0 && mayMount()

const world: Case[] = [
  {
    title: '--json without --yes where a question is needed',
    verb: 'down',
    record: record(),
    args: ['--json'],
    says: /There is nobody to ask here\.$/,
    touches: true,
  },
  {
    title: 'a question and nobody there',
    verb: 'down',
    record: record(),
    says: /There is nobody to ask here\.$/,
    touches: true,
  },
  {
    title: 'the environment of a cluster that is not there',
    verb: 'env',
    args: ['--cluster', 'etcd-cluster-2'],
    record: record(),
    says: /^Error: There is no cluster etcd-cluster-2 here\. Did you mean etcd-cluster-1\?$/,
  },
  {
    title: 'the status of a cluster that is not there',
    verb: 'status',
    says: /^Error: There is no cluster etcd-cluster-1 here\.$/,
  },
  {
    title: 'verifying a cluster that is not there',
    verb: 'verify',
    says: /^Error: There is no cluster etcd-cluster-1 here\.$/,
  },
  {
    title: 'an authority that is no certificate',
    prepare: (home) => write(join(home, 'certs/etcd-cluster-1/ca.crt'), 'rubbish'),
    says: /^Error: .*ca\./,
    code: 1,
    touches: true,
  },
  {
    title: 'a file in place of .cluster',
    prepare: (home) => write(join(home, '.cluster'), ''),
    says: /^Error: .*\.cluster.* is not a folder/,
    code: 1,
  },
  {
    title: 'a file in place of certs',
    prepare: (home) => write(join(home, 'certs'), ''),
    says: /^Error: .*certs.* is not a folder/,
    code: 1,
    touches: true,
  },
  {
    title: 'a home that is a file',
    env: { HA_ETCD_HOME: join(projectFolder, 'package.json') },
    says: /^Error: .*package\.json.* is not a folder/,
    code: 1,
  },
  {
    title: 'a lock held by a living run',
    record: record(),
    prepare: holdLock,
    says: /^Error: Another run is at work on this cluster: etcd-role, pid \d+, since .*\.$/,
    code: 1,
  },
  {
    title: 'a home that is read-only',
    needsMount: true,
    prepare: (home) => mount(home, 'ro,size=64k'),
    says: /^Error: .* is on a read-only file system\.$/,
    code: 1,
  },
  {
    title: 'a disk that is full',
    needsMount: true,
    prepare: (home) => mount(home, 'size=16k'),
    says: /^Error: The disk is full: .* could not be written\.$/,
    code: 1,
    touches: true,
  },
]

// ---- Programs

const all = {
  etcd: '3.5.16',
  etcdctl: '3.5.16',
  'ansible-playbook': '2.14.18',
}
const without = (name: keyof typeof all): Record<string, string> =>
  Object.fromEntries(Object.entries(all).filter(([other]) => other !== name))

const programs: Case[] = [
  {
    title: 'no Ansible',
    verb: 'doctor',
    programs: without('ansible-playbook'),
    says: /^Error: ansible-playbook was not found\.$/,
    code: 1,
    touches: true,
  },
  {
    title: 'an Ansible that is too old',
    verb: 'doctor',
    programs: { ...all, 'ansible-playbook': '2.9.6' },
    says: /^Error: Ansible in .* is 2\.9\.6, which is too old: 2\.14 or later is needed\.$/,
    code: 1,
    touches: true,
  },
  {
    title: 'an etcd that is too old',
    verb: 'doctor',
    programs: { ...all, etcd: '3.3.25', etcdctl: '3.3.25' },
    says: /is 3\.3\.25, which is too old: 3\.4 or later is needed\.$/,
    touches: true,
  },
  {
    title: 'no etcd',
    verb: 'etcd-role',
    programs: {},
    says: /^Error: etcd and etcdctl were not found\.$/,
    code: 1,
    touches: true,
  },
  {
    title: 'no etcd for the hosts',
    verb: 'vms',
    programs: {},
    says: /^Error: etcd and etcdctl were not found\.$/,
    code: 1,
    touches: true,
  },
  {
    title: 'binaries of another version than recorded',
    verb: 'doctor',
    programs: all,
    record: record(),
    prepare: otherBinaries,
    says: /has etcd 3\.4\.23, but this cluster runs 3\.5\.16\.$/,
    touches: true,
  },
  {
    title: 'a port that another program has',
    verb: 'doctor',
    programs: all,
    record: record({}, '127.203.8'),
    prepare: () => listen('127.203.8.102', 2380),
    says: /^Error: master02: another program listens at 127\.203\.8\.102:2380\.$/,
    code: 1,
    touches: true,
  },
]

/**
 * A folder for PATH: the shell's own programs, and stand-ins that print a version. Without apt-get nothing is fetched.
 */
function programFolder(versions: Record<string, string>): string {
  const folder = temporaryFolder()
  for (const name of ['bash', 'sh', 'env', 'ps', 'cat']) {
    const found = (process.env.PATH ?? '').split(delimiter).map((place) => join(place, name))
    symlinkSync(found.find((path) => existsSync(path)) ?? '', join(folder, name))
  }
  for (const [name, version] of Object.entries(versions))
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} ${version}"\n`, { mode: 0o755 })
  return folder
}

function otherBinaries(home: string): void {
  const folder = programFolder({ etcd: '3.4.23', etcdctl: '3.4.23' })
  write(join(home, 'cluster.yaml'), `etcd: { binaries: ${folder} }`)
}

async function listen(address: string, port: number): Promise<() => void> {
  const server = createServer().listen({ host: address, port })
  await once(server, 'listening')
  return () => server.close()
}

/** As if a run of another process were at work: this process is alive, and the record is of now. */
async function holdLock(home: string): Promise<void> {
  write(
    join(home, '.cluster/etcd-cluster-1/lock/owner.json'),
    JSON.stringify({
      pid: process.pid,
      birth: await birthOf(process.pid),
      verb: 'etcd-role',
      since: new Date().toISOString(),
      launchers: [],
    }),
  )
}

function mayMount(): boolean {
  const folder = temporaryFolder()
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0
  if (mounted) spawnSync('umount', [folder])
  return mounted
}

function mount(home: string, options: string): () => void {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', home], { encoding: 'utf8' })
  assert.is(status, 0, stderr)
  return () => spawnSync('umount', ['--lazy', home]) // on a busy machine a program that ends may still be in it
}

// ---- Running them

interface Outcome {
  exitCode: number | null
  stdout: string
  stderr: string
  before: string[]
  after: string[]
}

/** Every file below, with what would show a change. */
function listing(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .map((name) => ({ name, stat: lstatSync(join(folder, name)) }))
    .map(({ name, stat }) => `${name} ${stat.isDirectory() ? 'folder' : `${stat.size} ${stat.mtimeMs}`}`)
    .sort()
}

async function runCase({
  verb = 'pki',
  args = [],
  env = {},
  config,
  record: recorded,
  programs,
  prepare,
}: Case): Promise<Outcome> {
  const home = temporaryFolder()
  if (config !== undefined) write(join(home, 'cluster.yaml'), config)
  if (recorded !== undefined) write(recordPath(home), recorded)
  const undo = await prepare?.(home)
  const path = programs ? { PATH: programFolder(programs) } : {}
  try {
    const before = listing(home)
    const outcome = await performHere(verb, args, { ...environmentOfTests(), ...path, HA_ETCD_HOME: home, ...env })
    return { ...outcome, before, after: listing(home) }
  } finally {
    if (typeof undo === 'function') undo()
  }
}

const cases = [...flags, ...values, ...configuration, ...environment, ...records, ...world, ...programs]
const possible = (item: Case): boolean => !item.needsMount || canMount
const outcomes = new Map<Case, Outcome>()

test.before(async () => {
  const queue = cases.filter(possible)
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) outcomes.set(next, await runCase(next))
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
})

for (const item of cases) {
  const either = possible(item) ? test : test.skip
  either(`${item.title} (${item.verb ?? 'pki'})`, async () => {
    const outcome = outcomes.get(item)
    assert.ok(outcome)
    const { exitCode, stdout, stderr, before, after } = outcome
    const [sentence = '', ...rest] = stderr.trimEnd().split('\n')
    assert.match(sentence, item.says, stderr)
    assert.match(sentence, /^Error: .*[.?]$/)
    assert.equal(
      rest.filter((line) => !/^(Next|Log): \S/.test(line)),
      [],
      'nothing but a hint and the log follows',
    )
    assert.is(exitCode, item.code ?? 2)
    if (item.touches) return
    assert.is(stdout, '')
    assert.equal(after, before, 'nothing was touched')
  })
}

test('a script ends with the same: the sentence, exit code 2, and nothing on standard output', async () => {
  const home = testHome()
  const { exitCode, stdout, stderr } = await home.start('pki', '--master', '3').done
  assert.equal([exitCode, stdout, stderr], [2, '', 'Error: Unknown flag --master. Did you mean --masters?\n'])
})

test('up, while an upgrade is half done, refuses before it brings a host up or issues anything', async () => {
  const home = temporaryFolder()
  write(recordPath(home), record({ etcd: { version: '3.5.16', upgradingTo: '3.6.14' } }))
  const outcome = await performHere('up', ['--yes'], { ...environmentOfTests(), HA_ETCD_HOME: home })
  assert.equal([outcome.exitCode, outcome.stdout], [1, ''])
  assert.match(
    outcome.stderr,
    /^Error: The upgrade to etcd 3\.6\.14 is half done(.|\n)*upgrade\.ts --etcd-version 3\.6\.14/,
  )
  assert.equal(
    listing(home).filter((line) => /hosts|certs/.test(line)),
    [],
  )
})

test('whatever the umask, nobody else may write to what a run and its programs leave', () => {
  const home = temporaryFolder()
  for (const name of ['etcd', 'etcdctl', 'etcdutl'])
    writeFileSync(join(home, name), `#!/bin/sh\numask >${home}/said\necho ${name} Version: 3.6.14\n`, { mode: 0o755 })
  write(join(home, 'cluster.yaml'), `etcd: { binaries: ${home} }\n`)
  const script = `umask 000; npx zx ${join(projectFolder, 'scripts/doctor.ts')} --plan`
  spawnSync('sh', ['-c', script], { cwd: projectFolder, env: { ...environmentOfTests(), HA_ETCD_HOME: home } })
  assert.is(readFileSync(join(home, 'said'), 'utf8'), '0022\n')
})

test('output that cannot be written is a failure', () => {
  const full = openSync('/dev/full', 'w')
  const { status, stderr } = spawnSync('npx', ['zx', join(projectFolder, 'scripts/certs.ts'), '--help'], {
    cwd: projectFolder,
    stdio: ['ignore', full, 'pipe'],
    env: environmentOfTests(),
    encoding: 'utf8',
  })
  closeSync(full)
  assert.is(status, 1)
  assert.match(stderr, /^Error: The output could not be written: ENOSPC/)
})

test('a reader that goes away (up | head) leaves nothing half done; what only looks ends there', async () => {
  const home = testHome()
  const unread = async (verb: string): Promise<unknown[]> => {
    const { child, done } = home.start(verb)
    child.stdout?.destroy()
    const { exitCode, stderr } = await done
    return [exitCode, stderr]
  }
  assert.equal(await unread('pki'), [0, ''])
  const again = await home.verb('pki', '--json')
  assert.equal((JSON.parse(again.stdout) as { issued: string[] }).issued, [], 'its work was done to the end')
  write(recordPath(home.path), record())
  assert.equal(await unread('verify'), [141, ''])
})

test.run()
