// What the tests of a change of the authority share: what it refuses, a change that is killed in the middle, who is let
// in, and when it is over.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { identity, knock } from '../../tasks/etcd/probe.ts'
import { clientsView, memberPids } from './load.ts'
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
  assert.match((up.warnings as string[])[0] ?? '', 'rotate-ca.ts --back')
  assert.equal(memberPids(home), pids, 'nobody is restarted for new leaves')
  await requireTold(home)
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
