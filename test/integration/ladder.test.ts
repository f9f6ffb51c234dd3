// The ladder of etcd's minor versions for real, up and down: idle, with writes, under load, killed at its steps and
// gone on with.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { clientEnvironment } from '../../tasks/etcd/client-environment.ts'
import { clientsView, underLoad } from '../support/load.ts'
import { type Home, killedAt, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const rungs = ['3.4.23', '3.5.33', '3.6.14', '3.7.1'].map(etcdOf)
const [v34, v35, v36, v37] = rungs.map((rung) => rung?.version ?? '') as [string, string, string, string]
const forReal = rungs.every((rung) => rung !== undefined) ? test : test.skip
const folderOf = (version: string): string => etcdOf(version)?.folder ?? ''

/** One member is enough where only the versions matter; three where writes must go on. */
const [alone, three] = [testHome(), testHome()]

const use = (home: Home, folder: string): void =>
  writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${folder} }\n`)

/** A verb that must succeed, with the programs of a version. */
async function must(home: Home, version: string, verb: string, ...words: string[]): Promise<string> {
  use(home, folderOf(version))
  const { exitCode, stdout, stderr } = await home.verb(verb, ...words)
  assert.is(exitCode, 0, `${verb} ${words.join(' ')}: ${stderr}`)
  return stdout
}

const go = (home: Home, verb: 'upgrade' | 'downgrade', to: string): Promise<string> =>
  must(home, to, verb, '--etcd-version', to, '--json')

const recorded = (home: Home): { version: string; upgradingTo?: string } =>
  JSON.parse(readFileSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'), 'utf8')).etcd

async function runs(home: Home, version: string): Promise<void> {
  const { members } = JSON.parse(await must(home, version, 'status', '--json'))
  assert.equal([...new Set(members.map((member: { version: string }) => member.version))], [version])
  assert.equal([recorded(home).version, recorded(home).upgradingTo], [version, undefined])
}

const configurations = (home: Home): string => {
  const hosts = join(home.path, '.cluster/etcd-cluster-1/hosts')
  return readdirSync(hosts)
    .map((host) => readFileSync(join(hosts, host, 'etc/keeper/member.conf'), 'utf8'))
    .join('\n')
}

/** What etcdctl of a version says. */
function etcdctl(home: Home, version: string, ...words: string[]): string {
  const env = { ...process.env, ...clientEnvironment(clientsView(home)), ETCDCTL_API: '3' }
  const { status, stdout, stderr } = spawnSync(join(folderOf(version), 'etcdctl'), words, { env, encoding: 'utf8' })
  assert.is(status, 0, stderr)
  return stdout.trim()
}

const count = 300
function writeSome(home: Home, version: string, prefix: string): void {
  for (let part = 0; part < count / 50; part++) {
    const puts = Array.from({ length: 50 }, (_, index) => `put ${prefix}/${part}-${index} x`).join('\n')
    const env = { ...process.env, ...clientEnvironment(clientsView(home)), ETCDCTL_API: '3' }
    const input = `\n${puts}\n\n\n`
    assert.is(spawnSync(join(folderOf(version), 'etcdctl'), ['txn'], { env, input }).status, 0)
  }
}
const written = (home: Home, version: string, prefix: string): number =>
  etcdctl(home, version, 'get', prefix, '--prefix', '--keys-only').split('\n').filter(Boolean).length

forReal('a quiet cluster goes from 3.5 to 3.7, though no member has a raft snapshot; killed at each step', async () => {
  await must(alone, v35, 'up', '--masters', '1', '--yes')
  await go(alone, 'upgrade', v36)
  const plan = await must(alone, v37, 'upgrade', '--etcd-version', v37, '--plan')
  assert.match(plan, 'restart master01, one at a time, so that each takes a snapshot')
  for (const words of ['Wait until each of them has it', 'Restart etcd on', 'Ask the member'])
    await killedAt(alone, words, 'upgrade', '--etcd-version', v37)
  assert.equal(recorded(alone), { version: v36, upgradingTo: v37 })
  await go(alone, 'upgrade', v37)
  await runs(alone, v37)
  assert.not.match(configurations(alone), 'SNAPSHOT_COUNT')
})

forReal('a downgrade that was enabled by hand is seen, and cancelled', async () => {
  etcdctl(alone, v37, 'downgrade', 'enable', '3.6')
  const { warning } = JSON.parse(await must(alone, v37, 'status', '--json'))
  assert.match(warning, /downgrade to etcd 3\.6 is enabled.*downgrade\.ts --cancel/)
  const { exitCode, stderr } = await alone.verb('verify', '--timeout', '3')
  assert.is(exitCode, 1)
  assert.match(stderr, 'downgrade.ts --cancel')
  const scale = await alone.verb('scale', '--masters', '3')
  assert.is(scale.exitCode, 1)
  assert.match(scale.stderr, /nothing was changed(.|\n)*downgrade\.ts --cancel/)
  await must(alone, v37, 'downgrade', '--cancel')
  await must(alone, v37, 'verify')
})

forReal('down from 3.7 to 3.5, killed at each step; a downgrade that was begun is cancelled on request', async () => {
  const steps = [
    'Wait until every database',
    'Save a snapshot',
    'Run the Ansible role etcd',
    'End the downgrade',
    'Ask the member',
  ]
  for (const words of steps.slice(0, 2)) {
    use(alone, folderOf(v36))
    await killedAt(alone, words, 'downgrade', '--etcd-version', v36)
  }
  await must(alone, v37, 'downgrade', '--cancel', '--json')
  await runs(alone, v37)
  for (const words of steps) {
    use(alone, folderOf(v36))
    await killedAt(alone, words, 'downgrade', '--etcd-version', v36)
  }
  await go(alone, 'downgrade', v36)
  await runs(alone, v36)
  await go(alone, 'downgrade', v35)
  await runs(alone, v35)
  await must(alone, v35, 'verify')
})

forReal('an etcd that does not start: its reason is told, and with one member, too, there is a way back', async () => {
  const broken = join(alone.path, 'broken')
  mkdirSync(broken)
  for (const name of ['etcdctl', 'etcdutl']) symlinkSync(join(folderOf(v36), name), join(broken, name))
  const real = join(folderOf(v36), 'etcd')
  const fatal =
    '{"level":"fatal","msg":"it cannot start","error":"as the test wants"}\\ngoroutine 1 [running]:\\nmain.main()\\n\\tmain.go:1\\n'
  writeFileSync(
    join(broken, 'etcd'),
    `#!/bin/sh\n[ -z "$ETCD_NAME" ] && exec ${real} "$@"\nprintf '${fatal}'\nexit 2\n`,
  )
  chmodSync(join(broken, 'etcd'), 0o755)
  use(alone, broken)
  for (let again = 0; again < 2; again++) {
    const { exitCode, stderr } = await alone.verb('upgrade', '--etcd-version', v36)
    assert.is(exitCode, 1)
    assert.match(stderr, /it cannot start; error: as the test wants\n.*upgrade\.ts --etcd-version 3\.5\.33/)
  }
  const up = await alone.verb('up', '--yes')
  assert.match(up.stderr, `or take it back: npx zx scripts/upgrade.ts --etcd-version ${v35}`)
  await go(alone, 'upgrade', v35)
  await runs(alone, v35)
})

