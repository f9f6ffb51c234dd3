// Phase verify against real members: a healthy cluster passes, and each fault, made for real, is named with its host
// and its remedy.
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { membershipActs } from '../../tasks/acts/members.ts'
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { OperationError } from '../../tasks/core/errors.ts'
import { runPipeline } from '../../tasks/core/pipeline.ts'
import { run } from '../../tasks/core/run.ts'
import { ask } from '../../tasks/core/shell.ts'
import { day, issueLeaf, keyToPem, makeKeyPair } from '../../tasks/core/x509.ts'
import { readAuthority } from '../../tasks/etcd/authority-key.ts'
import { etcdctlPath } from '../../tasks/etcd/binaries.ts'
import { leaves } from '../../tasks/etcd/certificates.ts'
import { clientEnvironment } from '../../tasks/etcd/client-environment.ts'
import { del, get, memberList, put } from '../../tasks/etcd/etcdctl.ts'
import { ensureCertificates } from '../../tasks/pki/index.ts'
import { type Report, tasks, verify } from '../../tasks/verify/index.ts'
import { healthListing, memberListing } from '../../tasks/verify/listings.ts'
import { testCluster } from '../support/cluster.ts'
import { copyCertificates, freeTestCluster, type Members, startMembers } from '../support/etcd.ts'
import { temporaryFolder } from '../support/folder.ts'
import { until } from '../support/wait.ts'

const test = suite('verify')
let cluster: Cluster
let members: Members

test.before(async () => {
  run().json = true // no task tree among the test's output
  cluster = await freeTestCluster()
  for (const host of cluster.hosts) host.connection = { etcd_data_directory: temporaryFolder() }
  await ensureCertificates(cluster)
  // Strictly, etcd changes no membership within 5 s of a member's start.
  members = await startMembers(
    cluster,
    Object.fromEntries(cluster.hosts.map(({ name }) => [name, { 'strict-reconfig-check': 'false' }])),
  )
})
test.after(() => members.stopAll())
test.before.each(async () => {
  const { healthy, checks } = await verify(cluster, { timeoutMs: 60_000 })
  assert.ok(healthy, `healthy before the test: ${JSON.stringify(checks.filter(({ ok }) => !ok))}`)
})

/** A person's own variables, which must not lead us astray. */
const theirs = { ETCDCTL_ENDPOINTS: 'http://127.0.0.1:1', ETCDCTL_USER: 'someone:secret', ETCDCTL_WRITE_OUT: 'table' }

test("a healthy cluster passes every check, whatever a person's own ETCDCTL_ are; no key is left behind", async () => {
  let report: Report | undefined
  Object.assign(process.env, theirs)
  await runPipeline(tasks(cluster, { onReport: (found) => void (report = found), timeoutMs: 60_000 })).finally(() => {
    for (const name of Object.keys(theirs)) delete process.env[name]
  })
  assert.equal((await get(cluster, 'ha-etcd/', { prefix: true })).size, 0)
  assert.ok(report)
  await requireListings(report)
  assert.equal(
    report?.checks.map(({ name }) => name),
    [
      'health',
      'members',
      'leader',
      'version',
      'writes',
      'consistency',
      'alarms',
      'disks',
      'certificates',
      'served-certificates',
      'refuses-plain-http',
      'refuses-no-certificate',
      'refuses-other-authority',
      'refuses-expired',
      'refuses-client-as-peer',
      'refuses-server-as-peer',
    ],
  )
  assert.equal(
    report?.checks.filter(({ ok, skipped }) => !ok || skipped),
    [],
  )
  assert.equal(
    [report?.cluster, report?.healthy, report?.members.length, report?.certificates.length],
    [cluster.name, true, 3, 8],
  )
  const [first] = report?.members ?? []
  assert.equal(Object.keys(first ?? {}), [
    'id',
    'name',
    'host',
    'peerURLs',
    'clientURLs',
    'isLeader',
    'isLearner',
    'version',
    'dbSizeBytes',
    'raftIndex',
    'healthy',
    'tookMs',
  ])
  assert.equal(report?.members.filter(({ isLeader }) => isLeader).length, 1)
})

/** Both listings of the original are there, with the ids that etcdctl shows. */
async function requireListings(report: Report): Promise<void> {
  const simple = await etcdctl('member', 'list')
  for (const host of cluster.hosts) {
    const id = simple
      .split('\n')
      .find((line) => line.includes(host.name))
      ?.split(',')[0]
    assert.ok(healthListing(report).includes(`member ${id} is healthy: got healthy result from ${host.clientURL}\n`))
    assert.match(
      memberListing(report),
      new RegExp(
        `^${id}: name=${host.name} peerURLs=${host.peerURL} clientURLs=${host.clientURL} isLeader=(true|false)$`,
        'm',
      ),
    )
  }
  assert.match(healthListing(report), /\ncluster is healthy$/)
}

