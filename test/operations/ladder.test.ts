// The ladder of etcd's minor versions for real, on one member: up, killed and gone on with. In test/long/,
// ladder-killed.test.ts goes down, too, killed at each step, and ladder-load.test.ts with three members under load; in
// upgrade-killed.test.ts a host is lost.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requireAnsible } from '../../tasks/core/ansible.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { etcdctl, folderOf, forReal, go, must, recorded, runs, v35, v36, v37 } from '../support/ladder.ts'
import { type Home, killedAt, testHome } from '../support/verbs.ts'

const alone = testHome()

const configurations = (home: Home): string => {
  const hosts = join(home.path, '.cluster/etcd-cluster-1/hosts')
  return readdirSync(hosts)
    .map((host) => readFileSync(join(hosts, host, 'etc/keeper/member.conf'), 'utf8'))
    .join('\n')
}

/** The role without our scripts, told to run another etcd. */
async function roleAlone(home: Home, version: string): Promise<{ status: number | null; stdout: string }> {
  const inventory = join(home.path, '.cluster/etcd-cluster-1/inventory.yml')
  const variables = JSON.stringify({ etcd_bin_directory: folderOf(version) })
  const words = ['--inventory', inventory, '--extra-vars', variables, 'playbooks/etcd.yml']
  const cwd = join(projectFolder, 'templates/ansible')
  return spawnSync(await requireAnsible('ansible-playbook'), words, { cwd, encoding: 'utf8' })
}

forReal('a quiet cluster goes from 3.5 to 3.7, though no member has a raft snapshot; killed once', async () => {
  await must(alone, v35, 'up', '--masters', '1', '--yes')
  await go(alone, 'upgrade', v36)
  const before = configurations(alone)
  for (const [version, reason] of [
    ['3.3.0', /verb downgrade goes down/],
    ['newest', /must be a version/],
  ] as const) {
    const { exitCode, stderr } = await alone.verb('upgrade', '--etcd-version', version)
    assert.is(exitCode, 2)
    assert.match(stderr, reason)
  }
  const { status, stdout } = await roleAlone(alone, v37)
  assert.is(status, 2, stdout)
  assert.match(stdout, /master01 would not start on etcd 3\.7\.1: its log has requests of etcd 3\.5/)
  assert.is(configurations(alone), before)
  const plan = await must(alone, v37, 'upgrade', '--etcd-version', v37, '--plan')
  assert.match(plan, 'restart master01, one at a time, so that each takes a snapshot')
  await killedAt(alone, 'Restart etcd on', 'upgrade', '--etcd-version', v37)
  assert.equal(recorded(alone), { version: v36, upgradingTo: v37 })
  await go(alone, 'upgrade', v37)
  await runs(alone, v37)
  assert.not.match(configurations(alone), 'SNAPSHOT_COUNT')
})

forReal('a downgrade that was enabled by hand is seen, and cancelled', async () => {
  etcdctl(alone, v37, 'downgrade', 'enable', '3.6')
  const { warning } = JSON.parse(await must(alone, v37, 'status', '--json'))
  assert.match(warning, /downgrade to etcd 3\.6 is enabled.*downgrade\.ts --cancel/)
  const { exitCode, stderr } = await alone.verb('verify', '--timeout', '1')
  assert.is(exitCode, 1)
  assert.match(stderr, 'downgrade.ts --cancel')
  const scale = await alone.verb('scale', '--masters', '3')
  assert.is(scale.exitCode, 1)
  assert.match(scale.stderr, /nothing was changed(.|\n)*downgrade\.ts --cancel/)
  await must(alone, v37, 'downgrade', '--cancel')
  await must(alone, v37, 'verify')
})

test.after(() => alone.downAll())

test.run()
