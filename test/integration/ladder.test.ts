// The ladder of etcd's minor versions for real, on one member: killed and gone on with, taken back, and where it ends.
// test/long/ladder-killed.test.ts kills at each step, test/long/ladder-load.test.ts three members under load; in
// test/long/upgrade-killed.test.ts a host is lost, too.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requireAnsible } from '../../tasks/core/ansible.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { etcdctl, folderOf, forReal, go, must, recorded, runs, use, v35, v36, v37 } from '../support/ladder.ts'
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

forReal('down from 3.7; a downgrade that was begun and killed is cancelled on request', async () => {
  use(alone, folderOf(v36))
  await killedAt(alone, 'Run the Ansible role etcd', 'downgrade', '--etcd-version', v36)
  await must(alone, v37, 'downgrade', '--cancel', '--json')
  await runs(alone, v37)
  await go(alone, 'downgrade', v36)
  await runs(alone, v36)
})

forReal('an etcd that does not start: its reason is told, and with one member, too, there is a way back', async () => {
  const broken = join(alone.path, 'broken')
  mkdirSync(broken)
  for (const name of ['etcdctl', 'etcdutl']) symlinkSync(join(folderOf(v37), name), join(broken, name))
  const real = join(folderOf(v37), 'etcd')
  const fatal =
    '{"level":"fatal","msg":"it cannot start","error":"as the test wants"}\\ngoroutine 1 ' +
    '[running]:\\nmain.main()\\n\\tmain.go:1\\n'
  writeFileSync(
    join(broken, 'etcd'),
    `#!/bin/sh\n[ -z "$ETCD_NAME" ] && exec ${real} "$@"\nprintf '${fatal}'\nexit 2\n`,
  )
  chmodSync(join(broken, 'etcd'), 0o755)
  use(alone, broken)
  const { exitCode, stderr } = await alone.verb('upgrade', '--etcd-version', v37)
  assert.is(exitCode, 1)
  assert.match(stderr, /it cannot start; error: as the test wants\n.*upgrade\.ts --etcd-version 3\.6\.14/)
  const up = await alone.verb('up', '--yes')
  assert.match(up.stderr, `or take it back: npx zx scripts/upgrade.ts --etcd-version ${v36}`)
  const planned = ['upgrade', '--etcd-version', v36, '--plan', '--json'] as const
  const { plan } = JSON.parse(await must(alone, v36, ...planned))
  assert.match(plan.join('\n'), `restart master01 with etcd ${v36} (now down)`)
  assert.not.match(plan.join('\n'), 'backup', 'the way back takes none')
  await go(alone, 'upgrade', v36)
  await runs(alone, v36)
  assert.equal(JSON.parse(await must(alone, v36, ...planned)).plan, [])
})

test.after(() => alone.downAll())

test.run()
