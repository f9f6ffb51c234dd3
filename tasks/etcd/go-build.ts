// etcd built from its official Go modules, in a folder of .tools: where the release cannot be reached.
import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../core/environment.ts'
import type { Machine } from '../core/machines.ts'
import { compareVersions, fetchTool, findProgram, versionOf } from '../core/programs.ts'
import { ask, work } from '../core/shell.ts'
import { type Got, NotThisWay, toolName } from './ways.ts'

/** From this Go on `go` says itself which Go a module needs, and may get it (GOTOOLCHAIN). */
const oldestGo = '1.21'
const modules = ['server', 'etcdctl', 'etcdutl'].map((name) => `go.etcd.io/etcd/${name}/v3`)

interface Builder {
  /** The path of `go`, and its version. */
  go: string
  version: string
  cwd: string
  machine: Machine
  report: (line: string) => void
}

/**
 * Builds etcd, etcdctl and etcdutl of one version for that machine: about a minute on two cores with empty caches.
 * A person's own Go settings hold (GOPROXY, GOSUMDB, GOTOOLCHAIN), but for those that would change what is built.
 * @param tool the folder's name in .tools, without the version
 * @throws NotThisWay where there is no Go, or it cannot build this version
 */
export async function buildWithGo(
  version: string,
  machine: Machine,
  report: (line: string) => void = () => {},
  tool = toolName('go', machine),
): Promise<Got> {
  const go = findProgram('go')
  if (!go) throw new NotThisWay('no Go toolchain is on PATH')
  const mine = (await versionOf(go, ['version'])) ?? '0'
  if (compareVersions(mine, oldestGo) < 0)
    throw new NotThisWay(`${go} is Go ${mine}, and ${oldestGo} or later is needed`)
  const folder = await fetchTool(tool, async (cwd) => {
    await build(version, { go, version: mine, cwd, machine, report })
    return { from: join(cwd, 'programs'), version }
  })
  const checked = (await ask(go, ['env', 'GOSUMDB'])).stdout.trim() !== 'off'
  const vouched = checked ? "verified by Go's checksum database" : 'NOT verified, since GOSUMDB is off'
  return { folder, version, told: `built from the official Go modules with Go ${mine}, ${vouched}` }
}

async function build(version: string, builder: Builder): Promise<void> {
  const { cwd, machine, report } = builder
  copyFileSync(join(projectFolder, 'templates/go/go.mod'), join(cwd, 'go.mod'))
  mkdirSync(join(cwd, 'programs'))
  report(`getting the Go modules of etcd ${version}`)
  await runGo(builder, ['get', ...modules.map((name) => `${name}@v${version}`)])
  report(`compiling etcd ${version} for ${machine.system}/${machine.architecture}`)
  await runGo(builder, ['build', '-trimpath', '-ldflags', '-s -w', '-o', `${cwd}/programs/`, ...modules])
  renameSync(join(cwd, 'programs/server'), join(cwd, 'programs/etcd'))
}

/** @throws NotThisWay with Go's own last words */
async function runGo({ go, version, cwd, machine }: Builder, words: string[]): Promise<void> {
  const env = {
    GO111MODULE: 'on',
    GOWORK: 'off',
    GOFLAGS: '-mod=mod',
    GOOS: machine.system,
    GOARCH: machine.architecture,
    GOAMD64: 'v1', // this machine's processor may know more than the hosts'
    CGO_ENABLED: '0',
  }
  let last = ''
  const onLine = (line: string): void => {
    last = line.trim() || last
  }
  const { exitCode } = await work('sh', ['-c', 'exec "$@" 2>&1', 'sh', go, ...words], { cwd, env, onLine })
  if (exitCode !== 0) throw new NotThisWay(`Go ${version} could not build it (${last.replace(/^go: /, '')})`)
}