test("without the authority's key the expired certificate is skipped with the reason, not passed", async () => {
  const key = join(cluster.paths.certs, 'ca.key')
  const content = readFileSync(key)
  rmSync(key)
  try {
    const report = await verify(cluster, { timeoutMs: 60_000 })
    assert.equal(report.healthy, true)
    const check = report.checks.find(({ name }) => name === 'refuses-expired')
    assert.equal(check?.skipped, true)
    assert.match(check?.detail ?? '', /ca\.key is missing/)
  } finally {
    writeFileSync(key, content, { mode: 0o600 })
  }
})

test('a frozen member', async () => {
  members.signal('master03', 'SIGSTOP')
  await expectFault({
    check: 'health',
    host: 'master03',
    detail: 'frozen or starting',
    remedy: 'kill -CONT',
    timeoutMs: 2500,
    mend: () => members.signal('master03', 'SIGCONT'),
  })
})

test('stopped members, and with that no quorum', async () => {
  const stopped = ['master01', 'master02']
  await Promise.all(stopped.map(members.stop))
  const remedy = 'scripts/up.ts'
  const quorum = 'there is no quorum (2 of 3 members must work together, 1 answers'
  await expectFaults(
    [
      { check: 'health', host: 'master03', detail: quorum, remedy },
      ...stopped.map((host) => ({ check: 'health', host, detail: ':2379: nothing listens there', remedy })),
    ],
    { timeoutMs: 2500, mend: () => Promise.all(stopped.map((name) => members.start(name))) },
  )
})

test('a member on another authority', async () => {
  const other: Cluster = { ...cluster, paths: testCluster().paths }
  await ensureCertificates(other)
  copyCertificates(other, 'master02', members.folder('master02'))
  await members.restart('master02')
  const mend = async (): Promise<void> => {
    copyCertificates(cluster, 'master02', members.folder('master02'))
    await members.restart('master02')
  }
  await expectFault({
    check: 'served-certificates',
    host: 'master02',
    detail: 'certificate on port 2380 was signed by another authority',
    remedy: 'scripts/etcd-role.ts',
    mend,
  })
})

test('an expired certificate on a member, a nearly expired one on another', async () => {
  await serve('master01', new Date(Date.now() - day))
  await serve('master03', new Date(Date.now() + 10.5 * day))
  const check = 'served-certificates'
  const remedy = 'scripts/pki.ts'
  await expectFaults(
    [
      { check, host: 'master01', detail: 'serves a certificate on port 2379 that expired on', remedy },
      { check: 'health', host: 'master01', detail: 'serves a certificate on port 2379 that expired' },
      { check, host: 'master03', detail: 'that expires in 10 days', remedy },
    ],
    { mend: () => mendCertificates('master01', 'master03') },
  )
})

test('here a nearly expired certificate, which its member does not serve; two keys that are not those', async () => {
  const key = join(cluster.paths.certs, 'master03/server.key')
  const content = readFileSync(key)
  const other = join(cluster.paths.certs, 'master01/server.key')
  copyFileSync(key, join(members.folder('master01'), 'ssl/server.key'))
  copyFileSync(other, key)
  const mend = (): void => {
    writeFileSync(key, content)
    mendCertificates('master01')
  }
  const [check, remedy] = ['certificates', 'scripts/pki.ts']
  const due = 'scripts/etcd-role.ts'
  const served = 'does not serve the certificate in master02/server.crt'
  const mute = 'no certificate that it can show, or one that does not match its key'
  await withCertificate('master02', new Date(Date.now() + 10.5 * day), () =>
    expectFaults(
      [
        { check, host: 'certificate master02/server.crt', detail: 'expires within 30 days', remedy },
        { check, host: 'certificate master03/server.crt', detail: 'does not match its key', remedy },
        { check: 'served-certificates', host: 'master02', detail: served, remedy: due },
        { check: 'health', host: 'master01', detail: mute, remedy: due },
      ],
      { mend },
    ),
  )
})

