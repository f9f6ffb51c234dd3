// fleet: several clusters in one table, and a verb over all of them: one alone first, a failure stops the rest, and
// whatever ends it half way, the same command goes on with those that are left.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { ClusterRow } from '../../tasks/operations/fleet-look.ts'
import { memberPids } from '../support/load.ts'
import { done, killedAt, saidBy, testHome } from '../support/verbs.ts'

const home = testHome()
const names = ['ash', 'elm', 'oak']
const state = (name: string): string => join(home.path, '.cluster', name)
const record = (name: string): string => join(state(name), 'cluster.json')
const memory = join(home.path, '.cluster/.fleet.json')
const pidOf = (name: string): number => memberPids(home, name).master01 ?? 0
const pids = (): number[] => names.map(pidOf)

/** How many each cluster has. */
const backups = (): number[] =>
  names.map((name) => {
    const store = join(state(name), 'backups')
    return existsSync(store) ? readdirSync(store).filter((folder) => /Z$/.test(folder)).length : 0
  })

/** How each cluster fared. */
async function fleet(...words: string[]): Promise<{ exitCode: number | null; states: string; stderr: string }> {
  const { exitCode, stdout, stderr } = await home.verb('fleet', '--json', ...words)
  const { clusters } = JSON.parse(stdout) as { clusters: { cluster: string; state: string }[] }
  return { exitCode, states: clusters.map(({ cluster, state }) => `${cluster} ${state}`).join(', '), stderr }
}

async function rows(...flags: string[]): Promise<ClusterRow[]> {
  return (await done(home.verb('fleet', '--json', ...flags))).clusters as ClusterRow[]
}

test.before(async () => {
  // beside what the environment says of one cluster each goes by its own record and file
  writeFileSync(join(home.path, 'oak.yaml'), 'masters: 1\npki: { renewBeforeDays: 20 }\n')
  for (const name of names) {
    const own = name === 'oak' ? ['--config', join(home.path, 'oak.yaml')] : ['--masters', '1']
    const { exitCode, stderr } = await home.verb('up', '--yes', '--cluster', name, ...own)
    assert.is(exitCode, 0, stderr)
  }
})

test('the table has every cluster, and each by its own configuration', async () => {
  const all = await rows()
  assert.equal(
    all.map(({ cluster, up, members, leader, wrong }) => [cluster, up, members, leader, wrong]),
    names.map((name) => [name, 1, 1, 'master01', null]),
  )
  assert.equal(
    all.map(({ renewBeforeDays }) => renewBeforeDays),
    [30, 30, 20],
  )
  const { exitCode, stdout, tookMs } = await home.verb('fleet')
  assert.is(exitCode, 0)
  assert.match(stdout, '3 clusters: 3 well')
  console.log(`measured: the table of 3 clusters in ${tookMs} ms`)
})

test('a frozen member and a broken record are rows of the table, and verify names both', async () => {
  const good = readFileSync(record('oak'))
  const pid = pidOf('elm')
  try {
    process.kill(pid, 'SIGSTOP')
    writeFileSync(record('oak'), '{')
    const [ash, elm, oak] = await rows()
    assert.is(ash?.wrong, null)
    assert.is(elm?.wrong?.code, 'member-frozen')
    assert.match(oak?.wrong?.sentence ?? '', 'cannot be understood')
    const verified = await fleet('verify', '--', '--timeout', '8')
    assert.equal([verified.exitCode, verified.states], [1, 'ash done, elm failed, oak failed'])
    assert.match(verified.stderr, /verify failed on elm and oak.*\n(.|\n)*frozen(.|\n)*cannot be understood/)
  } finally {
    writeFileSync(record('oak'), good)
    process.kill(pid, 'SIGCONT')
  }
})

test('--plan prints the plan of each, and touches nothing', async () => {
  const before = pids()
  const { exitCode, stdout, stderr } = await home.verb('fleet', 'restart', '--plan')
  assert.is(exitCode, 0, stderr)
  for (const name of names) assert.match(stdout, `What restart would do for ${name}`)
  assert.equal(pids(), before)
})

