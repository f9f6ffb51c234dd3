// A company's mirror of etcd's releases, over TLS by an authority of its own: the programs of a folder, as one release.
// node --import ha-etcd/loader test/fresh/mirror.ts FOLDER VERSION prints its address and the authority's file.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { architectureHere } from '../../tasks/core/machines.ts'
import { temporaryFolder } from '../support/folder.ts'
import { releaseSite, serve } from '../support/release-site.ts'

const [programs = '', version = ''] = process.argv.slice(2)
const name = `etcd-v${version}-linux-${architectureHere()}`
const folder = temporaryFolder()
mkdirSync(join(folder, name))
for (const program of ['etcd', 'etcdctl', 'etcdutl'].filter((one) => existsSync(join(programs, one))))
  cpSync(join(programs, program), join(folder, name, program))
execFileSync('tar', ['-czf', `${name}.tar.gz`, name], { cwd: folder })
const archive = readFileSync(join(folder, `${name}.tar.gz`))
const sum = createHash('sha256').update(archive).digest('hex')

const site = await releaseSite()
site.answers.set(`v${version}/${name}.tar.gz`, serve(archive))
site.answers.set(`v${version}/SHA256SUMS`, serve(Buffer.from(`${sum}  ${name}.tar.gz\n`)))
chmodSync(dirname(site.authority), 0o755)
console.log(`${site.base} ${site.authority}`)