test("a client port without TLS, one that asks nobody, a peer port that lets a client's certificate in", async () => {
  const plain = hostNamed('master02').clientURL.replace('https', 'http')
  await members.restart('master01', { 'client-cert-auth': 'false', 'trusted-ca-file': undefined })
  await members.restart('master02', { 'listen-client-urls': plain })
  await members.restart('master03', { 'peer-cert-allowed-cn': undefined })
  const remedy = 'scripts/etcd-role.ts'
  const asPeer = "accepts a client's certificate on the peer port"
  await expectFaults(
    [
      { check: 'refuses-no-certificate', host: 'master01', detail: 'client authentication is off', remedy },
      { check: 'refuses-plain-http', host: 'master02', detail: 'answers plain HTTP on its client port', remedy },
      { check: 'health', host: 'master02', detail: 'answers plain HTTP' },
      { check: 'refuses-client-as-peer', host: 'master03', detail: asPeer, remedy },
      { check: 'refuses-server-as-peer', host: 'master03', detail: 'accepts' },
    ],
    { mend: () => Promise.all(cluster.hosts.map(({ name }) => members.restart(name))) },
  )
})

test('an unknown member', async () => {
  const id = /Member\s+(\w+) added/.exec(
    await etcdctl('member', 'add', 'stranger', '--peer-urls=https://127.0.0.1:9'),
  )?.[1]
  await expectFault({
    check: 'members',
    host: `member ${id}`,
    detail: 'is on no host of this cluster',
    remedy: `etcdctl member remove ${id}`,
    mend: () => etcdctl('member', 'remove', id ?? ''),
  })
})

test('a learner left behind', async () => {
  const host = hostNamed('master03')
  const old = (await memberList(cluster)).find(({ name }) => name === host.name)
  // else the next call would find no leader
  await membershipActs['hand over'](cluster, { do: 'hand over', from: host.name, to: 'master01' })
  await membership('remove', old?.id ?? '')
  await members.stop(host.name)
  rmSync(join(members.folder(host.name), 'data'), { recursive: true })
  const id =
    /Member\s+(\w+) added/.exec(
      await etcdctl('member', 'add', host.name, '--learner', `--peer-urls=${host.peerURL}`),
    )?.[1] ?? ''
  await members.start(host.name, { 'initial-cluster-state': 'existing' })
  await expectFault({
    check: 'members',
    host: host.name,
    detail: `is still a learner, which does not vote (member ${id})`,
    remedy: 'scripts/replace.ts --cluster test-cluster master03',
    timeoutMs: 8000,
    mend: () => membership('promote', id),
  })
})

test('a NOSPACE alarm', async () => {
  await members.restart('master02', { 'quota-backend-bytes': '400000' })
  await verify(cluster)
  const full = await fill('master02')
  assert.match(full, /space exceeded/)
  const mend = async (): Promise<void> => {
    await members.restart('master02')
    await verify(cluster, { timeoutMs: 60_000 })
    await etcdctl('alarm', 'disarm')
    await del(cluster, 'filler/', { prefix: true })
  }
  await expectFault({ check: 'alarms', host: 'master02', detail: 'alarm NOSPACE', remedy: 'scripts/defrag.ts', mend })
})

test('a member with other data', async () => {
  await put(cluster, 'truth', 'the same everywhere')
  await until('etcd has written it', () => readFileSync(databaseOf('master02')).includes('the same everywhere'))
  await members.stop('master02')
  replaceInDatabase('master02', 'the same everywhere', 'another story there')
  await members.start('master02')
  const mend = async (): Promise<void> => {
    await members.stop('master02')
    replaceInDatabase('master02', 'another story there', 'the same everywhere')
    await members.start('master02')
  }
  await expectFault({
    check: 'consistency',
    host: 'master02',
    detail: "master02's data differs",
    remedy: 'scripts/replace.ts',
    timeoutMs: 8000,
    mend,
  })
})

interface Fault {
  check: string
  host: string
  detail: string
  remedy?: string
}

interface Around {
  timeoutMs?: number | undefined
  /** Undoes the faults, also when the test fails. */
  mend?: (() => unknown) | undefined
}

const expectFault = ({ mend, timeoutMs, ...fault }: Fault & Around): Promise<void> =>
  expectFaults([fault], { mend, timeoutMs })

/** Verifies and expects these faults, within the deadline, in the report and in the error a person reads. */
async function expectFaults(faults: Fault[], { mend, timeoutMs = 5000 }: Around): Promise<void> {
  try {
    await findFaults(faults, timeoutMs)
  } finally {
    await mend?.()
  }
}

