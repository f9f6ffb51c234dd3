// The authority changed while others write and read: killed, gone on with and taken back at each step, its old key
// lost, and nothing is lost; and an authority that has expired.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  answers,
  certsOf,
  changeHalfWay,
  clientOf,
  expire,
  fileOf,
  refused,
  requireFinished,
} from '../support/authority.ts'
import { allKeys } from '../support/disasters.ts'
import { clientsView, memberPids, putAll, underLoad } from '../support/load.ts'
import { done, killedAt, snapshotOf, testHome } from '../support/verbs.ts'

const home = testHome({ HA_ETCD_CA_PASSPHRASE: 'open sesame' })
const certs = certsOf(home)

test.before(async () => void (await done(home.verb('up', '--yes', '--json'))))

test('killed once the first member trusts the new authority, taken back, killed again: all is as before', async () => {
  const [files, pids] = [snapshotOf(certs), memberPids(home)]
  await underLoad(home, async () => {
    await killedAt(home, /Restart etcd on [\s\S]*Restart etcd on /, 'rotate-ca', '--yes')
    assert.not.equal(memberPids(home), pids)
    await killedAt(home, '[COMPLETED] Write ca.crt', 'rotate-ca', '--yes', '--back')
    await done(home.verb('rotate-ca', '--back', '--yes', '--json'))
  })
  await requireFinished(home)
  for (const name of Object.keys(files))
    if (name !== 'ca.crt' && !name.endsWith('ca.key')) assert.is(snapshotOf(certs)[name], files[name], name)
})

test('step by step; killed once the new one has issued: up installs, status tells, and all is taken back', async () => {
  const [authority, before] = [fileOf(home, 'ca.crt'), clientOf(home)]
  await underLoad(home, async () => {
    await changeHalfWay(home)
    const newer = clientOf(home)
    const { changes } = (await done(home.verb('rotate-ca', '--back', '--yes', '--json'))) as { changes: string[] }
    assert.is(changes.filter((change) => change.startsWith('issued')).length, 7)
    assert.equal(
      [await answers(home, newer), await answers(home, clientOf(home)), await answers(home, before)],
      [['refused'], ['answered'], ['answered']],
    )
  })
  await requireFinished(home)
  assert.is(fileOf(home, 'ca.crt'), authority)
})

test(
  'forward, killed after each step, the old key lost: a client of the old authority is ' +
    'refused, one of the new is let in',
  async () => {
    const [authority, before] = [fileOf(home, 'ca.crt'), clientOf(home)]
    rmSync(join(certs, 'ca.key'))
    await underLoad(home, async () => {
      await killedAt(home, '[COMPLETED] Trust a new authority beside the present one', 'rotate-ca', '--yes')
      await killedAt(home, '[COMPLETED] Issue every certificate', 'rotate-ca', '--yes')
      assert.equal(await answers(home, before), ['answered'])
      await killedAt(home, '[OUTPUT] Restart etcd on', 'rotate-ca', '--yes')
      await refused(home, /There is no way back/, '--back')
      await killedAt(home, '[COMPLETED] Trust the old authority no longer', 'rotate-ca', '--yes')
      assert.equal((await done(home.verb('rotate-ca', '--yes', '--json'))).finished, true)
    })
    assert.equal([await answers(home, before), await answers(home, clientOf(home))], [['refused'], ['answered']])
    await requireFinished(home)
    assert.not.ok(fileOf(home, 'ca.crt').includes(authority))
    assert.match(fileOf(home, 'ca.key'), /^-----BEGIN ENCRYPTED/)
  },
)

test('an authority that has expired: the cure is named, and brings everything back with its data', async () => {
  const cluster = clientsView(home)
  await putAll(cluster, [['before', 'it expired']])
  await expire(home, 'open sesame')
  for (const verb of ['verify', 'certs', 'up', 'rotate-certs'] as const) {
    const { exitCode, stdout, stderr } = await home.verb(verb, ...(verb === 'up' ? ['--yes'] : []))
    assert.is(exitCode, 1)
    assert.match(stderr, /has expired|expired on(.|\n)*scripts\/rotate-ca\.ts/, verb)
    assert.not.match(stderr, /scripts\/down\.ts|missing|damaged/, verb)
    if (verb === 'certs') assert.match(stdout, /ca\.crt +-\d(.|\n)*master03\/server\.crt/)
  }
  const [pids, files] = [memberPids(home), snapshotOf(certs)]
  const back = await home.verb('rotate-ca', '--back', '--yes')
  assert.is(back.exitCode, 1)
  assert.match(back.stderr, /^Error: No change of .* authority is under way/)
  assert.equal([memberPids(home), snapshotOf(certs)], [pids, files])
  const { plan } = await done(home.verb('rotate-ca', '--plan', '--json'))
  assert.equal((plan as string[]).slice(0, 2), ['stop every member', 'issue every certificate by a new authority'])
  await killedAt(home, '[COMPLETED] Issue every certificate', 'rotate-ca', '--yes')
  assert.match(String((await done(home.verb('status', '--json'))).warning), /Finish the change: .*rotate-ca\.ts$/m)
  assert.is((await done(home.verb('rotate-ca', '--step', '--yes', '--json'))).finished, false)
  assert.is((await done(home.verb('rotate-ca', '--yes', '--json'))).finished, true)
  await requireFinished(home)
  assert.equal(
    (await allKeys(home)).map(({ key }) => Buffer.from(key, 'base64').toString()),
    ['before'],
  )
})

test.after(() => home.downAll())

test.run()
