// etcd's own authentication: turned on with users bound to certificates, what works while it is on, and turned off.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { keepsUsOut } from '../../tasks/etcd/etcdctl.ts'
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
  await all('up', 'status', 'backup', 'replace master02') // all the others: test/long/auth
  assert.is(await keepsUsOut(etcdctlView(home)), false)
})

test('off, again', async () => {
  await all('auth off', 'auth off', 'load --seconds 1')
})

test.run()