async function findFaults(faults: Fault[], timeoutMs: number): Promise<void> {
  let report: Report | undefined
  const started = Date.now()
  const error = await runPipeline(tasks(cluster, { timeoutMs, onReport: (found) => void (report = found) })).then(
    () => assert.unreachable('the fault was not found'),
    (thrown: unknown) => thrown,
  )
  assert.ok(Date.now() - started < timeoutMs + 30_000, `took ${Date.now() - started} ms of ${timeoutMs}`)
  assert.instance(error, OperationError)
  const { exitCode, message } = error as OperationError
  assert.equal([exitCode, report?.healthy], [1, false])
  for (const { check, host, detail, remedy = '' } of faults) {
    const isOf = (line: string): boolean => line.trim().startsWith(`${check}: ${host}`) && line.includes(detail)
    assert.ok(message.split('\n').some(isOf), `${check}: ${host} … ${detail}\n${message}`)
    assert.ok(message.includes(remedy), message)
    const found = report?.checks.find(({ name }) => name === check)
    assert.equal(found?.ok, false)
    assert.ok(found?.detail.includes(detail) && found.detail.includes(remedy), found?.detail)
  }
}

function mendCertificates(...names: string[]): void {
  for (const name of names) copyCertificates(cluster, name, members.folder(name))
}

/** A learner answers no membership request, and a member that goes may not say so: so master01 is asked. */
async function membership(...args: string[]): Promise<void> {
  const env = { ...clientEnvironment(cluster), ETCDCTL_ENDPOINTS: hostNamed('master01').clientURL }
  const { stderr, exitCode } = await ask(await etcdctlPath(cluster), ['member', ...args], { env, timeout: 60_000 })
  assert.equal(exitCode, 0, `etcdctl member ${args.join(' ')}: ${stderr}`)
}

const hostNamed = (name: string): Host => cluster.hosts.find((host) => host.name === name) as Host

async function etcdctl(...args: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await ask(await etcdctlPath(cluster), args, {
    env: await clientEnvironment(cluster),
    timeout: 60_000,
  })
  assert.equal(exitCode, 0, `etcdctl ${args.join(' ')}: ${stderr}`)
  return stdout
}

/** A server certificate of our authority that ends at that moment, with its key. */
async function serverPair(name: string, ends: Date): Promise<{ certificate: string; key: string }> {
  const profile = leaves(cluster).find(({ title }) => title === `${name}/server.crt`)
  if (!profile) throw new Error(`no profile for ${name}`)
  const keys = await makeKeyPair('ecdsa-p256')
  return {
    certificate: (await issueLeaf(readAuthority(cluster), keys.publicKey, { ...profile, ends })).toString(),
    key: keyToPem(keys.privateKey),
  }
}

/** Puts such a pair on a member: etcd reads it at the next handshake. */
async function serve(name: string, ends: Date): Promise<void> {
  const { certificate, key } = await serverPair(name, ends)
  writeFileSync(join(members.folder(name), 'ssl/server.key'), key)
  writeFileSync(join(members.folder(name), 'ssl/server.crt'), certificate)
}

/** Puts such a pair under certs/ while `work` runs. */
async function withCertificate(name: string, ends: Date, work: () => Promise<void>): Promise<void> {
  const files = ['crt', 'key'].map((kind) => join(cluster.paths.certs, name, `server.${kind}`))
  const before = files.map((file) => readFileSync(file))
  const { certificate, key } = await serverPair(name, ends)
  writeFileSync(files[0] as string, certificate)
  writeFileSync(files[1] as string, key)
  try {
    await work()
  } finally {
    for (const [index, file] of files.entries()) writeFileSync(file, before[index] as Buffer)
  }
}

/** Writes through a member until it refuses; returns why. */
async function fill(name: string): Promise<string> {
  for (let count = 0; count < 20; count++) {
    const reason = await put(cluster, `filler/${count}`, 'x'.repeat(60_000), {
      endpoints: [hostNamed(name).clientURL],
    }).then(
      () => undefined,
      (error: OperationError) => error.more.output ?? error.message,
    )
    if (reason) return reason
  }
  return 'it was never full'
}

const databaseOf = (name: string): string => join(members.folder(name), 'data/member/snap/db')

/** Changes a value in a stopped member's database. Its pages have no checksums, so etcd itself notices nothing. */
function replaceInDatabase(name: string, before: string, after: string): void {
  const path = databaseOf(name)
  const content = readFileSync(path)
  assert.ok(content.includes(before), 'the value is in the database')
  for (let at = content.indexOf(before); at >= 0; at = content.indexOf(before))
    content.write(after.padEnd(before.length).slice(0, before.length), at)
  writeFileSync(path, content)
}

test.run()
