// An upgrade of three members to a newer etcd, under load: refused where no way leads there; killed in the middle, a
// host lost then and replaced, and finished. test/operations/ladder.test.ts kills one of one member.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { defaults } from '../../tasks/core/config.ts'
import { underLoad } from '../support/load.ts'
import { destroyHost, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'
import { until } from '../support/wait.ts'

const home = testHome()
const config = join(home.path, 'cluster.yaml')
const record = (): { version: string; upgradingTo?: string; binaries?: string } =>
  JSON.parse(readFileSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'), 'utf8')).etcd
const old = defaults.etcd.version
const newer = await etcdOf('3.7.1')
const to = newer?.version ?? ''
const whereNewer = newer ? test : test.skip

whereNewer('what no way leads to is refused with the reason, by the plan, too', async () => {
  assert.is((await home.verb('up', '--yes')).exitCode, 0)
  for (const [version, reason] of [
    ['3.3.0', /verb downgrade goes down/],
    ['3.8.0', /Upgrade to etcd 3\.7 first/],
    ['9.9.9', /no way .* to another major version/],
    ['newest', /must be a version/],
  ] as const)
    for (const plan of [[], ['--plan']]) {
      const { exitCode, stderr } = await home.verb('upgrade', '--etcd-version', version, ...plan)
      assert.is(exitCode, 2)
      assert.match(stderr, reason)
    }
  assert.equal(record(), { version: old })
})

whereNewer(
  'an upgrade that was killed is noted: up refuses; a host lost then is replaced, and the same command finishes it',
  async () => {
    writeFileSync(config, `etcd: { binaries: ${newer?.folder} }\n`)
    const plan = await home.verb('upgrade', '--plan', '--json') // the version: that of etcd.binaries
    assert.is(JSON.parse(plan.stdout).plan.at(-1), `record that every member runs etcd ${to}`)
    assert.match(JSON.parse(plan.stdout).plan.join('\n'), /restart master0\d \(the leader, after handing over\)/)
    const result = await underLoad(home, async () => {
      const { child, done } = home.start('upgrade', '--etcd-version', to)
      // In the middle: the new program runs on a member, and not yet on all.
      const halfWay = async (): Promise<boolean> => Boolean(record().upgradingTo && (await versions()).includes(to))
      await until('one runs it', async () => child.exitCode !== null || (await halfWay()), 300_000)
      child.kill('SIGKILL')
      await done
      assert.equal(record(), { version: old, upgradingTo: to })
      const up = await home.verb('etcd-role')
      assert.match(up.stderr, `--etcd-version ${to}`)
      const lost = (await members()).find(({ version }) => version !== to)?.name ?? ''
      destroyHost(home, lost)
      const refused = await home.verb('upgrade', '--etcd-version', to)
      assert.is(refused.exitCode, 1)
      assert.match(refused.stderr, `Replace ${lost}: npx zx scripts/replace.ts ${lost}`)
      assert.match((await home.verb('replace', lost)).stderr, `Name with etcd.binaries a folder that has etcd ${old}`)
      rmSync(config)
      const replaced = await home.verb('replace', lost)
      writeFileSync(config, `etcd: { binaries: ${newer?.folder} }\n`)
      assert.is(replaced.exitCode, 0, replaced.stderr)
      assert.match(replaced.stdout, `Finish the upgrade: npx zx scripts/upgrade.ts --etcd-version ${to}`)
      assert.equal(record(), { version: old, upgradingTo: to })
      return home.verb('upgrade', '--etcd-version', to, '--json')
    })
    assert.is(result.exitCode, 0, result.stderr)
    assert.ok(existsSync(join(JSON.parse(result.stdout).backup, 'snapshot.db')))
    assert.equal(record(), { version: to, binaries: newer?.folder })
    assert.equal(await versions(), [to, to, to])
  },
)

whereNewer('run again there is nothing to upgrade', async () => {
  const { exitCode, stderr } = await home.verb('upgrade', '--etcd-version', to)
  assert.is(exitCode, 0, stderr)
})

whereNewer('etcd.binaries taken out of the configuration again changes no host, and is said', async () => {
  rmSync(config)
  const { exitCode, stdout, stderr } = await home.verb('up', '--json')
  assert.is(exitCode, 0, stderr)
  const { changes, warnings } = JSON.parse(stdout) as { changes: string[]; warnings: string[] }
  assert.equal(changes, [])
  assert.match(warnings.join(), `the hosts keep the programs of ${newer?.folder}`)
})

const members = async (): Promise<{ name: string; version: string | null }[]> =>
  JSON.parse((await home.verb('status', '--json')).stdout).members

const versions = async (): Promise<string[]> => (await members()).flatMap(({ version }) => (version ? [version] : []))

test.after(() => home.downAll())

test.run()
