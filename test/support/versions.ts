// Real etcds of several versions for tests: built from the official Go modules once, and kept in .tools/.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import { findProgram, hasApt } from '../../tasks/core/programs.ts'

const kept = join(projectFolder, '.tools/tests-etcd')
const modules = ['etcd=server', 'etcdctl=etcdctl', 'etcdutl=etcdutl']

/**
 * The folder with the programs of that version; undefined, with a word to standard output, where they cannot be had.
 */
export function etcdOf(version: string): { folder: string; version: string } | undefined {
  const folder = join(kept, version)
  if (!existsSync(folder)) {
    mkdirSync(kept, { recursive: true })
    const part = mkdtempSync(join(kept, 'part-'))
    const made = version.startsWith('3.4.') ? unpacked(part) : built(part, version)
    if (made) renameSync(made, folder)
    rmSync(part, { recursive: true, force: true })
  }
  const there = existsSync(folder) && existsSync(join(folder, 'etcdctl'))
  if (!there) console.log(`etcd ${version} cannot be had here: what needs it is not tested.`)
  return there ? { folder, version } : undefined
}

/** From their modules: one of ours requires the three, so that Go's checksum database vouches for all. */
function built(part: string, version: string): string | undefined {
  if (!findProgram('go')) return undefined
  const out = join(part, 'out')
  const paths = modules.map((module) => `go.etcd.io/etcd/${module.split('=')[1]}/v3`)
  writeFileSync(join(part, 'go.mod'), 'module tests\n\ngo 1.24\n')
  writeFileSync(
    join(part, 'tools.go'),
    `package tools\n\nimport (\n${paths.map((path) => `\t_ "${path}"\n`).join('')})\n`,
  )
  const go = (...words: string[]): boolean =>
    spawnSync('go', words, { cwd: part, env: { ...process.env, CGO_ENABLED: '0' } }).status === 0
  const done =
    go('get', ...paths.map((path) => `${path}@v${version}`)) &&
    modules.every((module, index) =>
      go('build', '-trimpath', '-ldflags', '-s -w', '-o', join(out, module.split('=')[0] ?? ''), paths[index] ?? ''),
    )
  return done ? out : undefined
}

/** 3.4 is no module that can be required: Debian 12's package. */
function unpacked(part: string): string | undefined {
  if (!hasApt() || spawnSync('apt-get', ['download', 'etcd-server', 'etcd-client'], { cwd: part }).status !== 0)
    return undefined
  for (const file of readdirSync(part).filter((name) => name.endsWith('.deb')))
    spawnSync('dpkg', ['-x', join(part, file), join(part, 'root')])
  return join(part, 'root/usr/bin')
}
