// etcd's own authentication: turned on with users bound to certificates, what works while it is on, and turned off.
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { etcdctl, keepsUsOut } from '../../tasks/etcd/etcdctl.ts'
import { etcdctlView } from '../support/disasters.ts'
import { done, testHome } from '../support/verbs.ts'

const home = testHome()
const all = async (...verbs: string[]): Promise<void> => {
  for (const verb of verbs) await done(home.verb(...(verb.split(' ') as [string]), '--yes', '--json'))
}

test.before(() => all('up'))
test.after(() => home.downAll())

test('auth takes on or off, and nothing else', async () => {
  const { exitCode, stderr } = await home.verb('auth', 'maybe')
  assert.is(exitCode, 2)
  assert.match(stderr, 'auth takes on or off, not "maybe".')
})

test('a plan says what is to be done, and does none of it', async () => {
  const { stdout } = await home.verb('auth', 'on', '--plan')
  assert.match(stdout, /have a user root .*\n.*have a user etcd-client .*\n.*turn etcd's authentication on/)
  await all('load --seconds 1')
})

test('on, again, and with it what a day brings', async () => {
  await all('auth on', 'auth on')
  const report = await done(home.verb('load', '--seconds', '1', '--json'))
  assert.is(report.missing, 0)
  await all('status', 'backup') // all the others: test/long/auth
  assert.is(await keepsUsOut(etcdctlView(home)), false)
})

/** Whether etcdctl does something for who has that consumer's certificate, a copy of it too. */
function asConsumer(name: string): (...words: string[]) => Promise<boolean> {
  const [view, certs] = [etcdctlView(home), join(home.path, 'certs/etcd-cluster-1')]
  const copy = join(home.path, `copy-of-${name}`)
  mkdirSync(copy)
  copyFileSync(join(certs, 'ca.crt'), join(copy, 'ca.crt'))
  for (const end of ['crt', 'key'])
    copyFileSync(join(certs, `clients/${name}.${end}`), join(copy, `etcd-client.${end}`))
  return async (...words) =>
    (await etcdctl({ ...view, paths: { ...view.paths, certs: copy } }, words, {})).exitCode === 0
}

test('a consumer gets a user that may do what its kind needs, and no more, and loses it again', async () => {
  await all('connect vault')
  const does = asConsumer('vault')
  assert.equal([await does('put', 'vault/a', '1'), await does('get', '/other')], [true, false])
  await all('connect --remove vault')
  assert.not(await does('get', 'vault/a'))
})

test('one that compacts the history may, and is told that it has the role root for that', async () => {
  const { warnings } = await done(home.verb('connect', 'kubernetes', '--json'))
  assert.match(String(warnings), 'kubernetes has the role root')
  const does = asConsumer('kubernetes')
  assert.ok(await does('compaction', '2'))
  await all('connect --remove kubernetes')
  assert.not(await does('get', '/registry/a'))
})

test('off, again', async () => {
  await all('auth off', 'auth off', 'load --seconds 1')
})

test.run()
