// Backups at a target: brought, listed, kept few, damaged, and restored where nothing else is left.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { generateIdentity, identityToRecipient } from 'age-encryption'
import { test as always } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { findProgram } from '../../tasks/core/programs.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Home, type Outcome, testHome } from '../support/verbs.ts'

/** Without rclone there is no target. */
const test = findProgram('rclone') ? always : always.skip
const home = testHome()
const folder = temporaryFolder()
const [target, key, otherKey] = [join(folder, 'target'), join(folder, 'key.txt'), join(folder, 'other.txt')]
const there = join(target, 'etcd-cluster-1')
const identity = await generateIdentity()
const recipient = await identityToRecipient(identity)
const away = ['--to', target, '--recipient', recipient]
const restoring = ['--from', target, '--identity', key]

const done = (outcome: Outcome): Outcome => {
  assert.is(outcome.exitCode, 0, outcome.stderr)
  return outcome
}
const put = (name: string, value: string): void => void etcdctl(home, 'put', name, value)
function etcdctl(at: Home, ...words: string[]): string {
  const script = `eval "$(npx zx scripts/env.ts)" && exec etcdctl ${words.join(' ')}`
  return execFileSync('bash', ['-c', script], { cwd: projectFolder, env: at.environment(), encoding: 'utf8' })
}
const listed = async (): Promise<{ backups: { name: string; revision: number }[]; wrong: string[] }> =>
  JSON.parse(done(await home.verb('backup', '--list', '--to', target, '--json')).stdout)

const files = (name: string): string[] =>
  ['json', 'snapshot.age', 'pack.age'].map((end) => join(there, `${name}.${end}`))
/** Backups of a cluster that had the same name, and was made elsewhere, or before. @returns their names */
const ofAnotherLife = (like: string): string[] =>
  [1, 2].map((revision) => {
    const name = `2026-01-0${revision}T00-00-00Z`
    for (const [index, file] of files(name).entries()) cpSync(files(like)[index] ?? '', file)
    const [note = ''] = files(name)
    writeFileSync(note, JSON.stringify({ ...JSON.parse(readFileSync(note, 'utf8')), life: 'another', revision }))
    return name
  })

always.before(async () => {
  if (test === always.skip) return
  writeFileSync(key, `# created: today\n${identity}\n`)
  writeFileSync(otherKey, `${await generateIdentity()}\n`)
  mkdirSync(target)
  writeFileSync(join(home.path, 'cluster.yaml'), 'masters: 1\n')
  done(await home.verb('up'))
  put('before', 'the-fire')
})
always.after(() => home.downAll())

test('nothing leaves unsealed: no key, no value; what a cut upload left goes', async () => {
  mkdirSync(there)
  const [old, young] = ['2026-01-01T00-00-00Z.snapshot.age', '2099-01-01T00-00-00Z.snapshot.age']
  for (const stray of [old, young]) writeFileSync(join(there, stray), 'half')
  const { folder: kept } = JSON.parse(done(await home.verb('backup', ...away, '--json')).stdout) as { folder: string }
  const name = basename(kept)
  assert.equal(readdirSync(there).sort(), [`${name}.json`, `${name}.pack.age`, `${name}.snapshot.age`, young])
  for (const file of readdirSync(there))
    assert.not.match(readFileSync(join(there, file), 'latin1'), /PRIVATE KEY|the-fire|127\.\d+\.\d+\.101/)
  assert.equal(
    (await listed()).backups.map(({ name }) => name),
    [`etcd-cluster-1/${name}`],
  )
})

test('the newest are kept, here and there; --plan names those that would go', async () => {
  for (let count = 0; count < 2; count++) done(await home.verb('backup', ...away))
  const [, second, first] = (await listed()).backups.map(({ name }) => basename(name))
  const plan = JSON.parse(done(await home.verb('backup', ...away, '--keep', '2', '--plan', '--json')).stdout).plan
  for (const name of [second, first]) {
    assert.ok(plan.includes(`remove ${name}`), plan.join('\n'))
    assert.ok(plan.includes(`remove ${name} at ${target}`), plan.join('\n'))
  }
  const strangers = ofAnotherLife(second ?? '')
  done(await home.verb('backup', ...away, '--keep', '2'))
  const { backups: all } = await listed()
  const backups = all.filter(({ name }) => !strangers.includes(basename(name)))
  assert.equal([all.length, backups.length], [4, 2])
  for (const file of strangers.flatMap(files)) rmSync(file)
  assert.equal(
    backups.map(({ name }) => basename(name)),
    (JSON.parse(done(await home.verb('backup', '--list', '--json')).stdout).backups as { name: string }[]).map(
      ({ name }) => name,
    ),
  )
})

test('another key, a damaged file, one that is gone: a sentence each, and nothing is touched', async () => {
  const other = testHome()
  const refused = async (...words: string[]): Promise<string> => {
    const { exitCode, stderr } = await other.verb('restore', ...words, '--yes')
    assert.ok(exitCode === 1 || exitCode === 2, stderr)
    assert.not.ok(readdirSync(other.path).includes('certs'))
    return stderr
  }
  assert.match(await refused('--from', target, '--identity', otherKey), 'the identity is of another key')
  assert.match(await refused(...restoring, 'production'), 'It has backups of etcd-cluster-1')
  assert.match(await refused(...restoring, '--cluster', 'production'), 'has no backup of production')
  assert.match(await refused(...restoring, '2026-01-01T00-00-00Z'), 'has no backup etcd-cluster-1/2026-01-01T00-00-00Z')
  const [newest = ''] = (await listed()).backups.map(({ name }) => basename(name))
  const saved = join(folder, 'saved')
  cpSync(there, saved, { recursive: true })
  for (const part of ['pack', 'snapshot']) {
    const file = join(there, `${newest}.${part}.age`)
    const content = readFileSync(file)
    content[content.length - 5] = (content.at(-5) ?? 0) ^ 1
    writeFileSync(file, content)
    assert.match(await refused(...restoring), `${newest}.${part}.age at ${target} is damaged`)
    rmSync(file)
    assert.match(await refused(...restoring, newest), `${newest}.${part}.age is not there`)
    assert.is((await listed()).backups.length, 1)
    rmSync(there, { recursive: true })
    cpSync(saved, there, { recursive: true })
  }
})

always.run()
