// A running cluster's upkeep, under load: certificates renewed, backups proven, free space given back, NOSPACE cured.
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveCluster } from '../../tasks/core/cluster.ts'
import { loadSettings } from '../../tasks/core/config.ts'
import { inRun, Run } from '../../tasks/core/run.ts'
import { findEtcd } from '../../tasks/etcd/binaries.ts'
import { del, endpointStatus, put, valuesOf } from '../../tasks/etcd/etcdctl.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { compact, defragment, saveSnapshot } from '../../tasks/etcd/maintenance.ts'
import { ensureCertificates } from '../../tasks/pki/index.ts'
import { testCluster } from '../support/cluster.ts'
import { freeTestCluster, startMembers } from '../support/etcd.ts'
import { clientsView, memberPids, underLoad } from '../support/load.ts'
import { killedAt, processesWith, snapshotOf, testHome } from '../support/verbs.ts'
import { pause, until } from '../support/wait.ts'

const home = testHome()
const certs = join(home.path, 'certs/etcd-cluster-1')
const store = join(home.path, '.cluster/etcd-cluster-1/backups')
const record = join(home.path, '.cluster/etcd-cluster-1/cluster.json')
const config = join(home.path, 'cluster.yaml')
const quota = 'etcd: { environment: { ETCD_QUOTA_BACKEND_BYTES: "8000000" } }\n'
const good = (): string[] => (existsSync(store) ? readdirSync(store).filter((name) => /Z$/.test(name)) : [])

test.before(async () => {
  writeFileSync(config, quota)
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
})

test('certs lists every certificate, and exits 1 once one is within the warning window', async () => {
  const { exitCode, stdout } = await home.verb('certs', '--json')
  assert.is(exitCode, 0)
  const { certificates } = JSON.parse(stdout) as {
    certificates: { file: string; renew: string | null; served?: { state: string } }[]
  }
  assert.equal(
    [
      certificates.length,
      certificates.filter(({ renew }) => renew).length,
      certificates.filter(({ served }) => served?.state === 'this one').length,
    ],
    [8, 0, 6],
  )
  const strict = join(home.path, 'strict.yaml')
  writeFileSync(strict, 'pki: { renewBeforeDays: 370, leafDays: 380 }\n')
  const near = await home.verb('certs', '--config', strict)
  assert.is(near.exitCode, 1)
  assert.match(near.stdout, /master01\/server\.crt .*expires within 370 days/)
  assert.match(near.stderr, 'rotate-certs')
})

test('rotate-certs --plan names what would be issued and where it is installed, and touches nothing', async () => {
  const before = snapshotOf(certs)
  const { exitCode, stdout } = await home.verb('rotate-certs', '--plan', '--host', 'master02', '--json')
  assert.is(exitCode, 0)
  const { plan } = JSON.parse(stdout) as { plan: string[] }
  assert.equal(plan.slice(0, 2), ['issue master02/server.crt (asked for)', 'issue master02/master02.crt (asked for)'])
  assert.equal(
    plan.filter((step) => /^master0\d:/.test(step)).map((step) => step.slice(0, 8)),
    ['master02'],
  )
  assert.equal(snapshotOf(certs), before)
})

test('rotate-certs --all: every member serves new serials, none was restarted, no write was disturbed', async () => {
  const pids = memberPids(home)
  const result = await underLoad(home, () => home.verb('rotate-certs', '--all', '--json'))
  assert.is(result.exitCode, 0, result.stderr)
  const { issued, served } = JSON.parse(result.stdout) as {
    issued: object[]
    served: { serial: string; serialBefore: string }[]
  }
  assert.equal([issued.length, served.length], [7, 6])
  for (const { serial, serialBefore } of served) assert.is.not(serial, serialBefore)
  assert.is(new Set(served.map(({ serial }) => serial)).size, 6)
  assert.equal(memberPids(home), pids)
})

test('rotate-certs killed after it issued: run again, it installs what was issued', async () => {
  const before = readFileSync(join(certs, 'master03/server.crt'), 'utf8')
  await killedAt(home, '[COMPLETED] Issue 2 certificates', 'rotate-certs', '--host', 'master03')
  assert.is.not(readFileSync(join(certs, 'master03/server.crt'), 'utf8'), before)
  const { exitCode, stdout, stderr } = await home.verb('rotate-certs', '--json')
  assert.is(exitCode, 0, stderr)
  assert.equal(JSON.parse(stdout).issued, [])
})

