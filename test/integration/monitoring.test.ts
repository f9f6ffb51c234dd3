// The metrics port of real members, what they expose, and the verb metrics.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ask } from '../../tasks/core/shell.ts'
import { asked, lackingAt, later } from '../support/exposed.ts'
import { clientsView, memberPids } from '../support/load.ts'
import { done, testHome } from '../support/verbs.ts'

const home = testHome()
const use = (etcd: string): void => writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { ${etcd} }\n`)
const hosts = () => clientsView(home).hosts
test.after(() => home.downAll())

/** What curl gets: the HTTP status, 000 where TLS or the connection fails. */
async function get(url: string, withCertificate = false): Promise<string> {
  const certs = join(home.path, 'certs/etcd-cluster-1')
  const ours = ['--cert', join(certs, 'etcd-client.crt'), '--key', join(certs, 'etcd-client.key')]
  const words = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', join(certs, 'ca.crt'), url]
  return (await ask('curl', [...(withCertificate ? ours : []), ...words])).stdout
}

test('each member listens for metrics and health at its own address, and lets in who shows a certificate', async () => {
  use('metricsPort: 2381')
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  for (const { address } of hosts()) {
    const url = `https://${address}:2381`
    assert.equal([await get(`${url}/health`, true), await get(`${url}/metrics`, true)], ['200', '200'])
    assert.equal([await get(`${url}/metrics`), await get(`http://${address}:2381/metrics`)], ['000', '000'])
    assert.is(await get(`${url}/v3/kv/range`, true), '404', 'no keys there')
  }
})

test('members expose every metric that a rule or a panel names', async () => {
  assert.ok(asked.length > 40)
  for (const { address } of hosts()) {
    const lacking = await lackingAt(clientsView(home), `https://${address}:2381`)
    // test/long/monitoring.test.ts waits for it
    assert.equal(
      lacking.filter((metric) => metric !== later),
      [],
    )
  }
})

test('a second up changes nothing; a metrics port that another program has is refused before any restart', async () => {
  const before = memberPids(home)
  assert.equal((await done(home.verb('up', '--json'))).changes, [])
  const address = hosts()[1]?.address ?? ''
  const server = createServer().listen(2382, address)
  use('metricsPort: 2382')
  const { exitCode, stderr } = await home.verb('up', '--yes')
  server.close()
  assert.is(exitCode, 1)
  assert.match(stderr, `master02: another program listens at ${address}:2382.`)
  assert.equal(memberPids(home), before)
})

test('where it is asked for, metrics are had without TLS; members restart one after the other for it', async () => {
  use('metricsPort: 2381, metricsPlain: true')
  const before = memberPids(home)
  assert.is((await home.verb('up', '--yes')).exitCode, 0)
  for (const { name, address } of hosts()) {
    assert.is(await get(`http://${address}:2381/metrics`), '200')
    assert.is.not(memberPids(home)[name], before[name])
  }
})

test('metrics: what is known of a healthy cluster, written whole, for all to read', async () => {
  const folder = join(home.path, 'collector')
  const missing = await home.verb('metrics', '--output', join(folder, 'a.prom'))
  assert.is(missing.exitCode, 2)
  assert.match(missing.stderr, `There is no folder ${folder}.`)
  const path = join(home.path, 'a.prom')
  const { exitCode, stdout, stderr } = await home.verb('metrics', '--output', path)
  assert.equal([exitCode, stdout, stderr], [0, '', ''])
  assert.is(statSync(path).mode & 0o777, 0o644)
  const text = readFileSync(path, 'utf8')
  for (const line of ['verify_healthy{cluster="etcd-cluster-1"} 1', 'learners{cluster="etcd-cluster-1"} 0'])
    assert.match(text, `ha_etcd_${line}\n`)
  assert.match(text, 'ha_etcd_member_commits{cluster="etcd-cluster-1",host="master03"} 1\n')
  assert.match(text, 'file="master02/server.crt"} ')
  assert.not.match(text, 'ha_etcd_verb_start')
  assert.equal(
    readdirSync(home.path).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('a certificate that was renewed here and not installed ends when the one ends that its host serves', async () => {
  const file = 'master02/server.crt'
  const ends = async (): Promise<string> =>
    new RegExp(`file="${file}"} (\\d{10})`).exec((await home.verb('metrics')).stdout)?.[1] ?? 'missing'
  const before = await ends()
  rmSync(join(home.path, 'certs/etcd-cluster-1', file))
  writeFileSync(join(home.path, 'cluster.yaml'), 'pki: { leafDays: 3000 }\n')
  assert.equal((await done(home.verb('pki', '--json'))).issued, [{ path: file, reason: 'missing' }])
  assert.is(await ends(), before)
  use('metricsPort: 2381, metricsPlain: true')
})

test('metrics of a cluster that is down say so, and what is known without its members', async () => {
  const other = testHome()
  const members = [1, 2, 3].map((number) => ({ name: `master0${number}`, address: `127.203.8.10${number}` }))
  const record = { name: 'etcd-cluster-1', provider: 'local', subnet: '127.203.8.0/24', members, etcd: {} }
  assert.is((await other.verb('pki')).exitCode, 0)
  const path = join(other.path, '.cluster/etcd-cluster-1/cluster.json')
  writeFileSync(path, JSON.stringify({ ...record, clientPort: 2379, peerPort: 2380, begun: { verb: 'restore' } }))
  const { exitCode, stdout, stderr } = await other.verb('metrics')
  assert.equal([exitCode, stderr], [0, ''])
  assert.match(stdout, 'ha_etcd_member_answers{cluster="etcd-cluster-1",host="master01"} 0\n')
  assert.match(stdout, 'ha_etcd_half_done{cluster="etcd-cluster-1",what="restore"} 1\n')
  assert.match(stdout, /ha_etcd_certificate_not_after_seconds\{cluster="etcd-cluster-1",file="ca.crt"\} \d{10}\n/)
  assert.not.match(stdout, 'ha_etcd_learners')
  await other.downAll()
})

test('the files for Prometheus and Grafana are printed, each by its flag', async () => {
  const print = async (...flags: string[]): Promise<string> => (await home.verb('metrics', ...flags)).stdout
  assert.match(await print('--rules'), /^groups:\n {2}- name: ha-etcd\n/)
  assert.is(JSON.parse(await print('--dashboard')).uid, 'ha-etcd')
  const { files } = JSON.parse((await home.verb('connect', 'prometheus', '--json')).stdout)
  assert.match(files['prometheus-scrape.yaml'], /job_name: ha-etcd-etcd-cluster-1(.|\n)*scheme: http\n/)
  assert.equal(
    JSON.parse(files['prometheus-targets.json']).map(({ targets }: { targets: string[] }) => targets[0]),
    hosts().map(({ address }) => `${address}:2381`),
  )
})

test.run()
