// What a change of the authority refuses and plans, and certs/ lost while its members run. The change itself, of one
// member: connect.test.ts; of three, under load and killed at each step: test/long/rotate-ca-killed.test.ts.
import { existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeAuthority, makeKeyPair } from '../../tasks/core/x509.ts'
import { certsOf, refused } from '../support/authority.ts'
import { whileHolding } from '../support/folder.ts'
import { memberPids, whileFrozen } from '../support/load.ts'
import { done, snapshotOf, testHome } from '../support/verbs.ts'

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

test.after(() => home.downAll())

test.run()
