// What the tests of the ladder of etcd's minor versions share: the versions, and a home's cluster moved between them.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse, stringify } from 'yaml'
import { clientEnvironment } from '../../tasks/etcd/client-environment.ts'
import { clientsView } from './load.ts'
import type { Home } from './verbs.ts'
import { etcdOf, ladder } from './versions.ts'

const rungs: Awaited<ReturnType<typeof etcdOf>>[] = []
for (const version of ladder) rungs.push(await etcdOf(version))
export const [v34, v35, v36, v37] = rungs.map((rung) => rung?.version ?? '') as [string, string, string, string]
export const forReal = rungs.every((rung) => rung !== undefined) ? test : test.skip
export const folderOf = (version: string): string => rungs.find((rung) => rung?.version === version)?.folder ?? ''

/** Has a home's cluster take the programs in this folder; its hosts stay as they are listed. */
export function use(home: Home, folder: string): void {
  const file = join(home.path, 'cluster.yaml')
  const { hosts } = existsSync(file) ? parse(readFileSync(file, 'utf8')) : {}
  writeFileSync(file, stringify({ hosts, etcd: { binaries: folder } }))
}

/** A verb that must succeed, with the programs of a version. */
export async function must(home: Home, version: string, verb: string, ...words: string[]): Promise<string> {
  use(home, folderOf(version))
  const { exitCode, stdout, stderr } = await home.verb(verb, ...words)
  assert.is(exitCode, 0, `${verb} ${words.join(' ')}: ${stderr}`)
  return stdout
}

export const go = (home: Home, verb: 'upgrade' | 'downgrade', to: string): Promise<string> =>
  must(home, to, verb, '--etcd-version', to, '--json')

/** What the record says of the version, and of one that it moves to. */
export function recorded(home: Home): { version: string; upgradingTo?: string } {
  const { binaries: _, ...versions } = JSON.parse(
    readFileSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'), 'utf8'),
  ).etcd
  return versions
}

export async function runs(home: Home, version: string): Promise<void> {
  const { members } = JSON.parse(await must(home, version, 'status', '--json'))
  assert.equal([...new Set(members.map((member: { version: string }) => member.version))], [version])
  assert.equal([recorded(home).version, recorded(home).upgradingTo], [version, undefined])
}

/** What etcdctl of a version says. */
export function etcdctl(home: Home, version: string, ...words: string[]): string {
  const env = { ...process.env, ...clientEnvironment(clientsView(home)), ETCDCTL_API: '3' }
  const { status, stdout, stderr } = spawnSync(join(folderOf(version), 'etcdctl'), words, { env, encoding: 'utf8' })
  assert.is(status, 0, stderr)
  return stdout.trim()
}

export const count = 300

/** Writes that many keys below a prefix. */
export function writeSome(home: Home, version: string, prefix: string): void {
  for (let part = 0; part < count / 50; part++) {
    const puts = Array.from({ length: 50 }, (_, index) => `put ${prefix}/${part}-${index} x`).join('\n')
    const env = { ...process.env, ...clientEnvironment(clientsView(home)), ETCDCTL_API: '3' }
    const input = `\n${puts}\n\n\n`
    assert.is(spawnSync(join(folderOf(version), 'etcdctl'), ['txn'], { env, input }).status, 0)
  }
}
export const written = (home: Home, version: string, prefix: string): number =>
  etcdctl(home, version, 'get', prefix, '--prefix', '--keys-only').split('\n').filter(Boolean).length
