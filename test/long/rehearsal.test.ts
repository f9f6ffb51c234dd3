// Where all has burnt: the commands of docs/rehearsal.md, as they stand there, bring the cluster back elsewhere.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateIdentity, identityToRecipient } from 'age-encryption'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Home, type Outcome, testHome } from '../support/verbs.ts'

const home = testHome()
const folder = temporaryFolder()
const [target, key] = [join(folder, 'target'), join(folder, 'key.txt')]
const identity = await generateIdentity()
const away = ['--to', target, '--recipient', await identityToRecipient(identity)]

const done = (outcome: Outcome): void => assert.is(outcome.exitCode, 0, outcome.stderr)
function etcdctl(at: Home, ...words: string[]): string {
  const script = `eval "$(npx zx scripts/env.ts)" && exec etcdctl ${words.join(' ')}`
  return execFileSync('bash', ['-c', script], { cwd: projectFolder, env: at.environment(), encoding: 'utf8' })
}

test.before(async () => {
  mkdirSync(target)
  writeFileSync(key, `# created: today\n${identity}\n`)
  writeFileSync(join(home.path, 'cluster.yaml'), 'masters: 1\n')
  done(await home.verb('up'))
  etcdctl(home, 'put', 'before', 'the-fire')
  done(await home.verb('backup', ...away))
})
test.after(() => home.downAll())

test('the rehearsal goes as its page says; where all has burnt, the target and the key suffice', async () => {
  const other = testHome()
  const page = readFileSync(join(projectFolder, 'docs/rehearsal.md'), 'utf8')
  const blocks = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block)
  const script = blocks
    .join('\n')
    .replace(/^TARGET=.*/m, `TARGET=${target}`)
    .replace(/^KEY=.*/m, `KEY=${key}`)
  await home.downAll()
  const printed = execFileSync('bash', ['-ec', script.trimEnd().replace(/$/, ' --yes')], {
    cwd: projectFolder,
    env: other.environment(),
    encoding: 'utf8',
  })
  assert.match(printed, /^before$/m)
  assert.is(etcdctl(other, 'get', 'before', '--print-value-only'), 'the-fire\n')
  assert.not.ok(readdirSync(join(other.path, '.cluster')).includes('rehearsal'))
  // and it is as it was: what is brought away from here goes to the same life there
  done(await other.verb('backup', ...away))
  await other.downAll()
})

test.run()
