// In which order the ways to etcd are tried, and what is said of it. The ways are stood in for, or closed.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { OperationError } from '../../../tasks/core/errors.ts'
import { architectureHere } from '../../../tasks/core/machines.ts'
import { toolsFolder } from '../../../tasks/core/programs.ts'
import type { EtcdSource } from '../../../tasks/core/schema.ts'
import { fetchEtcd } from '../../../tasks/etcd/fetch.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

const path = process.env.PATH
const version = '3.97.1'
const mirror = 'https://127.0.0.1:1'
const made: string[] = []
test.after.each(() => {
  process.env.PATH = path
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** Programs on PATH, before all others, as shell scripts. */
function onPath(programs: Record<string, string>, alone = false): void {
  const folder = temporaryFolder()
  for (const [name, body] of Object.entries(programs))
    writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  process.env.PATH = alone ? folder : `${folder}:${path}`
}

const builds =
  '[ "$1" = version ] && echo go version go1.26.1; [ "$1" = build ] && touch programs/server ' +
  'programs/etcdctl programs/etcdutl; exit 0'
const wanted = (source: EtcdSource) => testCluster({ etcd: { version, source, mirror } })
const folderOf = (way: string): string => {
  const folder = join(toolsFolder(), `etcd-${way}-linux-${architectureHere()}-${version}`)
  made.push(folder)
  return folder
}

test('the first way that works is taken: release, Go, distribution; why not those before it is told', async () => {
  onPath({ go: builds })
  const { folder, told } = await fetchEtcd(wanted('auto'))
  assert.is(folder, folderOf('go'))
  assert.is(
    told,
    "built from the official Go modules with Go 1.26.1, verified by Go's checksum database (release: " +
      '127.0.0.1:1 cannot be reached (ECONNREFUSED))',
  )
})

test('where none works, all reasons are told, and what helps', async () => {
  onPath({}, true)
  const failure = (await fetchEtcd(wanted('auto')).catch((error: unknown) => error)) as OperationError
  assert.instance(failure, OperationError)
  assert.match(failure.message, /^etcd 3\.97\.1 for linux\/\w+ cannot be fetched\.$/)
  assert.is(
    failure.more.output,
    'release: 127.0.0.1:1 cannot be reached (ECONNREFUSED)\nGo: no Go toolchain is on ' +
      'PATH\ndistribution: there is no apt-get',
  )
  assert.match(failure.more.hint ?? '', 'etcd.binaries')
})

test('a way that is named is the only one', async () => {
  onPath({ go: builds })
  const failure = (await fetchEtcd(wanted('release')).catch((error: unknown) => error)) as OperationError
  assert.is(failure.more.output, 'release: 127.0.0.1:1 cannot be reached (ECONNREFUSED)')
  assert.is((await fetchEtcd(wanted('go'))).folder, folderOf('go'))
})

test('Go that checks nothing is said to check nothing', async () => {
  onPath({ go: `[ "$1" = env ] && { echo off; exit; }; ${builds}` })
  const { folder, told } = await fetchEtcd(wanted('go'))
  assert.is(folder, folderOf('go'))
  assert.match(told, 'NOT verified, since GOSUMDB is off')
})

test('what was got by the same way before is not got again', async () => {
  const folder = folderOf('go')
  mkdirSync(folder, { recursive: true })
  onPath({}, true)
  assert.is((await fetchEtcd(wanted('go'))).folder, folder)
})

test.run()
