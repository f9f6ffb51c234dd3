// Which programs a cluster runs, and which are refused.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type OperationError, UsageError } from '../../../tasks/core/errors.ts'
import { etcdctlPath, findEtcd, requireEtcd } from '../../../tasks/etcd/binaries.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

/** A folder with programs that say to be etcd. */
function programs(start: string, version: string): string {
  const folder = temporaryFolder()
  for (const name of ['etcd', 'etcdctl', 'etcdutl'])
    writeFileSync(join(folder, name), `${start}echo ${name} Version: ${version}\n`, { mode: 0o755 })
  return folder
}

/** A folder on PATH, before all others, with an etcd of a version that nobody has. */
function onPath(start: string, version = '3.99.1'): string {
  const folder = programs(start, version)
  process.env.PATH = `${folder}:${path}`
  return folder
}
const path = process.env.PATH
test.after.each(() => void (process.env.PATH = path))

// A file without #! runs here, by the shell, and is no ELF file: as macOS's own are to Linux.
test('an etcd of PATH that is not for Linux is not pushed to hosts, and that is said; members on this machine run it', async () => {
  const folder = onPath('')
  const etcd = { version: '3.99.1' }
  for (const provider of ['ssh', 'vagrant'] as const) {
    const cluster = testCluster({ provider, etcd })
    assert.is(await findEtcd(cluster), undefined)
    const failure = (await requireEtcd(cluster).catch((error: unknown) => error)) as OperationError
    assert.is(
      failure.message,
      `etcd 3.99.1 and etcdctl for the hosts were not found: those in ${folder} are not for Linux, which the hosts run.`,
    )
  }
  assert.equal(await findEtcd(testCluster({ etcd })), { folder, version: '3.99.1' })
})

test('a script that starts etcd is pushed, and so is an ELF file', async () => {
  const folder = onPath('#!/bin/sh\n')
  const cluster = testCluster({ provider: 'ssh', etcd: { version: '3.99.1' } })
  assert.equal(await findEtcd(cluster), { folder, version: '3.99.1' })
  assert.is(await etcdctlPath(cluster), join(folder, 'etcdctl'))
  const other = onPath('#!/bin/sh\n')
  copyFileSync('/bin/echo', join(other, 'etcd')) // it says a version, its own
  assert.is((await findEtcd(testCluster({ provider: 'vagrant' })))?.folder, other)
})

test('an etcd that is too old, or 3.6.0 with its deaf etcdctl, is refused on PATH and in etcd.binaries', async () => {
  for (const [version, reason] of [
    ['3.3.25', 'too old: 3.4 or later is needed'],
    ['3.6.0', 'Take a later 3.6'],
  ] as const) {
    const folder = onPath('#!/bin/sh\n', version)
    for (const etcd of [{}, { version }, { binaries: folder }, { binaries: folder, version: '3.5.33' }]) {
      const failure = (await findEtcd(testCluster({ etcd })).catch((error: unknown) => error)) as OperationError
      assert.instance(failure, UsageError)
      assert.match(failure.message, `etcd in ${folder} is ${version}, which is `)
      assert.match(failure.message, reason)
    }
  }
  const binaries = programs('#!/bin/sh\n', '3.6.1')
  assert.equal(await findEtcd(testCluster({ etcd: { binaries } })), { folder: binaries, version: '3.6.1' })
})

test.run()