test('rotate-certs refuses where installing would restart a member, and issues nothing', async () => {
  const [before, pids] = [snapshotOf(certs), memberPids(home)]
  writeFileSync(config, quota.replace('8000000', '8000001'))
  const { exitCode, stderr } = await home.verb('rotate-certs', '--all')
  writeFileSync(config, quota)
  assert.is(exitCode, 1)
  assert.match(
    stderr,
    /Nothing was changed.*more than certificates would change on master01.*master03, and etcd would restart/,
  )
  assert.equal([snapshotOf(certs), memberPids(home)], [before, pids])
})

test('backup under load: restored once, its data is the live one; kept for its owner only', async () => {
  const result = await underLoad(home, () => home.verb('backup', '--json'))
  assert.is(result.exitCode, 0, result.stderr)
  const { folder, metadata } = JSON.parse(result.stdout)
  assert.equal(readdirSync(folder).sort(), ['metadata.json', 'snapshot.db'])
  assert.is(
    createHash('sha256')
      .update(readFileSync(join(folder, 'snapshot.db')))
      .digest('hex'),
    metadata.sha256,
  )
  assert.equal(JSON.parse(readFileSync(join(folder, 'metadata.json'), 'utf8')), metadata)
  assert.ok(metadata.revision > 20 && metadata.hashKV > 0 && metadata.members.length === 3)
  for (const [path, mode] of [
    [folder, 0o700],
    [join(folder, 'snapshot.db'), 0o600],
    [join(folder, 'metadata.json'), 0o600],
  ] as const)
    assert.is(statSync(path).mode & 0o777, mode)
})

test('backup killed in the middle leaves nothing that counts, and no etcd; the next one tidies up', async () => {
  const before = good()
  const { child, done } = home.start('backup')
  const proving = (): boolean => processesWith(store).some(({ command }) => command.includes('/etcd '))
  await until('it is being proven', () => child.exitCode !== null || proving())
  child.kill('SIGKILL')
  await done
  await until('its etcd is gone', () => processesWith(store).length === 0)
  assert.equal(good(), before)
  const { exitCode, stderr } = await home.verb('backup', '--keep', '1')
  assert.is(exitCode, 0, stderr)
  assert.is(readdirSync(store).length, 1, 'the newest only, and nothing half made')
  assert.not.equal(good(), before)
})

test('backup --keep 1 keeps the one just made, though an older one has a later time in its name', async () => {
  const [old = ''] = good()
  const metadata = JSON.parse(readFileSync(join(store, old, 'metadata.json'), 'utf8'))
  assert.is(metadata.life, JSON.parse(readFileSync(record, 'utf8')).life)
  const time = new Date(Date.now() + 300 * 86_400_000).toISOString()
  const ahead = `${time.slice(0, 19).replaceAll(':', '-')}Z`
  renameSync(join(store, old), join(store, ahead))
  writeFileSync(join(store, ahead, 'metadata.json'), JSON.stringify({ ...metadata, time }))

  const plan = await home.verb('backup', '--keep', '1', '--plan', '--json')
  assert.ok((JSON.parse(plan.stdout) as { plan: string[] }).plan.includes(`remove ${ahead}`), plan.stdout)
  const { exitCode, stdout, stderr } = await home.verb('backup', '--keep', '1', '--json')
  assert.is(exitCode, 0, stderr)
  const { folder, changes, warnings } = JSON.parse(stdout)
  assert.equal(
    good().map((name) => join(store, name)),
    [folder],
  )
  assert.ok(changes.includes(`removed backup ${ahead}`), stdout)
  assert.match(warnings[0], `${ahead} lies in the future`)
})

