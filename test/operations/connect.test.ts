// What a consumer is given: made, kept up to date by later verbs, here and on a host, and taken away again.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { identity, knock } from '../../tasks/etcd/probe.ts'
import { clientsView } from '../support/load.ts'
import { python } from '../support/python.ts'
import { done, type Outcome, testHome } from '../support/verbs.ts'

const home = testHome()
const certs = join(home.path, 'certs/etcd-cluster-1')
const apiserver = join(home.path, 'apiserver')
const onHost = join(home.path, 'on-host/etcd')
const passed = async (...words: [string, ...string[]]): Promise<Outcome> => {
  const outcome = await home.verb(...words)
  assert.is(outcome.exitCode, 0, outcome.stderr + outcome.stdout)
  return outcome
}
const refused = async (words: string[], why: string | RegExp): Promise<void> => {
  const { exitCode, stderr } = await home.verb('connect', ...words)
  assert.is(exitCode, 2, stderr)
  assert.match(stderr, why)
}
const text = (...path: string[]): string => readFileSync(join(...path), 'utf8')
const listOf = async (name: string): Promise<string> =>
  (await passed('connect', '--list')).stdout.split('\n').find((line) => line.startsWith(name)) ?? ''
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)

/** As a client of OpenSSL does it: Node's own client judges a certificate only once the handshake is over. */
const tlsConnection = (url: string, authority: string): string =>
  python(
    'import socket, ssl\nfrom urllib.parse import urlparse\nurl = urlparse(sys.argv[1])\n' +
      'ssl.create_default_context(cadata=sys.argv[2]).wrap_socket(\n' +
      '    socket.create_connection((url.hostname, url.port)), server_hostname=url.hostname)',
    url,
    authority,
  )

/** Whether every member lets in whoever has the pair in that folder. */
async function isLetIn(folder: string, name = 'client'): Promise<boolean> {
  const as = identity({ cert: text(folder, `${name}.crt`), key: text(folder, `${name}.key`) })
  const cluster: Cluster = clientsView(home)
  const probes = await Promise.all(cluster.hosts.map((host) => knock(cluster, host, { as })))
  return probes.every(({ kind }) => kind === 'answered')
}

test.before(async () => void (await done(home.verb('up', '--masters', '1', '--yes', '--json'))))
test.after(() => home.downAll())

test('what cannot be is refused, and nothing is made', async () => {
  await refused(['patrony'], 'There is no consumer patrony. Did you mean patroni?')
  await refused(['openbao'], 'OpenBao has no storage etcd')
  await refused(['constructor'], 'There is no consumer constructor.')
  await refused(['json', '--name', 'etcd-peer'], "etcd-peer is a name of the cluster's own")
  await refused(['json', '--name', '../up'], '--name takes up to 63 small letters')
  await refused(['--list', 'json'], '--list takes no consumer beside it')
  await refused(['json', '--owner', 'nobody'], '--owner says whose the files')
  await refused(['json', '--output', 'x', '--mode', '644'], 'would let every user read the private key')
  await refused(['json', '--output', 'x', '--mode', '000'], 'the first lets the owner read')
  await refused(['json', '--to', 'master09:/x'], 'has no host master09')
  await refused(['json', '--to', 'master01:x'], 'a DIR that begins with /')
  await refused(['json', '--output', 'x', '--owner', 'nobody-of-that-name'], 'There is no user nobody-of-that-name')
  const other = join(home.path, 'other')
  mkdirSync(other)
  writeFileSync(join(other, 'ca.crt'), 'of something else')
  await refused(['json', '--output', other], 'ca.crt is there already')
  assert.is(text(other, 'ca.crt'), 'of something else')
  await refused(['json', '--output', join(other, 'ca.crt/deeper')], 'ca.crt is a file: there can be no folder')
  assert.not(existsSync(join(certs, 'clients')))
})

test('each kind gets a certificate of its own, and a configuration that names what lies there', async () => {
  const { stdout } = await passed('connect', 'patroni')
  assert.match(stdout, /etcd3:\n {2}hosts:\n {4}- 127\..*:2379/)
  assert.match(stdout, `cert: ${certs}/clients/patroni.crt`)
  await passed('connect', 'kubernetes', '--output', apiserver, '--owner', String(process.getuid?.()))
  assert.match(text(apiserver, 'kube-apiserver.flags'), `--etcd-certfile=${apiserver}/client.crt`)
  assert.equal([mode(join(apiserver, 'client.key')), mode(join(apiserver, 'client.crt'))], ['600', '644'])
  assert.ok(await isLetIn(apiserver))
  for (const kind of ['prometheus', 'apisix', 'vault', 'shell', 'dotenv', 'json']) await passed('connect', kind)
  const again = JSON.parse((await passed('connect', 'kubernetes', '--json')).stdout)
  assert.equal(again.changes, [])
})

