// A newer etcd than this Debian's, to upgrade to: unstable's packages, from the machine's own mirror, unpacked once.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import { hasApt } from '../../tasks/core/programs.ts'

const tools = join(projectFolder, '.tools')
const kept = join(tools, 'tests-newer-etcd')

/** The folder with the newer programs and their version; undefined, with a word to standard output, where they cannot be had. */
export function newerEtcd(): { folder: string; version: string } | undefined {
  if (!existsSync(kept) && hasApt()) fetchOnce()
  const version = existsSync(kept)
    ? /\d+\.\d+\.\d+/.exec(spawnSync(join(kept, 'etcd'), ['--version'], { encoding: 'utf8' }).stdout)?.[0]
    : undefined
  if (!version) console.log('No newer etcd can be had here: upgrades are not tested.')
  return version ? { folder: kept, version } : undefined
}

/** With apt's lists in a folder of their own: the machine's stay as they are. */
function fetchOnce(): void {
  const listed = spawnSync('apt-get', ['indextargets', '--format', '$(REPO_URI) $(LABEL)', 'Created-By: Packages'], {
    encoding: 'utf8',
  }).stdout
  const mirror = /^(\S+) Debian$/m.exec(listed)?.[1]
  if (!mirror) return
  mkdirSync(tools, { recursive: true })
  const part = mkdtempSync(join(tools, 'tests-newer-etcd.part'))
  try {
    for (const folder of ['lists/partial', 'cache/archives/partial', 'root'])
      mkdirSync(join(part, folder), { recursive: true })
    writeFileSync(join(part, 'sources.list'), `deb ${mirror} sid main\n`)
    const options = Object.entries({
      'Dir::Etc::SourceList': join(part, 'sources.list'),
      'Dir::Etc::SourceParts': '-',
      'Dir::State::Lists': join(part, 'lists'),
      'Dir::Cache': join(part, 'cache'),
      'Acquire::Languages': 'none',
      'APT::Sandbox::User': 'root',
    }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    const apt = (...words: string[]): boolean =>
      spawnSync('apt-get', [...options, ...words], { cwd: part }).status === 0
    if (!apt('update') || !apt('download', 'etcd-server', 'etcd-client')) return
    for (const file of readdirSync(part).filter((name) => name.endsWith('.deb')))
      spawnSync('dpkg', ['-x', join(part, file), join(part, 'root')])
    renameSync(join(part, 'root/usr/bin'), kept)
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
}
