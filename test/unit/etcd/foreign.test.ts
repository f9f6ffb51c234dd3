// What an etcd of somebody else's was set up with, and what stands against taking it over.
import { X509Certificate } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { architectureHere, unameOf } from '../../../tasks/core/machines.ts'
import { issueLeaf, makeAuthority, makeKeyPair } from '../../../tasks/core/x509.ts'
import type { Member } from '../../../tasks/etcd/etcdctl.ts'
import {
  carriedSettings,
  type ForeignHost,
  type Known,
  lackingIn,
  namesIn,
  type RunningEtcd,
  settingsOf,
  whyNotAdopted,
  whyNotAsked,
  whyNotJoined,
} from '../../../tasks/etcd/foreign.ts'
import { testCluster } from '../../support/cluster.ts'

const cluster = testCluster()
const [host = cluster.hosts[0]] = cluster.hosts
const keys = await makeKeyPair('ecdsa-p256')
const authority = await makeAuthority(keys, { organization: 'them', commonName: 'ca' }, 30)
async function certificateOf(sans: string[]): Promise<X509Certificate> {
  const subject = { organization: 'them', commonName: 'node' }
  return new X509Certificate(
    await issueLeaf(authority, keys.publicKey, { ...subject, sans, usages: ['serverAuth'], ends: 30 }),
  )
}

async function strangersCertificate(): Promise<string> {
  const own = await makeKeyPair('ecdsa-p256')
  const subject = { organization: 'them', commonName: 'node' }
  const other = await makeAuthority(own, { organization: 'them', commonName: 'ca' }, 30)
  return issueLeaf(other, own.publicKey, { ...subject, sans: [], usages: ['serverAuth'], ends: 30 })
}

const running = (more: Partial<RunningEtcd> = {}): RunningEtcd => ({
  machine: unameOf(architectureHere()),
  version: '3.5.33',
  args: [],
  environment: {},
  config: null,
  cwd: '/',
  unit: 'etcd',
  container: false,
  manifest: '',
  elsewhere: [],
  movable: true,
  in_the_way: '',
  ...more,
})

const tls = {
  ETCD_LISTEN_CLIENT_URLS: 'https://10.0.0.101:2379',
  ETCD_LISTEN_PEER_URLS: 'https://10.0.0.101:2380',
  ETCD_TRUSTED_CA_FILE: '/ca.crt',
  ETCD_PEER_CLIENT_CERT_AUTH: 'true',
}

test('flags count more than variables, and a configuration file is heard alone', () => {
  const environment = { ETCD_NAME: 'a', ETCD_DATA_DIR: '/data' }
  const args = ['--name=b', '--client-cert-auth', '--quota-backend-bytes', '1', '-log-level=warn']
  assert.equal(settingsOf(running({ environment, args })), {
    ETCD_NAME: 'b',
    ETCD_DATA_DIR: '/data',
    ETCD_CLIENT_CERT_AUTH: 'true',
    ETCD_QUOTA_BACKEND_BYTES: '1',
    ETCD_LOG_LEVEL: 'warn',
  })
  const config =
    'name: c\nclient-transport-security:\n  cert-file: /s.crt\npeer-transport-security:\n  cert-file: /p.crt\n'
  assert.equal(settingsOf(running({ environment, args, config })), {
    ETCD_NAME: 'c',
    ETCD_CERT_FILE: '/s.crt',
    ETCD_PEER_CERT_FILE: '/p.crt',
  })
})

test('what the role derives, the paths of certificates and where the log goes are not carried over', () => {
  const own = { ETCD_QUOTA_BACKEND_BYTES: '1', ETCD_HEARTBEAT_INTERVAL: '500' }
  const others = { ETCD_NAME: 'a', ETCD_CERT_FILE: '/s.crt', ETCD_LOGGER: 'zap', ETCD_ENABLE_V2: 'false' }
  assert.equal(carriedSettings({ ...own, ...others }), own)
})

const certificate = await certificateOf([host?.address ?? '', 'etcd-a.example'])
const foreign = (more: Partial<ForeignHost> = {}, etcd: Partial<RunningEtcd> = {}): ForeignHost => {
  if (!host) throw new Error('no host')
  return { host, etcd: running(etcd), settings: tls, server: certificate, peer: certificate, ...more }
}