test('a host gets its files over Ansible', async () => {
  const where = ['--to', `master01:${onHost}`, '--mode', '0640']
  await passed('connect', 'json', '--name', 'billing', ...where)
  assert.equal([mode(join(onHost, 'client.key')), mode(join(onHost, 'etcd.json'))], ['640', '644'])
  assert.is(JSON.parse(text(onHost, 'etcd.json')).key, join(onHost, 'client.key'))
  await passed('connect', 'json', '--name', 'billing', '--to', `master01:${onHost}/`)
  assert.is(mode(join(onHost, 'client.key')), '640', 'as it was asked for before')
  await refused(['json', '--name', 'other', '--output', onHost], 'billing has its files there')
  const taken = join(home.path, 'taken')
  mkdirSync(taken)
  writeFileSync(join(taken, 'client.key'), 'of something else')
  const { stderr } = await home.verb('connect', 'json', '--name', 'other', '--to', `master01:${taken}`)
  assert.match(stderr, 'is there already')
  assert.match(await listOf('other'), /other +json +\d+ days +no place of its own/)
  await passed('connect', '--remove', 'other', '--yes')
  assert.not(existsSync(join(home.path, '.cluster/etcd-cluster-1/hand-over')))
})

test('another authority: every consumer gets it, and who must do something is named, before and after', async () => {
  const { stdout: plan } = await passed('rotate-ca', '--plan')
  assert.match(plan, 'kubernetes: restart each kube-apiserver')
  const [before, oldAuthority] = [text(apiserver, 'client.crt'), text(apiserver, 'ca.crt')]
  const { stdout } = await passed('rotate-ca', '--step', '--yes')
  assert.match(stdout, /Warning: kubernetes: restart each kube-apiserver/)
  assert.not.match(stdout, 'Warning: patroni')
  await passed('rotate-ca', '--step', '--yes')
  assert.not.match((await passed('rotate-ca', '--plan')).stdout, 'refused the members')
  assert.throws(() => tlsConnection(JSON.parse(text(onHost, 'etcd.json')).endpoints[0], oldAuthority), /VERIFY_FAILED/)
  const last = await passed('rotate-ca', '--yes')
  assert.match(last.stdout, /Warning: Clients refused the members' new certificates.*: 127\.0\.0\.1 \(1 time\)/)
  for (const folder of [apiserver, onHost]) {
    assert.is(text(folder, 'ca.crt'), text(certs, 'ca.crt'))
    assert.ok(await isLetIn(folder))
  }
  assert.is.not(text(apiserver, 'client.crt'), before)
  const { changes } = JSON.parse((await passed('up', '--json')).stdout)
  assert.equal(changes, [])
})

test('what was spoilt in a folder is mended by the next run', async () => {
  writeFileSync(join(apiserver, 'ca.crt'), 'spoilt')
  assert.match((await passed('up')).stdout, 'brought kubernetes new files')
  assert.is(text(apiserver, 'ca.crt'), text(certs, 'ca.crt'))
})

test('whose folder is spoilt, or whose note is damaged, keeps nobody else from what there is', async () => {
  rmSync(apiserver, { recursive: true })
  writeFileSync(apiserver, 'a file')
  writeFileSync(join(certs, 'clients/dotenv.json'), '{')
  await passed('connect', 'shell', '--output', join(home.path, 'shell'))
  rmSync(join(home.path, 'shell/ca.crt'))
  const { exitCode, stderr } = await home.verb('up')
  assert.is(exitCode, 1)
  assert.match(stderr, /The files of kubernetes in .* could not be brought up to date/)
  assert.is(text(home.path, 'shell/ca.crt'), text(certs, 'ca.crt'))
  assert.match((await passed('status')).stdout, /1 of 1 members up/)
  assert.match((await passed('connect', '--list')).stderr + (await listOf('dotenv')), /dotenv +unknown/)
  await passed('connect', 'dotenv')
  rmSync(apiserver)
  assert.match((await passed('up')).stdout, 'brought kubernetes new files')
})

test('it is listed with the others, and removed with all that it was given', async () => {
  assert.match(await listOf('billing'), new RegExp(`billing +json +364 days +master01:${onHost}`))
  assert.match((await passed('certs')).stdout, 'clients/billing.crt')
  const removed = await passed('connect', '--remove', 'billing', '--yes')
  assert.match(removed.stdout, /let in until \d{4}-\d\d-\d\d, or the next npx zx scripts\/rotate-ca\.ts/)
  await passed('connect', '--remove', 'kubernetes', '--yes')
  assert.equal([existsSync(onHost), existsSync(apiserver)], [false, false])
  assert.not(existsSync(join(certs, 'clients/billing.key')))
  await refused(['--remove', 'billing'], 'billing is not connected')
})

test.run()
