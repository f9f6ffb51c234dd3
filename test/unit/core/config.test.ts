// The configuration: flag before environment before file, and a clear word about everything that cannot be.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Flags } from '../../../tasks/core/flags.ts'
import { temporaryFolder } from '../../support/folder.ts'

// The home is read when the module is loaded.
const home = temporaryFolder()
process.env.HA_ETCD_HOME = home
for (const name of [
  'HA_ETCD_CLUSTER',
  'HA_ETCD_PROVIDER',
  'HA_ETCD_MASTERS',
  'HA_ETCD_CONFIG',
  'MASTER_COUNT',
  'BOX_VERSION',
])
  delete process.env[name]
const { loadSettings } = await import('../../../tasks/core/config.ts')
const { settingsFromEnvironment } = await import('../../../tasks/core/environment.ts')
const { UsageError } = await import('../../../tasks/core/errors.ts')

const test = suite('config')
let number = 0

/** A configuration file with this content. */
function file(content: string): string {
  const path = join(home, `config-${++number}.yaml`)
  writeFileSync(path, content)
  return path
}

const load = (content: string, flags: Flags = {}) => loadSettings({ config: file(content), ...flags })

function withEnvironment<T>(values: Record<string, string>, work: () => T): T {
  Object.assign(process.env, values)
  try {
    return work()
  } finally {
    for (const name of Object.keys(values)) delete process.env[name]
  }
}

test('nothing asked is nothing set, and no file is needed', () => {
  assert.equal(loadSettings({}), { asked: {}, configFile: undefined })
})

test('an empty file is as good as none', () => assert.equal(load('# nothing\n').asked, {}))

test('every documented key is taken', () => {
  const text = `
cluster: prod-1
provider: local
masters: 5
subnet: 127.10.20.0/24
etcd:
  { version: 3.6.14, clientPort: 12379, peerPort: 12380,
    environment: { ETCD_SNAPSHOT_COUNT: 10000, ETCD_PRE_VOTE: true } }
pki:
  { keyAlgorithm: rsa-3072, caDays: 100, leafDays: 50, renewBeforeDays: 0, extraSans: [kube-etcd.example, 10.3.0.15,
    'fd00::1', '*.etcd.example'] }
`
  assert.equal(load(text).asked, {
    cluster: 'prod-1',
    provider: 'local',
    masters: 5,
    subnet: '127.10.20.0/24',
    etcd: {
      version: '3.6.14',
      clientPort: 12379,
      peerPort: 12380,
      environment: { ETCD_SNAPSHOT_COUNT: '10000', ETCD_PRE_VOTE: 'true' },
    },
    pki: {
      keyAlgorithm: 'rsa-3072',
      caDays: 100,
      leafDays: 50,
      renewBeforeDays: 0,
      extraSans: ['kube-etcd.example', '10.3.0.15', 'fd00::1', '*.etcd.example'],
    },
  })
})

test('a flag goes before the environment, and that before the file', () => {
  const text = 'cluster: from-file\nmasters: 7\nprovider: local\n'
  withEnvironment({ HA_ETCD_CLUSTER: 'from-environment', HA_ETCD_MASTERS: '5' }, () => {
    assert.equal(load(text, { masters: '3' }).asked, { cluster: 'from-environment', masters: 3, provider: 'local' })
  })
})

test('MASTER_COUNT means masters, and HA_ETCD_MASTERS goes before it', () => {
  withEnvironment({ MASTER_COUNT: '5' }, () => assert.is(loadSettings({}).asked.masters, 5))
  withEnvironment({ MASTER_COUNT: '5', HA_ETCD_MASTERS: '7' }, () => assert.is(loadSettings({}).asked.masters, 7))
})

test('an empty variable is as good as none', () =>
  withEnvironment({ HA_ETCD_MASTERS: '', HA_ETCD_CONFIG: '' }, () => assert.equal(loadSettings({}).asked, {})))

test('an unknown variable of ours is refused with the nearest one', () => {
  assert.throws(
    () => settingsFromEnvironment({ HA_ETCD_MASTER: '3' }),
    /^Unknown environment variable HA_ETCD_MASTER\. Did you mean HA_ETCD_MASTERS\?$/,
  )
  assert.equal(settingsFromEnvironment({ ETCD_NAME: 'x', HA_ETCDX: '1' }), {})
})

test('the file of HA_ETCD_CONFIG and cluster.yaml at home are found', () => {
  withEnvironment({ HA_ETCD_CONFIG: file('masters: 5') }, () => assert.is(loadSettings({}).asked.masters, 5))
  writeFileSync(join(home, 'cluster.yaml'), 'masters: 9')
  assert.is(loadSettings({}).asked.masters, 9)
  assert.is(loadSettings({}).configFile, join(home, 'cluster.yaml'))
  writeFileSync(join(home, 'cluster.yaml'), '')
})