test('a canary that fails stops the rest, and the same command goes on once that is put right', async () => {
  const command = ['backup', '--canary', 'elm', '--parallel', '2', '--', '--keep', '5']
  process.kill(pidOf('elm'), 'SIGSTOP')
  try {
    const stopped = await fleet(...command)
    assert.equal([stopped.exitCode, stopped.states], [1, 'ash not begun, elm failed, oak not begun'])
    assert.match(stopped.stderr, 'backup failed on elm. Not begun: ash and oak. Done: none.')
    assert.match(stopped.stderr, `npx zx scripts/fleet.ts ${command.join(' ')}`)
    assert.equal(backups(), [0, 0, 0])
  } finally {
    process.kill(pidOf('elm'), 'SIGCONT')
  }
  const gone = await fleet(...command)
  assert.equal([gone.exitCode, gone.states], [0, 'ash done, elm done, oak done'], gone.stderr)
  assert.equal(backups(), [1, 1, 1])
  assert.ok((await rows()).every(({ backup }) => Date.now() - Date.parse(backup ?? '') < 600_000))
  assert.not.ok(existsSync(memory), 'all are done: nothing is remembered')
})

test('kill -9 half way; then the same command: who was done is left out', async () => {
  const before = pids()
  await killedAt(home, 'elm: begins', 'fleet', 'restart')
  const [ash, elm, oak] = pids()
  assert.is.not(ash, before[0])
  assert.equal([elm, oak], before.slice(1))
  const { stdout } = await home.verb('fleet')
  assert.match(
    stdout,
    /restart is half done: ash done, elm and oak not\.\n +Go on: npx zx scripts\/fleet\.ts restart\n/,
  )
  const gone = await fleet('restart')
  assert.equal([gone.exitCode, gone.states], [0, 'ash done before, elm done, oak done'], gone.stderr)
  assert.is(pidOf('ash'), ash)
  assert.not.ok(existsSync(memory))
})

test('Ctrl-C ends it with 130, the locks are free, and --from-start starts over', async () => {
  const run = home.start('fleet', 'backup')
  await saidBy(run, 'elm: begins')
  run.child.kill('SIGINT')
  const { exitCode, stderr } = await run.done
  assert.is(exitCode, 130, stderr)
  assert.ok(names.every((name) => !existsSync(join(state(name), 'lock/owner.json'))))
  assert.equal(backups(), [2, 1, 1])
  const anew = await fleet('backup', '--from-start')
  assert.equal([anew.exitCode, anew.states], [0, 'ash done, elm done, oak done'], anew.stderr)
  assert.equal(backups(), [3, 2, 2])
})

test('certs names what is due, cluster by cluster', async () => {
  writeFileSync(join(home.path, 'oak.yaml'), 'pki: { renewBeforeDays: 370, leafDays: 380 }\n')
  const due = await fleet('certs')
  assert.equal([due.exitCode, due.states], [1, 'ash done, elm done, oak failed'])
  assert.match(due.stderr, /oak:\n +Error: .*master01\/server\.crt/)
})

const refused: [words: string[], says: RegExp][] = [
  [['down'], /down is for one cluster at a time\. It removes data/],
  [['restor'], /no verb restor.*Did you mean restart\?/],
  [['restart', '--', '--cluster', 'ash'], /goes by what is recorded of each/],
  [['restart', '--', '--yes'], /--yes goes before the --/],
  [['upgrade', '--etcd-version', '3.6.14'], /Unknown flag --etcd-version.*\n.*goes after --/],
  [['pack', '--', 'all.age'], /leave FILE out/],
  [['verify', '--canary', 'ash'], /--canary goes with a verb that changes clusters/],
  [['restart', '--only', 'ash', '--canary', 'elm'], /elm is none of these clusters/],
  [['--only', 'asch'], /no cluster asch here.*Did you mean ash\?/],
  [['--parallel', '2'], /--parallel goes with a verb/],
  [['restart', '--watch'], /--watch goes with the table/],
]
for (const [words, says] of refused)
  test(`fleet ${words.join(' ')} is refused with one sentence and exit code 2`, async () => {
    const { exitCode, stdout, stderr } = await home.verb('fleet', ...words)
    assert.equal([exitCode, stdout], [2, ''])
    assert.match(stderr, says)
  })

test.after(() => home.downAll())

test.run()
