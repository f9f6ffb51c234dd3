// What every operation refuses: with the reason and the command that helps, and with nothing changed anywhere.
import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../tasks/core/cluster.ts'
import { takeLock } from '../../tasks/core/lock.ts'
import { findProgram } from '../../tasks/core/programs.ts'
import { clusterPaths } from '../../tasks/core/record.ts'
import { crashMember } from '../../tasks/vms/index.ts'
import { testCluster } from '../support/cluster.ts'
import { memberPids, whileFrozen } from '../support/load.ts'
import { done, snapshotOf, testHome } from '../support/verbs.ts'

const home = testHome()
const cluster = testCluster({ name: 'etcd-cluster-1', paths: clusterPaths('etcd-cluster-1', home.path) })
const { certs, state } = cluster.paths

type Words = [verb: string, ...flags: string[]]
/** Every operation that changes something. master03 is the host that is ill: none of these is about it alone. */
const operations: Words[] = [
  ['rotate-certs', '--all'],
  ['restart'],
  ['restart', 'master01'],
  ['replace', 'master01'],
  ['scale', '--masters', '5'],
  ['upgrade'], // to the next minor version, once it is known which one runs
  ['rotate-ca'],
  ['defrag'],
]
/** All of them look alike (test/unit/operations/guard.test.ts): these stand for them. */
const some: Words[] = [['rotate-certs', '--all'], ['replace', 'master01'], ['rotate-ca']]
const backup: Words = ['backup']

test.before(async () => {
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  const { etcd } = JSON.parse(readFileSync(cluster.paths.record, 'utf8')) as { etcd: { version: string } }
  const minor = Number(etcd.version.split('.')[1])
  operations.find(([verb]) => verb === 'upgrade')?.push('--etcd-version', `3.${minor + 1}.99`)
})
test.after(() => home.downAll())

/** Everything that an operation could change, but for what etcd and the lock's owner write all the time. */
async function everything(): Promise<object> {
  const { members } = JSON.parse((await home.verb('status', '--json')).stdout) as {
    members: { id: string; name: string }[]
  }
  return {
    pids: memberPids(home),
    members: members.map(({ id, name }) => [id, name]),
    files: snapshotOf(home.path, /^\.tools|\/(logs|lock)(\/|$)|\/var\/(lib|log)\//),
  }
}

async function refused(those: Words[], reason: RegExp, helps: RegExp): Promise<void> {
  const before = await everything()
  for (const words of those) {
    const { exitCode, stdout, stderr } = await home.verb(...words)
    assert.is(exitCode, 1, `${words.join(' ')}: ${stdout}`)
    assert.match(stderr, reason)
    assert.match(stderr, helps)
  }
  assert.equal(await everything(), before)
}

async function backupGoesOn(): Promise<void> {
  const { exitCode, stdout, stderr } = await home.verb('backup', '--json')
  assert.is(exitCode, 0, stderr)
  assert.match(JSON.parse(stdout).warnings.join(), 'master03 is down')
}

test('while a member hangs, no other is taken down; backup goes on', async () => {
  await whileFrozen(home, ['master03'], async () => {
    await refused(some, /nothing was changed: master03's etcd is frozen/, /Next: .*kill -CONT/)
    await backupGoesOn()
  })
})

test('while a host cannot be reached, no other is taken down; backup goes on, but not without a quorum', async () => {
  await crashMember(cluster, cluster.hosts[2] as Host)
  await refused(some, /nothing was changed: master03 does not answer/, /Next: .*scripts\/up\.ts/)
  await backupGoesOn()
  await whileFrozen(home, ['master02'], () =>
    refused([backup], /nothing was changed: .*(no quorum|cannot commit)/, /Next: .*scripts\/(up|verify)\.ts/),
  )
  assert.is((await home.verb('up')).exitCode, 0)
})

test('while another run holds the lock, each names it and how to stop it', async () => {
  const release = await takeLock(state, 'restart')
  await refused(
    [...operations, backup],
    new RegExp(`Another run is at work on this cluster: restart, pid ${process.pid}`),
    new RegExp(`Next: .*kill ${process.pid}`),
  ).finally(release)
})

test('where the hosts have certificates of another authority than the one here, each says so', async () => {
  const elsewhere = testHome()
  assert.is((await elsewhere.verb('pki')).exitCode, 0)
  renameSync(certs, `${certs}.kept`)
  cpSync(join(elsewhere.path, 'certs/etcd-cluster-1'), certs, { recursive: true })
  try {
    await refused(
      [...some, backup],
      /nothing was changed: master0\d's certificate .* signed by another authority/,
      /Next: .*pki\.ts --from-hosts/,
    )
  } finally {
    rmSync(certs, { recursive: true })
    renameSync(`${certs}.kept`, certs)
  }
})

test("without the authority's key, what must issue is refused before anything is recorded", async () => {
  const key = join(certs, 'ca.key')
  renameSync(key, `${state}/ca.key.kept`)
  try {
    const words: Words[] = [
      ['rotate-certs', '--all'],
      ['scale', '--masters', '5'],
    ]
    await refused(words, new RegExp(`The authority's key ${key} is missing`), /Next: .*scripts\/rotate-ca\.ts/)
  } finally {
    renameSync(`${state}/ca.key.kept`, key)
  }
})

/** What every member serves, as `certs` sees it with the right clock. */
const served = async (): Promise<unknown> => (await done(home.verb('certs', '--json'))).certificates

const withFaketime = findProgram('faketime') ? test : test.skip
for (const [offset, off, verbs] of [
  [
    '+400d',
    'ahead of',
    [
      ['rotate-certs', '--all', '--yes'],
      ['rotate-certs', '--all', '--plan'],
      ['rotate-ca', '--yes'],
    ],
  ],
  ['-400d', 'behind', [['rotate-certs', '--all', '--yes']]],
] as [string, string, Words[]][])
  withFaketime(
    `with this machine's clock ${offset}, nothing is issued, though a certificate is due; the members' clocks tell`,
    async () => {
      const before = [snapshotOf(certs), await served(), memberPids(home)]
      const refusedThen = async (...words: Words): Promise<void> => {
        const { exitCode, stderr } = await home.at(offset, ...words)
        assert.match(stderr, `Error: This machine's clock is 400 days ${off} master01, master02 and master03`)
        assert.match(stderr, 'Set it right (timedatectl, chrony), then run the same command again.')
        assert.is(exitCode, 1)
      }
      for (const words of verbs) await refusedThen(...words)
      const path = join(certs, 'etcd-client.crt')
      renameSync(path, `${certs}.kept`)
      await refusedThen('up', '--yes').finally(() => renameSync(`${certs}.kept`, path))
      assert.equal([snapshotOf(certs), await served(), memberPids(home)], before)
    },
  )

test.run()