test('the configuration is told all that it lacks, as YAML', async () => {
  const settings = {
    ...tls,
    ETCD_QUOTA_BACKEND_BYTES: '8',
    ETCD_ADVERTISE_CLIENT_URLS: 'https://10.0.0.101:12379',
    ETCD_INITIAL_ADVERTISE_PEER_URLS: 'https://10.0.0.101:2380',
  }
  const lacks = lackingIn(cluster, [foreign({ settings })])
  assert.is(
    lacks,
    'etcd:\n  clientPort: 12379\n  environment:\n    ETCD_QUOTA_BACKEND_BYTES: "8"\n' +
      'pki:\n  extraSans:\n    - etcd-a.example',
  )
  const named = { ...cluster, pki: { ...cluster.pki, extraSans: ['etcd-a.example'] } }
  assert.is(lackingIn(named, [foreign()]), '')
})

test('nothing stands against a member of systemd with certificates for its address', async () => {
  assert.equal(whyNotAdopted(cluster, [foreign()]), [])
})

test('nor against one that speaks plain HTTP, as all do', () => {
  const [client, peer] = ['http://10.0.0.101:2379', 'http://10.0.0.101:2380']
  const bare = { server: undefined, peer: undefined }
  const plain = { settings: { ETCD_LISTEN_CLIENT_URLS: client, ETCD_LISTEN_PEER_URLS: peer }, ...bare }
  assert.equal(whyNotAdopted(cluster, [foreign(plain)]), [])
  assert.equal(whyNotAdopted(cluster, [foreign({ settings: {}, ...bare })]), [], "etcd's default")
  const some = foreign({ settings: { ...tls, ETCD_LISTEN_PEER_URLS: peer } })
  assert.equal(whyNotAdopted(cluster, [some]), [])
  assert.equal(whyNotAdopted(cluster, [some, foreign()]), [
    'at the peer port some members speak http and others https: make them alike',
  ])
})

test('another kind of machine is welcome where there are programs for it', () => {
  const binaries = { s390x: '/opt/etcd-s390x' }
  const named = { ...cluster, etcd: { ...cluster.etcd, binaries } }
  assert.equal(whyNotAdopted(named, [foreign({}, { machine: 's390x' })]), [])
})

test('a static pod is as good as a unit', () => {
  const pod = { unit: '', container: true, manifest: '/etc/kubernetes/manifests/etcd.yaml' }
  assert.equal(whyNotAdopted(cluster, [foreign({}, pod)]), [])
})

const refusals: [what: string, more: Partial<ForeignHost>, etcd: Partial<RunningEtcd>, why: RegExp][] = [
  ['no unit', {}, { unit: '' }, /^master01: etcd was not started by a systemd unit/],
  ['a container', {}, { unit: 'kubelet', container: true }, /runs in a container/],
  [
    'folders of a pod that are elsewhere',
    { server: undefined, peer: undefined },
    { container: true, manifest: '/etc/kubernetes/manifests/etcd.yaml', elsewhere: ['/certs/ca.crt', '/data'] },
    /^master01: what its container has at \/certs\/ca.crt and \/data is elsewhere on the host/,
  ],
  [
    'http beside https',
    { settings: { ...tls, ETCD_LISTEN_CLIENT_URLS: 'https://10.0.0.101:2379,http://127.0.0.1:2379' } },
    {},
    /its client port speaks http, and https besides: take the former out of ETCD_LISTEN_CLIENT_URLS/,
  ],
  [
    'http to etcd 3.4',
    { settings: { ...tls, ETCD_LISTEN_CLIENT_URLS: 'http://10.0.0.101:2379' } },
    { version: '3.4.23' },
    /etcd 3.4 cannot serve both at one port/,
  ],
  ['a log elsewhere', { settings: { ...tls, ETCD_WAL_DIR: '/wal' } }, {}, /ETCD_WAL_DIR is set, and must not be: /],
  ['no fsync', { settings: { ...tls, ETCD_UNSAFE_NO_FSYNC: 'true' } }, {}, /acknowledged writes would be lost/],
  ['v2', { settings: { ...tls, ETCD_ENABLE_V2: 'true' } }, {}, /ETCD_ENABLE_V2 is on/],
  ['another machine', {}, { machine: 's390x' }, /^master01: its machine is s390x: name a folder of etcd for it/],
  ['another disk', {}, { movable: false }, /on another file system/],
  ['other data', {}, { in_the_way: '/var/lib/etcd/member' }, /holds other data/],
  [
    'clients without certificates',
    { settings: { ...tls, ETCD_TRUSTED_CA_FILE: '' } },
    {},
    /its client port lets in who has no certificate, and would refuse them afterwards/,
  ],
  [
    'peers without certificates',
    { settings: { ...tls, ETCD_PEER_CLIENT_CERT_AUTH: 'false' } },
    {},
    /its peer port lets in who has no certificate/,
  ],
  ['no certificate', { server: undefined }, {}, /client port does not name its address/],
  ['no peer certificate', { peer: undefined }, {}, /peer port does not name its address/],
]
for (const [what, more, etcd, why] of refusals)
  test(`refused: ${what}`, async () => {
    const said = whyNotAdopted(cluster, [foreign(more, etcd)])
    assert.is(said.length, 1, said.join('\n'))
    assert.match(said[0] ?? '', why)
  })