/** Our etcd's programs, but for an etcdctl that spoils each snapshot with `spoil`, a shell command about "$file". */
async function spoilt(spoil: string): Promise<string> {
  const real = (await findEtcd(testCluster()))?.folder ?? ''
  const folder = join(home.path, `spoilt-${createHash('sha256').update(spoil).digest('hex').slice(0, 8)}`)
  mkdirSync(folder)
  for (const name of ['etcd', 'etcdutl']) symlinkSync(join(real, name), join(folder, name))
  writeFileSync(
    join(folder, 'etcdctl'),
    `#!/bin/sh\n${join(real, 'etcdctl')} "$@"\ncode=$?\nif [ "$1 $2" = "snapshot save" ] && [ $code = 0 ` +
      `]; then file=$3; ${spoil}; fi\nexit $code\n`,
  )
  chmodSync(join(folder, 'etcdctl'), 0o755)
  const file = `${folder}.yaml`
  writeFileSync(file, `etcd: { binaries: ${folder}, environment: { ETCD_QUOTA_BACKEND_BYTES: "8000000" } }\n`)
  return file
}

const spoilers: [string, () => string, RegExp][] = [
  [
    'a flipped bit',
    () => `printf '\\377' | dd of="$file" bs=1 seek=9001 conv=notrunc 2>/dev/null`,
    /does not match its own checksum/,
  ],
  ['a truncated file', () => 'truncate -s -512 "$file"', /does not match its own checksum|not a whole snapshot/],
  ['a whole snapshot of other data', () => `cp ${join(home.path, 'other.db')} "$file"`, /hash|compacted|future/],
]
for (const [what, spoil, reason] of spoilers) {
  test(`a backup with ${what} is not kept as good`, async () => {
    const before = good()
    if (what.includes('other')) await otherData(join(home.path, 'other.db'))
    const { exitCode, stderr } = await home.verb('backup', '--config', await spoilt(spoil()))
    assert.is(exitCode, 1)
    assert.match(stderr, reason)
    assert.match(stderr, 'does not count as a backup')
    assert.equal(good(), before)
    assert.is(readdirSync(store).filter((name) => name.endsWith('.unproven')).length, 1)
  })
}

/** Another cluster's snapshot, whole in itself, of a revision that ours has, too. */
async function otherData(file: string): Promise<void> {
  const cluster = await freeTestCluster({ masters: 1 })
  await ensureCertificates(cluster)
  const members = await startMembers(cluster)
  const wrote = (): Promise<boolean> =>
    put(cluster, 'theirs', 'x').then(
      () => true,
      () => false,
    )
  const save = async (): Promise<void> => {
    await until('it takes a key', wrote)
    await saveSnapshot(cluster, cluster.hosts[0]?.clientURL ?? '', file)
  }
  await save().finally(members.stopAll)
}

test('defrag under load: one member at a time, the leader last; no write is lost or fails twice', async () => {
  const { stdout } = await home.verb('defrag', '--plan', '--json')
  const { plan } = JSON.parse(stdout) as { plan: string[] }
  assert.equal(
    plan.map((line) => line.split(' ')[0]),
    ['defragment', 'defragment', 'hand', 'defragment', 'verify'],
  )
  const [, leader = ''] = /from (master0\d) to/.exec(plan[2] ?? '') ?? []
  assert.match(plan[3] ?? '', `defragment ${leader}`)
  const result = await underLoad(home, () => home.verb('defrag', '--json'))
  assert.is(result.exitCode, 0, result.stderr)
})

