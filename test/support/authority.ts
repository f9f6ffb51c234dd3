// What the tests of a change of the authority share: what it refuses, who is let in, and when it is over.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { identity, knock } from '../../tasks/etcd/probe.ts'
import { clientsView, memberPids } from './load.ts'
import { done, type Home, snapshotOf } from './verbs.ts'

export const certsOf = (home: Home): string => join(home.path, 'certs/etcd-cluster-1')

/** rotate-ca ends with 1 and this reason; no file under certs/ was changed, and no member restarted. */
export async function refused(home: Home, reason: RegExp | string, ...flags: string[]): Promise<void> {
  const [files, pids] = [snapshotOf(certsOf(home)), memberPids(home)]
  const { exitCode, stderr } = await home.verb('rotate-ca', '--yes', ...flags)
  assert.is(exitCode, 1)
  assert.match(stderr, reason)
  assert.equal([snapshotOf(certsOf(home)), memberPids(home)], [files, pids])
}

/** How the members answer this client: let in, or refused; one answer where all are of one mind. */
export async function answers(home: Home, shown: { cert: string; key: string }): Promise<string[]> {
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
