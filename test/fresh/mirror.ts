// A company's mirror of etcd's releases, over TLS by an authority of its own: the programs of a folder, as one release.
// node --import ha-etcd/loader test/fresh/mirror.ts FOLDER VERSION prints its address, the authority's file, and the
// version that it has: these are a distribution's programs, and the sum of a pinned version is the official release's.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import { architectureHere } from '../../tasks/core/machines.ts'
import { temporaryFolder } from '../support/folder.ts'
import { releaseSite, serve } from '../support/release-site.ts'

const [programs = '', packaged = ''] = process.argv.slice(2)
const pinned = Object.keys(JSON.parse(readFileSync(join(projectFolder, 'tasks/etcd/releases.json'), 'utf8')))
// Of the same length, so that the programs can be made to say it.
const version = pinned.includes(packaged) ? packaged.replace(/\d+$/, (patch) => '9'.repeat(patch.length)) : packaged
const name = `etcd-v${version}-linux-${architectureHere()}`
const folder = temporaryFolder()
mkdirSync(join(folder, name))
for (const program of ['etcd', 'etcdctl', 'etcdutl'].filter((one) => existsSync(join(programs, one))))
  writeFileSync(join(folder, name, program), saying(join(programs, program)), { mode: 0o755 })
execFileSync('tar', ['-czf', `${name}.tar.gz`, name], { cwd: folder })
const archive = readFileSync(join(folder, `${name}.tar.gz`))
const sum = createHash('sha256').update(archive).digest('hex')

const site = await releaseSite()
site.answers.set(`v${version}/${name}.tar.gz`, serve(archive))
site.answers.set(`v${version}/SHA256SUMS`, serve(Buffer.from(`${sum}  ${name}.tar.gz\n`)))
chmodSync(dirname(site.authority), 0o755)
console.log(`${site.base} ${site.authority} ${version}`)

function saying(program: string): Buffer {
  const bytes = readFileSync(program)
  for (let at = bytes.indexOf(packaged); at >= 0; at = bytes.indexOf(packaged, at + 1)) bytes.write(version, at)
  return bytes
}
