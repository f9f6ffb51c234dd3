// What the tests of a change of the authority share: what it refuses, a change that is killed in the middle, who is let
// in, and when it is over.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { type Authority, issueLeaf, keyToPem, makeAuthority, makeKeyPair } from '../../tasks/core/x509.ts'
import { authoritySubject, type Leaf, leaves } from '../../tasks/etcd/certificates.ts'
import { identity, knock } from '../../tasks/etcd/probe.ts'
import { etcdctlView } from './disasters.ts'
import { temporaryFolder } from './folder.ts'
import { clientsView, memberPids } from './load.ts'
import { onHost, signalEtcd } from './on-host.ts'
import { done, type Home, killedAt, snapshotOf } from './verbs.ts'

interface Shown {
  cert: string
  key: string
}

export const certsOf = (home: Home): string => join(home.path, 'certs/etcd-cluster-1')
export const fileOf = (home: Home, name: string): string => readFileSync(join(certsOf(home), name), 'utf8')
/** What the client shows. */
export const clientOf = (home: Home): Shown => ({
  cert: fileOf(home, 'etcd-client.crt'),
  key: fileOf(home, 'etcd-client.key'),
})

/** rotate-ca ends with 1 and this reason; no file under certs/ was changed, and no member restarted. */
export async function refused(home: Home, reason: RegExp | string, ...flags: string[]): Promise<void> {
  const [files, pids] = [snapshotOf(certsOf(home)), memberPids(home)]
  const { exitCode, stderr } = await home.verb('rotate-ca', '--yes', ...flags)
  assert.is(exitCode, 1)
  assert.match(stderr, reason)
  assert.equal([snapshotOf(certsOf(home)), memberPids(home)], [files, pids])
}

/** How the members answer this client: let in, or refused; one answer where all are of one mind. */
export async function answers(home: Home, shown: Shown): Promise<string[]> {
  const cluster = clientsView(home)
  const asked = { as: identity(shown), timeoutMs: 30_000 }
  const probes = await Promise.all(cluster.hosts.map((host) => knock(cluster, host, asked)))
  return [...new Set(probes.map(({ kind }) => kind))]
}

/** Finished, either way: one authority, no file of a change, and verify has nothing to say. */
export async function requireFinished(home: Home): Promise<void> {
  const left = ['next-ca.key', 'old-ca.crt'].filter((name) => existsSync(join(certsOf(home), name)))
  const report = await done(home.verb('verify', '--json'))
  assert.equal([left, report.healthy, report.warnings], [[], true, []])
}

/** A change of the authority goes to where both are trusted, and is killed once the new one has issued. */
export async function changeHalfWay(home: Home): Promise<void> {
  const [authority, before] = [fileOf(home, 'ca.crt'), clientOf(home)]
  const step = await done(home.verb('rotate-ca', '--step', '--json'))
  assert.equal([step.stage, step.finished], ['trusted', false])
  assert.match(step.clients as string, /^Now give every client .*ca\.crt.*kube-apiserver/)
  const both = fileOf(home, 'ca.crt')
  assert.ok(both.startsWith(authority) && both.length > authority.length)
  const pids = memberPids(home)
  await killedAt(home, '[COMPLETED] Issue 7 certificates', 'rotate-ca', '--yes')
  const newer = clientOf(home)
  assert.equal(
    [newer.cert === before.cert, await answers(home, newer), await answers(home, before)],
    [false, ['answered'], ['answered']],
  )
  const up = await done(home.verb('up', '--yes', '--json'))
  const isOffered = (up.warnings as string[])[0]?.includes('rotate-ca.ts --back')
  assert.is(isOffered, existsSync(join(certsOf(home), 'ca.key')), 'the way back is offered where there is one')
  assert.equal(memberPids(home), pids, 'nobody is restarted for new leaves')
  await requireTold(home)
}

