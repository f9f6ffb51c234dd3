// etcd built from its Go modules. The build itself is real, and kept in .tools for all tests.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { defaults } from '../../../tasks/core/config.ts'
import { architectureHere } from '../../../tasks/core/machines.ts'
import { toolsFolder, versionOf } from '../../../tasks/core/programs.ts'
import { fetchEtcd } from '../../../tasks/etcd/fetch.ts'
import { buildWithGo } from '../../../tasks/etcd/go-build.ts'
import { kindOf } from '../../../tasks/etcd/program-files.ts'
import { machineOf, NotThisWay } from '../../../tasks/etcd/ways.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

const path = process.env.PATH
test.after.each(() => void (process.env.PATH = path))

/** A `go` that says this version, notes the environment it is run in, and then does as `body` says. */
function standIn(version: string, body: string): string {
  const folder = temporaryFolder()
  const script = `#!/bin/sh\n[ "$1" = version ] && { echo go version go${version} linux/amd64; exit; }\n${body}\n`
  writeFileSync(join(folder, 'go'), script, { mode: 0o755 })
  process.env.PATH = `${folder}:${path}`
  return folder
}

async function refusal(version: string): Promise<string> {
  const outcome = await buildWithGo(version, machineOf('local')).catch((error: unknown) => error)
  assert.instance(outcome, NotThisWay)
  return (outcome as NotThisWay).message
}

const usual = defaults.etcd.version
const cluster = testCluster({ etcd: { version: usual, source: 'go' } })
const built = await fetchEtcd(cluster).catch(() => console.log(`There is no Go here that builds etcd ${usual}.`))
const whereBuilt = built ? test : test.skip

whereBuilt('all three programs of the version that was asked for are there, for this machine', async () => {
  for (const [name, words] of [
    ['etcd', ['--version']],
    ['etcdctl', ['version']],
    ['etcdutl', ['version']],
  ] as const) {
    const program = join(temporaryFolder(), name) // elsewhere: in .tools the folder's name would answer
    writeFileSync(program, readFileSync(join(built?.folder ?? '', name)), { mode: 0o755 })
    assert.is(await versionOf(program, [...words]), usual)
    assert.is(kindOf(program), architectureHere())
  }
})

test(
  'without Go, with one that is too old, or with one that cannot build it, this way is not ' +
    'open; the reason is its own',
  async () => {
    standIn('1.20.4', 'exit 1')
    assert.match(await refusal('3.98.1'), / is Go 1\.20\.4, and 1\.21 or later is needed$/)
    standIn('1.24.4', 'echo something; echo "go: go.etcd.io/etcd/server/v3@v3.98.1 requires go >= 1.25" >&2; exit 1')
    assert.is(
      await refusal('3.98.1'),
      'Go 1.24.4 could not build it (go.etcd.io/etcd/server/v3@v3.98.1 requires go >= 1.25)',
    )
    process.env.PATH = temporaryFolder()
    assert.is(await refusal('3.98.1'), 'no Go toolchain is on PATH')
  },
)

test('a build that fails half way leaves nothing that counts', async () => {
  mkdirSync(toolsFolder(), { recursive: true })
  standIn('1.26.0', '[ "$1" = get ] && exit 0; touch programs/server; echo no space left; exit 1')
  assert.is(await refusal('3.98.2'), 'Go 1.26.0 could not build it (no space left)')
  assert.not.match(readdirSync(toolsFolder()).join(), /3\.98\.2|etcd-go-.*\.part/)
})

test(
  'it is built for the machine that was asked for, from three modules at one version, ' + "and Go's own checks stay on",
  async () => {
    const log = join(temporaryFolder(), 'log')
    standIn('1.26.0', `echo "$GOOS/$GOARCH cgo=$CGO_ENABLED work=$GOWORK sum=\${GOSUMDB-unset} $*" >> ${log}; exit 1`)
    await refusal('3.98.3')
    const machine = { system: 'linux', architecture: 'arm64' } as const
    await buildWithGo('3.98.4', machine).catch(() => undefined)
    const [first, second] = readFileSync(log, 'utf8').split('\n')
    const modules = ['server', 'etcdctl', 'etcdutl'].map((name) => `go.etcd.io/etcd/${name}/v3@v3.98.4`).join(' ')
    assert.match(first ?? '', /^linux\/\w+ cgo=0 work=off sum=unset get /)
    assert.is(second, `linux/arm64 cgo=0 work=off sum=unset get ${modules}`)
  },
)

test.run()
