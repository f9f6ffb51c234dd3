// The authority changed while others write and read: killed, gone on with and taken back at each step, its old key
// lost, and nothing is lost.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeAuthority, makeKeyPair } from '../../tasks/core/x509.ts'
import { identity, probeTLS } from '../../tasks/etcd/probe.ts'
import { clientsView, memberPids, underLoad } from '../support/load.ts'
import { done, snapshotOf, testHome } from '../support/verbs.ts'

const environment: Record<string, string> = { HA_ETCD_CA_PASSPHRASE: 'open sesame' }
const home = testHome(environment)
const certs = join(home.path, 'certs/etcd-cluster-1')
const file = (name: string): string => readFileSync(join(certs, name), 'utf8')
const client = (): { cert: string; key: string } => ({ cert: file('etcd-client.crt'), key: file('etcd-client.key') })

async function refused(reason: RegExp | string, ...flags: string[]): Promise<void> {
  const [files, pids] = [snapshotOf(certs), memberPids(home)]
  const { exitCode, stderr } = await home.verb('rotate-ca', '--yes', ...flags)
  assert.is(exitCode, 1)
  assert.match(stderr, reason)
  assert.equal([snapshotOf(certs), memberPids(home)], [files, pids])
}

/** Runs rotate-ca and kills it (-9) when it says these words. */
async function killedAt(words: string | RegExp, ...flags: string[]): Promise<void> {
  const { child, done: ended } = home.start('rotate-ca', '--yes', ...flags)
  let said = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk
    if (typeof words === 'string' ? said.includes(words) : words.test(said)) child.kill('SIGKILL')
  })
  const { exitCode, stderr } = await ended
  assert.is(exitCode, null, `killed at "${words}": ${stderr}${said}`)
}

/** How every member answers this client: let in, or refused. */
async function answers(shown: { cert: string; key: string }): Promise<string[]> {
  const probes = await Promise.all(
    clientsView(home).hosts.map(({ address }) => probeTLS(address, 2379, identity(shown), '/version', 5000)),
  )
  return [...new Set(probes.map(({ kind }) => kind))]
}

/** Finished, either way: one authority, no file of a change, and verify has nothing to say. */
async function requireFinished(): Promise<void> {
  assert.equal([existsSync(join(certs, 'next-ca.key')), existsSync(join(certs, 'old-ca.crt'))], [false, false])
  const report = await done(home.verb('verify', '--json'))
  assert.equal([report.healthy, report.warnings], [true, []])
}

test('what cannot be done is refused with the reason, and nothing is changed', async () => {
  assert.is((await home.verb('up', '--yes')).exitCode, 0)
  await refused(/No change of etcd-cluster-1's authority is under way/, '--back')
  environment.HA_ETCD_CA_PASSPHRASE = ''
  await refused(/ca\.key is encrypted, and HA_ETCD_CA_PASSPHRASE is not set/)
  environment.HA_ETCD_CA_PASSPHRASE = 'open sesame'
  const member = memberPids(home).master02 ?? 0
  process.kill(member, 'SIGSTOP')
  await refused(/nothing was changed: master02 does not answer.*\n.*scripts\/verify\.ts/)
  process.kill(member, 'SIGCONT')
  const ours = file('ca.crt')
  writeFileSync(
    join(certs, 'ca.crt'),
    (
      await makeAuthority(
        await makeKeyPair('ecdsa-p256'),
        { organization: 'etcd-cluster-1', commonName: 'etcd-ca' },
        100,
      )
    ).certificate.toString(),
  )
  await refused(/nothing was changed: the certificates on master0\d are of another authority/)
  writeFileSync(join(certs, 'ca.crt'), ours)
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

test('killed once the first member trusts the new authority, taken back, killed again: all is as before', async () => {
  const [files, pids] = [snapshotOf(certs), memberPids(home)]
  await underLoad(home, async () => {
    await killedAt(/Restart etcd on [\s\S]*Restart etcd on /)
    assert.not.equal(memberPids(home), pids)
    await killedAt('[COMPLETED] Write ca.crt', '--back')
    await done(home.verb('rotate-ca', '--back', '--yes', '--json'))
  })
  await requireFinished()
  for (const name of Object.keys(files))
    if (name !== 'ca.crt' && !name.endsWith('ca.key')) assert.is(snapshotOf(certs)[name], files[name], name)
})

test('step by step; killed once the new one has issued: up installs, status tells, and all is taken back', async () => {
  const [authority, before] = [file('ca.crt'), client()]
  await underLoad(home, async () => {
    const step = await done(home.verb('rotate-ca', '--step', '--json'))
    assert.equal([step.stage, step.finished], ['trusted', false])
    assert.match(step.clients as string, /^Now give every client .*ca\.crt.*kube-apiserver/)
    assert.ok(file('ca.crt').startsWith(authority) && file('ca.crt').length > authority.length)
    const pids = memberPids(home)
    await killedAt('[COMPLETED] Issue 7 certificates')
    const newer = client()
    assert.equal(
      [newer.cert === before.cert, await answers(newer), await answers(before)],
      [false, ['answered'], ['answered']],
    )
    const up = await done(home.verb('up', '--yes', '--json'))
    assert.match((up.warnings as string[])[0] ?? '', 'rotate-ca.ts --back')
    assert.equal(memberPids(home), pids, 'nobody is restarted for new leaves')
    const { certificates, warning } = (await done(home.verb('certs', '--json'))) as {
      certificates: { issues?: boolean; served?: { state: string } }[]
      warning: string
    }
    assert.equal(
      [
        certificates.map(({ issues }) => issues).slice(0, 2),
        certificates.filter(({ served }) => served?.state === 'this one').length,
      ],
      [[false, true], 6],
    )
    assert.is((await done(home.verb('status', '--json'))).warning, warning)
    assert.match(warning, 'is being changed')
    const { changes } = (await done(home.verb('rotate-ca', '--back', '--yes', '--json'))) as { changes: string[] }
    assert.is(changes.filter((change) => change.startsWith('issued')).length, 7)
    assert.equal(
      [await answers(newer), await answers(client()), await answers(before)],
      [['refused'], ['answered'], ['answered']],
    )
  })
  await requireFinished()
  assert.is(file('ca.crt'), authority)
})

test(
  'forward, killed after each step, the old key lost: a client of the old authority is ' +
    'refused, one of the new is let in',
  async () => {
    const [authority, before] = [file('ca.crt'), client()]
    rmSync(join(certs, 'ca.key'))
    await underLoad(home, async () => {
      await killedAt('[COMPLETED] Trust a new authority beside the present one')
      await killedAt('[COMPLETED] Issue every certificate anew')
      assert.equal(await answers(before), ['answered'])
      await killedAt('[OUTPUT] Restart etcd on')
      await refused(/There is no way back/, '--back')
      await killedAt('[COMPLETED] Trust the old authority no longer')
      assert.equal((await done(home.verb('rotate-ca', '--yes', '--json'))).finished, true)
    })
    assert.equal([await answers(before), await answers(client())], [['refused'], ['answered']])
    await requireFinished()
    assert.not.ok(file('ca.crt').includes(authority))
    assert.match(file('ca.key'), /^-----BEGIN ENCRYPTED/)
  },
)

test.after(() => home.downAll())

test.run()