test('a folder of binaries is meant from where its file lies', () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'bin'))
  writeFileSync(join(folder, 'bin/etcd'), '')
  writeFileSync(join(folder, 'here.yaml'), 'etcd: { binaries: bin }')
  assert.is(loadSettings({ config: join(folder, 'here.yaml') }).asked.etcd?.binaries, join(folder, 'bin'))
})

test('a run that names no configuration takes the one that the cluster was made with', () => {
  const file = join(temporaryFolder(), 'blue.yaml')
  writeFileSync(file, 'masters: 5')
  assert.is(loadSettings({ cluster: 'blue' }, (name) => (name === 'blue' ? file : undefined)).asked.masters, 5)
})

test('a folder with etcd in it serves as binaries', () => {
  const folder = join(home, 'bin')
  mkdirSync(folder)
  writeFileSync(join(folder, 'etcd'), '')
  assert.is(load(`etcd: { binaries: ${folder} }`).asked.etcd?.binaries, folder)
})

const refusedFiles: [string, string, RegExp][] = [
  ['YAML that is none', 'masters: [3', /is not valid YAML: /],
  ['a key twice', 'masters: 3\nmasters: 5', /is not valid YAML: Map keys must be unique/],
  ['an alias that stands for nothing', 'masters: *none', /is not valid YAML: /],
  ['two documents', 'masters: 3\n---\nmasters: 5', /is not valid YAML: /],
  ['a list', '- masters', /: the file must be a list of keys and values, without dashes\.$/],
  ['a bare word', 'masters', /: the file must be a list of keys and values\.$/],
  ['a host without an address', 'hosts: [{ name: a }]', /: hosts\.0\.address is missing\.$/],
  ['an unknown key', 'master: 3', /: master is not a known key\. Did you mean masters\?$/],
  [
    'an unknown key below etcd',
    'etcd: { clientport: 1 }',
    /: etcd\.clientport is not a known key\. Did you mean clientPort\?$/,
  ],
  ['an unknown key below pki', 'pki: { days: 1 }', /: pki\.days is not a known key\./],
  ['a group that is none', 'etcd: 3.6.14', /: etcd must be a list of keys and values\.$/],
  ['a group that is empty', 'etcd:', /: etcd must be a list of keys and values\.$/],
  ['masters as text', 'masters: "3"', /: masters must be 1, 3, 5, 7 or 9, not "3"\.$/],
  [
    'an even number of masters',
    'masters: 4',
    /: masters must be odd .*: an even number tolerates no more failures than the odd number below it, not 4\.$/,
  ],
  ['half a master', 'masters: 3.5', /: masters must be 1, 3, 5, 7 or 9, not 3\.5\.$/],
  ['no number of masters', 'masters: .nan', /: masters must be 1, 3, 5, 7 or 9/],
  ['a cluster name as a number', 'cluster: 1', /: cluster must be text, not 1\.$/],
  [
    'a provider that is not there',
    'provider: locl',
    /: provider must be one of .*, not "locl"\. Did you mean local\?$/,
  ],
  [
    'a version with too few parts',
    'etcd: { version: "3.6" }',
    /: etcd\.version must be an etcd version such as 3\.6\.14, not "3\.6"\.$/,
  ],
  ['a version of the future', 'etcd: { version: 4.0.0 }', /: etcd\.version must be an etcd version/],
  [
    'a version that is too old',
    'etcd: { version: 3.3.27 }',
    /^etcd\.version 3\.3\.27 is too old: 3\.4 or later is needed\.$/,
  ],
  [
    'a port as text',
    'etcd: { clientPort: "2379" }',
    /: etcd\.clientPort must be a port from 1 to 65535, not "2379"\.$/,
  ],
  ['port 0', 'etcd: { clientPort: 0 }', /: etcd\.clientPort must be a port/],
  ['port 70000', 'etcd: { peerPort: 70000 }', /: etcd\.peerPort must be a port/],
  ['a metrics port that is no port', 'etcd: { metricsPort: 0 }', /: etcd\.metricsPort must be a port/],
  [
    'a metrics port that is the client port',
    'etcd: { metricsPort: 2379 }',
    /^etcd\.clientPort and etcd\.metricsPort must differ \(both are 2379\)\.$/,
  ],
  [
    'a metrics port that is the peer port',
    'etcd: { peerPort: 3, metricsPort: 3 }',
    /^etcd\.peerPort and etcd\.metricsPort must differ/,
  ],
  ['plain metrics without their port', 'etcd: { metricsPlain: true }', /^etcd\.metricsPlain needs etcd\.metricsPort/],
  ['metrics that are not plain or plain', 'etcd: { metricsPlain: 1 }', /etcd\.metricsPlain must be true or false/],
  [
    'a metrics port beside other metrics URLs',
    'etcd: { metricsPort: 3, environment: { ETCD_LISTEN_METRICS_URLS: "http://127.0.0.1:4" } }',
    /^etcd\.metricsPort and ETCD_LISTEN_METRICS_URLS in etcd\.environment exclude each other\.$/,
  ],
  [
    'the same port twice',
    'etcd: { clientPort: 2380 }',
    /^etcd\.clientPort and etcd\.peerPort must differ \(both are 2380\)\.$/,
  ],
  [
    'a variable that is not of etcd',
    'etcd: { environment: { PATH: x } }',
    /: etcd\.environment\.PATH must be an ETCD_\* variable/,
  ],
  [
    'a variable with a list',
    'etcd: { environment: { ETCD_X: [1] } }',
    /: etcd\.environment\.ETCD_X must be text, a number or true or false/,
  ],
  [
    'a variable on two lines',
    'etcd: { environment: { ETCD_X: "a\\nb" } }',
    /: etcd\.environment\.ETCD_X must be on one line/,
  ],
  ...['{{ 1 }}', '{% if x %}', '{# x #}'].map((template): [string, string, RegExp] => [
    `a template in a variable: ${template}`,
    `etcd: { environment: { ETCD_X: "a${template}" } }`,
    /: etcd\.environment\.ETCD_X must not contain \{\{, \{% or \{#, which Ansible would evaluate, not /,
  ]),
  ['a template in the binaries', 'etcd: { binaries: "/{{ x }}" }', /: etcd\.binaries must not contain \{\{/],
  ['a template in the inventory', 'inventory: "/{% x %}"', /: inventory must not contain \{\{/],
  [
    'binaries on two lines',
    'etcd: { binaries: "/a\\nb" }',
    /: etcd\.binaries must be on one line, without control characters, not "\/a\\nb"\.$/,
  ],
  [
    'a variable that we derive',
    'etcd: { environment: { ETCD_NAME: x } }',
    /^etcd\.environment: ETCD_NAME is derived from the cluster and cannot be set\.$/,
  ],
  [
    'a variable that a cluster would not survive',
    'etcd: { environment: { ETCD_UNSAFE_NO_FSYNC: true } }',
    /^etcd\.environment: ETCD_UNSAFE_NO_FSYNC cannot be set: acknowledged writes would be lost with the power\.$/,
  ],
  ['version and binaries', 'etcd: { version: 3.6.14, binaries: /nowhere }', /exclude each other/],
  ['binaries without etcd', 'etcd: { binaries: /nowhere }', /^etcd\.binaries: there is no etcd in \/nowhere\.$/],
  [
    'a key algorithm of another kind',
    'pki: { keyAlgorithm: ed25519 }',
    /: pki\.keyAlgorithm must be one of ecdsa-p256, rsa-2048, rsa-3072, rsa-4096, not "ed25519"\.$/,
  ],
  [
    'half a day',
    'pki: { leafDays: 1.5 }',
    /: pki\.leafDays must be a whole number of days from 1 to 36500, not 1\.5\.$/,
  ],
  ['no day', 'pki: { caDays: 0 }', /: pki\.caDays must be a whole number of days/],
  [
    'leaves that outlive their authority',
    'pki: { caDays: 30, leafDays: 31, renewBeforeDays: 1 }',
    /must not exceed pki\.caDays/,
  ],
  [
    'a renewal that never ends',
    'pki: { leafDays: 30 }',
    /^pki\.renewBeforeDays \(30\) must be less than pki\.leafDays \(30\)/,
  ],
  [
    'a SAN that is no address',
    'pki: { extraSans: [10.0.0.300] }',
    /: pki\.extraSans\.0 must be a DNS name or an IP address, not "10\.0\.0\.300"\.$/,
  ],
  [
    'a link-local SAN',
    'pki: { extraSans: [fe80::1%eth0] }',
    /^pki\.extraSans has the address fe80::1%eth0, which is link/,
  ],
  ['a SAN with a space', 'pki: { extraSans: ["a b"] }', /: pki\.extraSans\.0 must be/],
  [
    'SANs that are no list',
    'pki: { extraSans: a.example }',
    /: pki\.extraSans must be a list of DNS names and IP addresses/,
  ],
  ['a subnet that is no /24', 'subnet: 127.0.0.0/16', /: subnet must be an IPv4 \/24 network/],
  ['an IPv6 subnet that is no /64', 'subnet: fd00:1::/48', /, or an IPv6 \/64 one such as fd00:10:20::\/64, not/],
  [
    'a link-local subnet',
    'provider: local\nsubnet: fe80::/64',
    /^subnet fe80::\/64 has the address fe80::101, which is link-local/,
  ],
  [
    "an IPv6 subnet for Vagrant's hosts",
    'provider: vagrant\nsubnet: fd00:1::/64',
    /^subnet fd00:1::\/64 is IPv6: Vagrant's hosts need an IPv4 network/,
  ],
  ['a subnet beyond 255', 'subnet: 127.0.256.0/24', /: subnet must be an IPv4 \/24 network/],
  [
    "a loopback subnet for Vagrant's hosts",
    'provider: vagrant\nsubnet: 127.0.8.0/24',
    /^subnet 127\.0\.8\.0\/24 is on the loopback interface/,
  ],
  [
    'a provider that Vagrant has not',
    'vagrant: { provider: hyperv }',
    /: vagrant\.provider must be one of docker, libvirt, virtualbox, parallels, not "hyperv"\.$/,
  ],
  ['a key that Vagrant has not', 'vagrant: { ram: 1 }', /: vagrant\.ram is not a known key\./],
  ['too little memory', 'vagrant: { memory: 64 }', /: vagrant\.memory must be a whole number of MB from 512/],
  ["libvirt's driver for another", 'vagrant: { provider: docker, driver: qemu }', /^vagrant\.driver is libvirt's/],
  [
    'a subnet of the outside for local hosts',
    'provider: local\nsubnet: 10.0.0.0/24',
    /^subnet 10\.0\.0\.0\/24 is not on the loopback interface/,
  ],
]

test('what Vagrant makes its machines of is taken', () => {
  const vagrant = {
    provider: 'libvirt' as const,
    box: 'debian/bookworm64',
    boxVersion: '12.1',
    memory: 2048,
    cpus: 2,
    driver: 'qemu' as const,
  }
  assert.equal(load(JSON.stringify({ provider: 'vagrant', subnet: '172.17.5.0/24', vagrant })).asked, {
    provider: 'vagrant',
    subnet: '172.17.5.0/24',
    vagrant,
  })
})

test('a folder that Ansible would evaluate is refused, whichever way it is named', () => {
  const folder = join(temporaryFolder(), '{{ x }}')
  mkdirSync(folder)
  writeFileSync(join(folder, 'here.yaml'), '')
  assert.throws(
    () => loadSettings({ config: join(folder, 'here.yaml') }),
    /^The path of the configuration file must not contain \{\{/,
  )
  const script =
    "const { loadSettings } = await import('./tasks/core/config.ts'); try { loadSettings({}) } catch ({ " +
    'message }) { console.log(message) }'
  const env = { ...process.env, HA_ETCD_HOME: folder }
  const said = execFileSync(process.execPath, ['--import', 'ha-etcd/loader', '--input-type=module', '--eval', script], {
    env,
    encoding: 'utf8',
  })
  assert.match(said, /^The folder of certs\/ and \.cluster\/ \(HA_ETCD_HOME\) must not contain \{\{/)
})

test("BOX_VERSION means the box's version, and goes before the file", () => {
  withEnvironment({ BOX_VERSION: '4081.2.0' }, () => {
    assert.equal(loadSettings({}).asked.vagrant, { boxVersion: '4081.2.0' })
    assert.equal(load('vagrant: { box: flatcar-beta, boxVersion: "1" }').asked.vagrant, {
      box: 'flatcar-beta',
      boxVersion: '4081.2.0',
    })
  })
})

for (const [what, content, message] of refusedFiles) {
  test(`a file with ${what} is refused`, () => {
    assert.throws(
      () => load(content),
      (error: Error) => {
        assert.instance(error, UsageError)
        assert.match(error.message, message)
        return true
      },
    )
  })
}

for (const masters of ['0', '2', '4', '8', '11', '-3', '3.5', 'abc', '03x', ' ', '1e0']) {
  test(`${JSON.stringify(masters)} masters are refused, and the flag is named`, () =>
    assert.throws(() => loadSettings({ masters }), /^--masters must be /))
}

for (const cluster of ['Prod', 'a/b', '..', '.', '-a', 'a'.repeat(64), 'a b', 'ä']) {
  test(`a cluster named ${cluster.slice(0, 10)} is refused`, () =>
    assert.throws(() => loadSettings({ cluster }), /^--cluster must be 1 to 63 lower-case letters/))
}

test('what the environment says wrongly is named by its variable', () => {
  withEnvironment({ HA_ETCD_MASTERS: '2' }, () => assert.throws(() => loadSettings({}), /^HA_ETCD_MASTERS must be odd/))
})

test('a file that cannot be read is refused', () => {
  assert.throws(() => loadSettings({ config: join(home, 'none.yaml') }), /none\.yaml cannot be read \(ENOENT\)\.$/)
  assert.throws(() => loadSettings({ config: home }), /cannot be read \(EISDIR\)\.$/)
})

test.run()