test('defrag --if: only members of which the rule holds; with none to do it says so, with figures', async () => {
  for (const rule of ['free 50', 'size 1MB, size 2MB']) {
    const { exitCode, stderr } = await home.verb('defrag', '--if', rule)
    assert.is(exitCode, 2)
    assert.match(stderr, `--if must be a rule such as 'free 50%, size 100MB', not "${rule}"`)
  }
  const both = await home.verb('defrag', '--if', 'free 50%', '--disarm')
  assert.is(both.exitCode, 2)
  const gateway = openGateway(clientsView(home), 1)
  // far enough from the quota of 8 MB
  for (let count = 0; count < 8; count++)
    await gateway.put(gateway.endpoints[0] ?? '', `grown/${count}`, 'x'.repeat(400_000))
  gateway.close()
  const nobody = await home.verb('defrag', '--if', 'free 90%, size 1MB', '--json')
  assert.is(nobody.exitCode, 0, nobody.stderr)
  assert.ok(JSON.parse(nobody.stdout).members.every((one: { defragmented: boolean }) => !one.defragmented))
  assert.match(
    (await home.verb('defrag', '--if', 'free 90%, size 1MB')).stdout,
    /No member is worth it\. master01: \d+ %/,
  )
  // as if it had grown for four days: it is told when the quota will be reached
  const sizes = [4, 3, 2, 1].map((days) => [new Date(Date.now() - days * 86_400_000).toISOString(), 3e6 - days * 7e5])
  const noted = { time: new Date().toISOString(), healthy: true, sizes }
  writeFileSync(join(home.path, '.cluster/etcd-cluster-1/verified.json'), JSON.stringify(noted))
  const { warning } = JSON.parse((await home.verb('status', '--json')).stdout) as { warning: string }
  assert.match(
    warning,
    /As the database has grown for 4 days, it reaches its quota in (about \d days?|less than a day) \(.* of 7/,
  )
  await inRun(new Run({ env: home.environment() }), async () => {
    const cluster = await resolveCluster(loadSettings({}))
    await del(cluster, 'grown/', { prefix: true })
    const revisions = valuesOf(await endpointStatus(cluster)).map(({ revision }) => revision)
    await compact(cluster, Math.max(...revisions))
    // etcd counts what is free when it writes
    const isFree = async (): Promise<boolean> => {
      await put(cluster, 'small', 'x').catch(() => undefined) // a busy machine: again
      return valuesOf(await endpointStatus(cluster)).every(({ inUseBytes }) => inUseBytes < 1e6)
    }
    await until('all have forgotten the keys', isFree)
    // one member is defragmented before: it is no longer worth it
    await defragment(cluster, cluster.hosts[2]?.clientURL ?? '')
  })
  const planned = await home.verb('defrag', '--if', 'free 50%, size 1MB', '--plan', '--json')
  assert.is(planned.exitCode, 0, planned.stderr)
  const { plan } = JSON.parse(planned.stdout)
  assert.match(plan.join('\n'), /^leave master03: \d+ % of .* is free\n/)
  assert.is(plan.filter((line: string) => line.startsWith('defragment')).length, 2)
  const some = await home.verb('defrag', '--if', 'free 50%, size 1MB', '--json')
  assert.is(some.exitCode, 0, some.stderr)
  const { members } = JSON.parse(some.stdout) as {
    members: { defragmented: boolean; dbSizeBytes: number; dbSizeBytesBefore: number }[]
  }
  assert.equal(
    members.map(({ defragmented }) => defragmented),
    [true, true, false],
  )
  for (const { dbSizeBytes, dbSizeBytesBefore } of members.slice(0, 2)) assert.ok(dbSizeBytes < dbSizeBytesBefore / 2)
})

test('NOSPACE: other verbs refuse and name the cure; defrag --disarm cures it, and writes go on', async () => {
  const gateway = openGateway(clientsView(home), 2)
  const full = async (): Promise<boolean> =>
    gateway.put(gateway.endpoints[0] ?? '', 'filler', 'x'.repeat(300_000)).then(
      () => false,
      () => true,
    )
  for (let count = 0; count < 100 && !(await full()); count++);
  gateway.close()
  const refused = await home.verb('defrag')
  assert.is(refused.exitCode, 1)
  assert.match(refused.stderr, /NOSPACE is raised(.|\n)*defrag\.ts --disarm/)
  const cured = await home.verb('defrag', '--disarm', '--json')
  assert.is(cured.exitCode, 0, cured.stderr)
  for (const { dbSizeBytes, dbSizeBytesBefore } of JSON.parse(cured.stdout).members)
    assert.ok(dbSizeBytes < dbSizeBytesBefore / 4)
  await underLoad(home, () => pause(1000))
})

test('an operation on a host or a cluster that is not there is refused, naming those that are', async () => {
  const host = await home.verb('rotate-certs', '--host', 'master07')
  assert.is(host.exitCode, 2)
  assert.match(host.stderr, /master0[123]/)
  for (const verb of ['certs', 'rotate-certs', 'backup', 'defrag'])
    assert.is((await home.verb(verb, '--cluster', 'nowhere')).exitCode, 2)
  assert.not.ok(existsSync(join(home.path, '.cluster/nowhere')))
})

test.after(async () => {
  rmSync(config)
  await home.downAll()
})

test.run()
