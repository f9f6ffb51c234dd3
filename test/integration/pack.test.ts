// What a machine alone knows of a cluster, packed, and put in place on another machine: whole, or nothing of it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { generateIdentity, identityToRecipient } from 'age-encryption'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seal } from '../../tasks/core/sealed.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Home, testHome } from '../support/verbs.ts'

const home = testHome()
const folder = temporaryFolder()
const [file, secret] = [join(folder, 'cluster.age'), join(folder, 'passphrase')]
const byPassphrase = ['--passphrase-file', secret]
const identity = await generateIdentity()
const recipient = await identityToRecipient(identity)
const byKey = ['--identity', join(folder, 'key')]
const name = 'etcd-cluster-1'

/** Paths below the home, with their content and mode; logs and the last verify are of each machine alone. */
function filesOf({ path }: Home): Record<string, string> {
  const names = ['certs', '.cluster', 'cluster.yaml'].flatMap((top) =>
    top === 'cluster.yaml'
      ? [top]
      : readdirSync(join(path, top), { recursive: true, encoding: 'utf8' }).map((one) => join(top, one)),
  )
  const isIn = (one: string): boolean =>
    statSync(join(path, one)).isFile() && !/\/(logs|hosts)\/|\/verified\.json$/.test(one)
  return Object.fromEntries(
    names.filter(isIn).map((one) => {
      const mode = (statSync(join(path, one)).mode & 0o777).toString(8)
      return [one, `${mode} ${readFileSync(join(path, one), 'utf8').replaceAll(path, 'HOME')}`]
    }),
  )
}

const refused = async (on: Home, verb: string, ...words: string[]): Promise<string> => {
  const { exitCode, stderr } = await on.verb(verb, ...words)
  assert.is(exitCode, 2, stderr)
  return stderr
}

test.before(async () => {
  writeFileSync(secret, 'correct horse battery staple\n')
  writeFileSync(join(folder, 'key'), `# created: today\n${identity}\n`)
  writeFileSync(join(home.path, 'cluster.yaml'), 'masters: 3\n', { mode: 0o600 })
  for (const phase of ['pki', 'vms']) assert.is((await home.verb(phase)).exitCode, 0)
  writeFileSync(join(home.path, '.cluster', name, 'verified.json'), '{"time":"2026-01-01T00:00:00Z","healthy":true}')
})
test.after(() => home.downAll())

test('all but data and logs are in the pack, which is ours alone; there it is as it was; twice, too', async () => {
  const { exitCode, stderr } = await home.verb('pack', file, '--recipient', recipient)
  assert.is(exitCode, 0, stderr)
  assert.is(statSync(file).mode & 0o777, 0o600)
  assert.not.match(readFileSync(file, 'latin1'), 'PRIVATE KEY')
  const other = testHome()
  for (const count of [18, 0]) {
    const { stdout } = await other.verb('unpack', file, ...byKey, '--json')
    assert.is((JSON.parse(stdout) as { files: string[] }).files.length, count)
    assert.equal(filesOf(other), filesOf(home))
  }
  const certs = JSON.parse((await other.verb('certs', '--json')).stdout) as { certificates: { renew: string | null }[] }
  assert.ok(certs.certificates.every(({ renew }) => renew === null))
})

test('by a passphrase, too; another key does not open it, and no secret is told', async () => {
  const [sealed, otherKey] = [join(folder, 'by-passphrase.age'), join(folder, 'other-key')]
  writeFileSync(otherKey, `${await generateIdentity()}\n`)
  assert.is((await home.verb('pack', sealed, ...byPassphrase)).exitCode, 0)
  const other = testHome()
  assert.match(await refused(other, 'unpack', file, '--identity', otherKey), 'the identity is not the right one')
  assert.not.match(await refused(other, 'unpack', file, '--identity', secret), 'correct horse')
  assert.is((await other.verb('unpack', sealed, ...byPassphrase)).exitCode, 0)
})

test('what cannot be packed or put in place is refused in a sentence, and nothing is touched', async () => {
  const other = testHome()
  const damaged = join(folder, 'damaged.age')
  const content = readFileSync(file)
  content[content.length - 5] = (content.at(-5) ?? 0) ^ 1
  writeFileSync(damaged, content)
  assert.match(await refused(other, 'unpack', damaged, ...byKey), 'is not the right one, or the file is damaged')
  assert.match(await refused(other, 'unpack', secret, ...byKey), 'is no file that pack made')
  assert.match(await refused(other, 'unpack', `${file}.not`, ...byKey), 'age.not cannot be read: it is not there.')
  assert.match(await refused(other, 'unpack', file, '--cluster', 'others', ...byKey), `Say --cluster ${name}.`)
  assert.match(await refused(other, 'unpack', file), 'nobody here to ask for a passphrase')
  assert.match(await refused(home, 'pack', file, '--recipient', recipient), 'is there already')
  assert.match(await refused(home, 'pack', `${file}.2`, '--passphrase-file', folder), 'cannot be read: it is a folder')
  assert.match(
    await refused(home, 'pack', `${file}.2`, '--recipient', recipient, ...byPassphrase),
    'exclude each other',
  )
  assert.match(await refused(home, 'pack', `${file}.2`, '--recipient', 'age1x'), 'no recipient of age')
  assert.match(await refused(home, 'pack', `${file}.2`, '--cluster', 'others'), 'There is no cluster')
  assert.equal(readdirSync(other.path), ['.tools'])
})

test('what lies there and differs stays, and is named', async () => {
  const other = testHome()
  const path = join(other.path, 'certs', name, 'ca.crt')
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, 'mine')
  assert.match(await refused(other, 'unpack', file, ...byKey), `of ${name} here lies what differs from the pack`)
  assert.equal(readFileSync(path, 'utf8'), 'mine')
  assert.equal(readdirSync(dirname(path)), ['ca.crt'])
})

test('whoever seals something else for us gets nothing past the folders of the cluster', async () => {
  const from = temporaryFolder()
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(from, path)), { recursive: true })
    writeFileSync(join(from, path), text)
  }
  put('ha-etcd.json', JSON.stringify({ cluster: name, home: home.path, packed: '' }))
  put(`.cluster/${name}/cluster.json`, readFileSync(join(home.path, '.cluster', name, 'cluster.json'), 'utf8'))
  const sealed = join(folder, 'strange.age')
  const refusal = async (): Promise<string> => {
    const tar = execFileSync('tar', ['-cf', '-', '-C', from, '.'])
    writeFileSync(sealed, await seal(tar, { recipients: [recipient] }))
    return refused(testHome(), 'unpack', sealed, ...byKey)
  }
  put('tasks/core/run.ts', 'evil')
  assert.match(await refusal(), 'tasks/core/run.ts does not belong in it')
  const strange = join(from, 'tasks')
  execFileSync('rm', ['-r', strange])
  symlinkSync('/etc/passwd', join(from, '.cluster', name, 'inventory.yml'))
  assert.match(await refusal(), 'inventory.yml does not belong in it')
})

test.run()
