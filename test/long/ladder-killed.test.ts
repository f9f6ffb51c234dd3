// The ladder of etcd's minor versions on one member, up and down, killed at each step and gone on with; what was backed
// up in the middle is restored on either side; what the v2 store keeps from going up; and the way back from an etcd
// that does not start.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  count,
  folderOf,
  forReal,
  go,
  must,
  recorded,
  runs,
  use,
  v35,
  v36,
  v37,
  writeSome,
  written,
} from '../support/ladder.ts'
import { clientsView } from '../support/load.ts'
import { killedAt, testHome } from '../support/verbs.ts'

const alone = testHome()

forReal('a quiet cluster goes from 3.5 to 3.7, killed at each step', async () => {
  await must(alone, v35, 'up', '--masters', '1', '--yes')
  await go(alone, 'upgrade', v36)
  for (const words of ['Wait until each of them has it', 'Restart etcd on', 'Ask the member']) {
    use(alone, folderOf(v37))
    await killedAt(alone, words, 'upgrade', '--etcd-version', v37)
  }
  assert.equal(recorded(alone), { version: v36, upgradingTo: v37 })
  await go(alone, 'upgrade', v37)
  await runs(alone, v37)
})

forReal('down from 3.7 to 3.5, killed at each step; a downgrade that was begun is cancelled on request', async () => {
  const steps = [
    'Wait until every database',
    'Save a snapshot',
    'Run the Ansible role etcd',
    'End the downgrade',
    'Ask the member',
  ]
  for (const words of steps.slice(0, 3)) {
    use(alone, folderOf(v36))
    await killedAt(alone, words, 'downgrade', '--etcd-version', v36)
  }
  await must(alone, v37, 'downgrade', '--cancel', '--json')
  await runs(alone, v37)
  // What was backed up meanwhile has the downgrade enabled: restored on 3.7, it is ended.
  const backups = join(alone.path, '.cluster/etcd-cluster-1/backups')
  const made = join(backups, readdirSync(backups).toSorted().at(-1) ?? '')
  await must(alone, v37, 'restore', made, '--yes')
  assert.is(JSON.parse(await must(alone, v37, 'verify', '--json')).healthy, true)
  for (const words of steps) {
    use(alone, folderOf(v36))
    await killedAt(alone, words, 'downgrade', '--etcd-version', v36)
  }
  await go(alone, 'downgrade', v36)
  await runs(alone, v36)
  // It was made while every member ran 3.7, of data that were written for 3.6 already: it is for both.
  assert.is(JSON.parse(readFileSync(join(made, 'metadata.json'), 'utf8')).etcdVersion, v37)
  await must(alone, v36, 'restore', made, '--yes')
  await go(alone, 'downgrade', v35)
  await runs(alone, v35)
  await must(alone, v35, 'verify')
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
  assert.equal([recorded(alone).version, recorded(alone).upgradingTo], [v35, undefined])
  const { folder } = JSON.parse(await must(alone, v35, 'backup', '--json'))
  await must(alone, v35, 'restore', folder, '--yes')
  await go(alone, 'upgrade', v36)
  assert.is(written(alone, v36, 'v3'), count)
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
