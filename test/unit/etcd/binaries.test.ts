// Which programs a cluster runs, and which are refused.
import { chmodSync, copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Binaries } from '../../../tasks/core/cluster.ts'
import { type OperationError, UsageError } from '../../../tasks/core/errors.ts'
import { architectureHere } from '../../../tasks/core/machines.ts'
import { toolsFolder } from '../../../tasks/core/programs.ts'
import { readRecord } from '../../../tasks/core/record.ts'
import {
  etcdctlPath,
  etcdMissing,
  findEtcd,
  lookAgain,
  noteVersion,
  requireEtcd,
  sayKept,
} from '../../../tasks/etcd/binaries.ts'
import { atVersion } from '../../../tasks/etcd/versions.ts'
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
test('an etcd of PATH that is not for Linux is not pushed to hosts, which is said; members here run it', async () => {
  const folder = onPath('')
  const etcd = { version: '3.99.1' }
  for (const provider of ['ssh', 'vagrant'] as const) {
    const cluster = testCluster({ provider, etcd })
    assert.is(await findEtcd(cluster), undefined)
    const failure = (await requireEtcd(cluster).catch((error: unknown) => error)) as OperationError
    assert.is(
      failure.message,
      `etcd 3.99.1 and etcdctl for the hosts were not found: those in ${folder} are not for ` +
        'Linux, which the hosts run.',
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

test('etcd.binaries taken out of the configuration: what the hosts have stays, and never another version', async () => {
  const keptBinaries = programs('#!/bin/sh\n', '3.99.4')
  const path = onPath('#!/bin/sh\n', '3.99.5')
  const cluster = testCluster({ etcd: { binaries: keptBinaries } })
  await noteVersion(cluster, '3.99.4')
  assert.equal(readRecord(cluster.paths.record)?.etcd, { version: '3.99.4', binaries: keptBinaries })
  cluster.etcd.binaries = undefined
  const mine = { folder: keptBinaries, version: '3.99.4' }
  assert.equal(await findEtcd(cluster), mine)
  assert.match(await sayKept(cluster, mine), `the hosts keep the programs of ${keptBinaries}. Name another folder`)
  assert.is(await sayKept({ ...cluster, etcd: { ...cluster.etcd, looksOnly: true } }, mine), '', 'a move brings others')
  // To move to another version takes that version's programs.
  const next = atVersion(cluster, '3.99.5')
  assert.equal(await findEtcd(next), { folder: path, version: '3.99.5' })
  assert.is(await sayKept(next, { folder: path, version: '3.99.5' }), '')
  rmSync(keptBinaries, { recursive: true })
  lookAgain()
  assert.is(await findEtcd(cluster), undefined)
  assert.is(await etcdMissing(cluster), `etcd 3.99.4 and etcdctl were not found: ${keptBinaries} no longer has them.`)
  const other = { folder: '/got', version: '3.99.4' }
  assert.match(
    await sayKept(cluster, other),
    `${keptBinaries} has no etcd 3.99.4: the hosts get that version from /got.`,
  )
  await noteVersion(cluster, '3.99.4')
  assert.equal(readRecord(cluster.paths.record)?.etcd, { version: '3.99.4' })
  assert.is(await sayKept(cluster, other), '')
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

/** What is said of a person's own folder, or folders. */
const refusalOf = async (binaries: Binaries, version?: string): Promise<string> => {
  const failure = await findEtcd(testCluster({ provider: 'ssh', etcd: { binaries, version } })).catch((error) => error)
  assert.instance(failure, UsageError)
  return (failure as UsageError).message
}

const here = architectureHere()
const elsewhere = here === 'arm64' ? 'amd64' : 'arm64'

/** A Linux program for the other architecture: its header, and a version somewhere in it. */
function foreignPrograms(version: string): string {
  const folder = programs('#!/bin/sh\n', version)
  const head = Buffer.alloc(64)
  Buffer.from('\x7fELF\x02\x01', 'latin1').copy(head)
  head.writeUInt16LE(elsewhere === 'arm64' ? 183 : 62, 18)
  for (const name of ['etcd', 'etcdctl', 'etcdutl'])
    writeFileSync(join(folder, name), Buffer.concat([head, Buffer.from(version)]))
  return folder
}

test("each thing that is wrong with a person's own folder has a sentence of its own", async () => {
  const folder = programs('#!/bin/sh\n', '3.6.14')
  assert.is(
    await refusalOf(folder, '3.6.13'),
    `etcd.binaries: ${folder} has etcd 3.6.14, but this cluster runs 3.6.13.`,
  )
  const { more } = await findEtcd(testCluster({ etcd: { binaries: folder, version: '3.6.13' } })).catch(
    (error) => error,
  )
  assert.match(more.hint, 'Name a folder that has etcd 3.6.13. What an upgrade would need: ')
  assert.not.match(more.hint, '--etcd-version')
  const mixed = programs('#!/bin/sh\n', '3.6.14')
  copyFileSync(join(programs('#!/bin/sh\n', '3.6.13'), 'etcdctl'), join(mixed, 'etcdctl'))
  assert.is(await refusalOf(mixed), `etcd.binaries: ${mixed} has etcd 3.6.14, but its etcdctl is of 3.6.13.`)
  const incomplete = programs('#!/bin/sh\n', '3.6.13')
  rmSync(join(incomplete, 'etcdutl'))
  assert.is(await refusalOf(incomplete), `etcd.binaries: ${incomplete} has no etcdutl.`)
  rmSync(join(incomplete, 'etcdctl'))
  assert.is(await refusalOf(incomplete), `etcd.binaries: ${incomplete} has no etcdctl.`)
  chmodSync(join(folder, 'etcdutl'), 0o644)
  assert.is(await refusalOf(folder), `etcd.binaries: ${folder}/etcdutl is not executable.`)
  const foreign = foreignPrograms('3.6.14')
  assert.is(await refusalOf(foreign), `etcd.binaries: ${foreign}/etcd is made for ${elsewhere}, not for ${here}.`)
  const silent = programs('#!/bin/sh\nexit 1\n', '')
  assert.is(await refusalOf(silent), `etcd.binaries: ${silent}/etcd does not run on this machine.`)
  writeFileSync(join(silent, 'etcd'), 'MZ')
  assert.is(await refusalOf(silent), `etcd.binaries: ${silent}/etcd is no program for Linux.`)
})

test('etcd 3.4 has no etcdutl, and is taken without', async () => {
  const folder = programs('#!/bin/sh\n', '3.4.23')
  rmSync(join(folder, 'etcdutl'))
  assert.equal(await findEtcd(testCluster({ etcd: { binaries: folder } })), { folder, version: '3.4.23' })
})

test('a folder for each architecture: all are looked at, and of one version; one for here must be there', async () => {
  const mine = programs('#!/bin/sh\n', '3.6.14')
  const foreign = foreignPrograms('3.6.14')
  const binaries = { [here]: mine, [elsewhere]: foreign }
  assert.equal(await findEtcd(testCluster({ provider: 'ssh', etcd: { binaries } })), {
    folder: mine,
    version: '3.6.14',
    folders: binaries,
  })
  assert.is(
    await refusalOf({ [elsewhere]: foreign }),
    `etcd.binaries has no folder for ${here}, which this machine is.`,
  )
  const older = foreignPrograms('3.6.13')
  assert.is(
    await refusalOf({ [here]: mine, [elsewhere]: older }),
    `etcd.binaries: ${older}/etcd is not of version 3.6.14, as the programs for this machine are.`,
  )
})

test('where etcd.source names a way, PATH is not heard; what was got by another way is not, either', async () => {
  onPath('#!/bin/sh\n', '3.99.1')
  for (const source of ['release', 'go', 'distribution'] as const)
    assert.is(await findEtcd(testCluster({ etcd: { version: '3.99.1', source } })), undefined)
  const folder = join(toolsFolder(), `etcd-go-linux-${here}-3.99.2`)
  const etcd = { version: '3.99.2' }
  mkdirSync(toolsFolder(), { recursive: true })
  cpSync(programs('#!/bin/sh\n', etcd.version), folder, { recursive: true })
  try {
    assert.equal(await findEtcd(testCluster({ etcd })), { folder, ...etcd })
    assert.equal(await findEtcd(testCluster({ etcd: { ...etcd, source: 'go' } })), { folder, ...etcd })
    assert.is(await findEtcd(testCluster({ etcd: { ...etcd, source: 'release' } })), undefined)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('programs of PATH without etcdutl are passed over from 3.6 on, which could prove no backup', async () => {
  const folder = onPath('#!/bin/sh\n', '3.99.3')
  rmSync(join(folder, 'etcdutl'))
  assert.is(await findEtcd(testCluster({ etcd: { version: '3.99.3' } })), undefined)
})

test.run()