test('members of two versions, and another version than is asked for, are refused', async () => {
  const mixed = [foreign(), foreign({}, { version: '3.6.14' })]
  assert.equal(whyNotAdopted(cluster, mixed), ['the members run 3.5.33 and 3.6.14: finish that upgrade first'])
  const asked = { ...cluster, etcd: { ...cluster.etcd, version: '3.6.14' } }
  assert.match(whyNotAdopted(asked, [foreign()])[0] ?? '', 'leave it out, and upgrade afterwards')
})

const member = (index: number, more: Partial<Member> = {}): Member => ({
  id: `${index}`,
  name: `infra${index}`,
  peerURLs: [`https://10.1.0.${index}:2380`],
  clientURLs: [`https://10.1.0.${index}:2379`],
  isLearner: false,
  ...more,
})
const known = (more: Partial<Known> = {}, first: Partial<Member> = {}): Known => ({
  members: [member(0, first), member(1), member(2)],
  clusters: ['c'],
  versions: ['3.5.33'],
  silent: [],
  ...more,
})

test('nothing stands against hosts that join a cluster of one version, over TLS', () => {
  assert.equal(whyNotJoined(cluster, known()), [])
  const newer = { ...cluster, etcd: { ...cluster.etcd, version: '3.5.34' } }
  assert.equal(whyNotJoined(newer, known()), [])
})

const notJoined: [what: string, more: Partial<Known>, first: Partial<Member>, why: RegExp][] = [
  ['two clusters', { clusters: ['c', 'd'] }, {}, /^the endpoints are of 2 clusters$/],
  [
    'an endpoint of nobody',
    { silent: ['https://a:2379: refused'] },
    {},
    /endpoint may be of another cluster: https:\/\/a/,
  ],
  ['two versions', { versions: ['3.5.33', '3.6.14'] }, {}, /finish that upgrade first/],
  ['never started', {}, { name: '', clientURLs: [] }, /^member 0 has never started$/],
  ['plain http', {}, { peerURLs: ['http://10.1.0.0:2380'] }, /^infra0 speaks plain http/],
  ['several peer URLs', {}, { peerURLs: ['https://a:2380', 'https://b:2380'] }, /known by several peer URLs/],
  ['another port', {}, { clientURLs: ['https://10.1.0.0:12379'] }, /at port 12379: set etcd.clientPort/],
  ['a name of ours', {}, { name: 'master01' }, /^master01 is the name of several members or hosts/],
  ['no name for a host', {}, { name: 'a_b/c' }, /a host cannot be called so/],
]
for (const [what, more, first, why] of notJoined)
  test(`not joined: ${what}`, () => {
    const said = whyNotJoined(cluster, known(more, first))
    assert.is(said.length, 1, said.join('\n'))
    assert.match(said[0] ?? '', why)
  })

test('an endpoint that says nothing: nobody, another authority, no etcd, or an etcd that refuses', async () => {
  const [served, stranger] = [await certificateOf([]), new X509Certificate(await strangersCertificate())]
  const answered = { kind: 'answered' as const, status: 200, body: '{"etcdserver":"3.6.14"}', served }
  const trusted = [authority.certificate]
  assert.is(whyNotAsked({ kind: 'closed', reason: 'nothing listens there' }, trusted), 'nothing listens there')
  assert.match(whyNotAsked({ ...answered, served: stranger }, trusted), 'not signed by the given authority')
  assert.match(whyNotAsked({ ...answered, body: '<html>' }, trusted), 'is no etcd')
  assert.match(whyNotAsked(answered, trusted), 'does not say who its members are')
})

test('hosts of another minor version, or an older patch, join nobody', () => {
  for (const version of ['3.6.14', '3.5.32'])
    assert.match(
      whyNotJoined({ ...cluster, etcd: { ...cluster.etcd, version } }, known())[0] ?? '',
      `asks for ${version}`,
    )
})

test('names of a certificate are as people write them', async () => {
  assert.equal(namesIn(await certificateOf(['FD00::A', 'Host.example', '10.0.0.1'])).sort(), [
    '10.0.0.1',
    'fd00::a',
    'host.example',
  ])
})

test.run()