const withCerts = (home: Home, certs = certsOf(home)): Cluster => {
  const cluster = etcdctlView(home)
  return { ...cluster, paths: { ...cluster.paths, certs } }
}

/** Puts an authority that expired yesterday, and what it signed, here and on every host; members start with that. */
export async function expire(home: Home, passphrase?: string): Promise<void> {
  const cluster = withCerts(home)
  await issueAll(cluster, await newAuthority(cluster, -1, passphrase), -1)
  for (const { name } of cluster.hosts) await install(home, cluster, name)
}

const authorityOf = (home: Home): Authority => ({
  certificate: new X509Certificate(fileOf(home, 'ca.crt')),
  key: createPrivateKey(fileOf(home, 'ca.key')),
})

/** The authority is well; what it signed ended yesterday, here and on every host. */
export async function expireLeaves(home: Home): Promise<void> {
  await issueAll(withCerts(home), authorityOf(home), -1)
  for (const { name } of clientsView(home).hosts) await install(home, withCerts(home), name)
}

/** The client certificate here ended yesterday. */
export async function expireClient(home: Home): Promise<void> {
  const authority = authorityOf(home)
  const leaf = leaves(withCerts(home)).at(-1) as Leaf
  const pair = await makeKeyPair('ecdsa-p256')
  writeFileSync(leaf.certificate, (await issueLeaf(authority, pair.publicKey, { ...leaf, ends: -1 })).toString())
  writeFileSync(leaf.key, keyToPem(pair.privateKey))
}

/** A host gets the certificates of another cluster. */
export async function installForeign(home: Home, host: string): Promise<void> {
  const cluster = withCerts(home, temporaryFolder())
  for (const { name } of cluster.hosts) mkdirSync(join(cluster.paths.certs, name))
  await issueAll(cluster, await newAuthority(cluster, 30), 30)
  await install(home, cluster, host)
}

async function newAuthority({ paths, ...cluster }: Cluster, days: number, passphrase?: string): Promise<Authority> {
  const keys = await makeKeyPair('ecdsa-p256')
  const authority = await makeAuthority(keys, authoritySubject({ paths, ...cluster }), days)
  writeFileSync(join(paths.certs, 'ca.crt'), authority.certificate.toString())
  writeFileSync(join(paths.certs, 'ca.key'), keyToPem(keys.privateKey, passphrase))
  return authority
}

async function issueAll(cluster: Cluster, authority: Authority, ends: number): Promise<void> {
  for (const leaf of leaves(cluster)) {
    const pair = await makeKeyPair('ecdsa-p256')
    writeFileSync(leaf.certificate, (await issueLeaf(authority, pair.publicKey, { ...leaf, ends })).toString())
    writeFileSync(leaf.key, keyToPem(pair.privateKey))
  }
}

/** Puts a host's certificates on it, and has its member start with them. */
async function install(home: Home, { paths: { certs } }: Cluster, host: string): Promise<void> {
  for (const file of (await onHost(home, host, 'ls "$ROOT/etc/ssl/etcd"')).split('\n')) {
    const own = join(certs, host, file)
    const text = readFileSync(existsSync(own) ? own : join(certs, file), 'utf8').trim()
    await onHost(home, host, `echo '${text}' > "$ROOT/etc/ssl/etcd/${file}"`)
  }
  await signalEtcd(home, host, 'SIGKILL')
}

/** certs and status say that a change is under way. */
async function requireTold(home: Home): Promise<void> {
  const { certificates, warning } = (await done(home.verb('certs', '--json'))) as {
    certificates: { issues?: boolean; served?: { state: string } }[]
    warning: string
  }
  const serves = certificates.filter(({ served }) => served?.state === 'this one')
  assert.equal([certificates.map(({ issues }) => issues).slice(0, 2), serves.length], [[false, true], 6])
  assert.is((await done(home.verb('status', '--json'))).warning, warning)
  assert.match(warning, 'is being changed')
}
