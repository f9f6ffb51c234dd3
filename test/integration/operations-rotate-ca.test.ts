// The authority changed while others write and read, and certs/ lost while its members run: killed once and gone on
// with, and nothing is lost. test/long/rotate-ca-killed.test.ts kills at each step, and takes the change back.
import { existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeAuthority, makeKeyPair } from '../../tasks/core/x509.ts'
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
import { whileHolding } from '../support/folder.ts'
import { clientsView, memberPids, putAll, underLoad, whileFrozen } from '../support/load.ts'
import { done, killedAt, snapshotOf, testHome } from '../support/verbs.ts'

const environment: Record<string, string> = { HA_ETCD_CA_PASSPHRASE: 'open sesame' }
const home = testHome(environment)
const certs = certsOf(home)
const copy = join(home.path, 'a-copy')
const record = join(home.path, '.cluster/etcd-cluster-1/cluster.json')

test('what cannot be done is refused with the reason, and nothing is changed', async () => {
  assert.is((await home.verb('up', '--yes')).exitCode, 0)
  await refused(home, /No change of etcd-cluster-1's authority is under way/, '--back')
  environment.HA_ETCD_CA_PASSPHRASE = ''
  await refused(home, /ca\.key is encrypted, and HA_ETCD_CA_PASSPHRASE is not set/)
  environment.HA_ETCD_CA_PASSPHRASE = 'open sesame'
  await whileFrozen(home, ['master02'], () =>
    refused(home, /nothing was changed: master02's etcd is frozen.*\n.*kill -CONT/),
  )
  const subject = { organization: 'etcd-cluster-1', commonName: 'etcd-ca' }
  const { certificate } = await makeAuthority(await makeKeyPair('ecdsa-p256'), subject, 100)
  await whileHolding(join(certs, 'ca.crt'), certificate.toString(), () =>
    refused(home, /Nothing was changed: master0\d's certificates come from another authority than ours/),
  )
})

test('the plan names every step, and touches nothing', async () => {
  const [files, pids] = [snapshotOf(certs), memberPids(home)]
  const { plan } = (await done(home.verb('rotate-ca', '--plan', '--json'))) as { plan: string[] }
  assert.equal(
    [plan.filter((line) => /restart/.test(line) && /master0\d/.test(line)).length, plan.at(-2)],
    [6, 'delete the key of the old authority'],
  )
  const [trust = '', identify = '', over = ''] = plan.filter((line) => line.startsWith('you: '))
  assert.match(trust, /ca\.crt, which has both authorities.*restart .*kube-apiserver.*only with --step/)
  assert.match(identify, /etcd-client\.crt and its key/)
  assert.match(over, /ca\.crt, and restart .*kube-apiserver/)
  const { exitCode, stderr } = await home.verb('rotate-ca')
  assert.is(exitCode, 2)
  assert.match(stderr, /Change the authority .*ca\.crt before .*kube-apiserver.*rotate-ca\.ts .*--step/s)
  assert.equal([snapshotOf(certs), memberPids(home)], [files, pids])
})

test('up makes no new authority beside members that trust the lost one, and says the ways out', async () => {
  const [pids, recorded] = [memberPids(home), readFileSync(record, 'utf8')]
  renameSync(certs, copy)
  for (const words of [['up', '--yes'], ['up', '--plan'], ['pki'], ['rotate-certs', '--yes']] as [
    string,
    ...string[],
  ][]) {
    const { exitCode, stderr } = await home.verb(...words)
    assert.is(exitCode, 1, words.join(' '))
    assert.match(stderr, /pki\.ts --from-hosts(.|\n)*rotate-ca\.ts/, words.join(' '))
  }
  assert.equal([existsSync(certs) && readdirSync(certs), memberPids(home)], [false, pids])
  assert.is(readFileSync(record, 'utf8'), recorded)
})

test('the folder put back is all that is needed', async () => {
  renameSync(copy, certs)
  assert.equal((await done(home.verb('up', '--json'))).changes, [])
})

test('without a copy the hosts give back all but the key', async () => {
  const before = snapshotOf(certs)
  const pids = memberPids(home)
  renameSync(certs, copy)
  const { plan } = await done(home.verb('pki', '--from-hosts', '--plan', '--json'))
  assert.match(JSON.stringify(plan), /take ca\.crt back from the hosts/)
  assert.not.ok(existsSync(certs))
  const { takenBack, issued } = await done(home.verb('pki', '--from-hosts', '--json'))
  assert.equal([(takenBack as string[]).length, issued], [15, []])
  assert.equal(memberPids(home), pids)
  for (const name of Object.keys(before).filter((path) => path !== 'ca.key' && statSync(join(copy, path)).isFile())) {
    assert.equal(readFileSync(join(certs, name)), readFileSync(join(copy, name)), name)
    assert.is(statSync(join(certs, name)).mode, statSync(join(copy, name)).mode, name)
  }
  assert.not.ok(existsSync(join(home.path, '.cluster/etcd-cluster-1/fetched')))
})

test(
  'step by step, without the old key, killed once the new authority has issued: up installs, status tells, and in ' +
    'the end a client of the old one is refused',
  async () => {
    const [authority, before] = [fileOf(home, 'ca.crt'), clientOf(home)]
    assert.not.ok(existsSync(join(certs, 'ca.key')))
    await underLoad(home, async () => {
      await changeHalfWay(home)
      assert.is((await done(home.verb('rotate-ca', '--yes', '--json'))).finished, true)
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