forReal('keys in the v2 store keep a cluster from 3.6; restoring a backup is the cure', async () => {
  writeFileSync(
    join(alone.path, 'cluster.yaml'),
    `etcd: { binaries: ${folderOf(v35)}, environment: { ETCD_ENABLE_V2: "true" } }\n`,
  )
  assert.is((await alone.verb('up', '--yes')).exitCode, 0)
  const certs = join(alone.path, 'certs/etcd-cluster-1')
  const identity = ['--cacert', 'ca.crt', '--cert', 'etcd-client.crt', '--key', 'etcd-client.key']
  const url = `${clientsView(alone).hosts[0]?.clientURL}/v2/keys/greeting`
  const put = spawnSync('curl', ['-sf', ...identity, '-XPUT', url, '-d', 'value=hello'], {
    cwd: certs,
    encoding: 'utf8',
  })
  assert.is(put.status, 0, put.stderr)
  writeSome(alone, v35, 'v3')
  await must(alone, v35, 'up', '--yes')
  use(alone, folderOf(v36))
  const refused = await alone.verb('upgrade', '--etcd-version', v36)
  assert.is(refused.exitCode, 1)
  assert.match(refused.stderr, /nothing was changed(.|\n)*v2 store(.|\n)*scripts\/backup\.ts/)
  assert.equal(recorded(alone), { version: v35 })
  const { folder } = JSON.parse(await must(alone, v35, 'backup', '--json'))
  await must(alone, v35, 'restore', folder, '--yes')
  await go(alone, 'upgrade', v36)
  assert.is(written(alone, v36, 'v3'), count)
})

forReal(
  'up the ladder under load, with a kill on each rung; a snapshot of each version restored on the next',
  async () => {
    await must(three, v34, 'up', '--yes')
    let backup = ''
    for (const [index, to] of [v35, v36, v37].entries()) {
      const before = [v34, v35, v36][index] ?? ''
      writeSome(three, before, `on-${before}`)
      const { result } = await underLoad(
        three,
        async () => {
          use(three, folderOf(to))
          await killedAt(three, 'Restart etcd on', 'upgrade', '--etcd-version', to)
          return go(three, 'upgrade', to)
        },
        `upgrade to ${to}`,
      )
      await runs(three, to)
      const taken = JSON.parse(result).backup
      if (index < 2) {
        await must(three, to, 'restore', taken, '--yes')
        assert.is(written(three, to, `on-${before}`), count)
      }
      backup = taken
    }
    assert.is.not(backup, '')
    for (const version of [v34, v35, v36]) assert.is(written(three, v37, `on-${version}`), count, version)
  },
)

forReal('down the ladder under load, and every write is still there', async () => {
  for (const to of [v36, v35]) {
    await underLoad(three, () => go(three, 'downgrade', to), `downgrade to ${to}`)
    await runs(three, to)
  }
  for (const version of [v34, v35, v36]) assert.is(written(three, v35, `on-${version}`), count, version)
})

test.after(async () => {
  await Promise.all([alone.downAll(), three.downAll()])
})

test.run()
