// Work by the clock on a real cluster: what is due is done, once; what was missed, failed, killed or is in the way.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { takeLock } from '../../tasks/core/lock.ts'
import type { Ran } from '../../tasks/schedule/due.ts'
import { temporaryFolder } from '../support/folder.ts'
import { done, type Outcome, saidBy, testHome } from '../support/verbs.ts'
import { until } from '../support/wait.ts'

// A crontab of the test's own: a file, and a program that reads and writes it as crontab(1) does.
const cron = temporaryFolder()
const [crontab, program] = [join(cron, 'tab'), join(cron, 'crontab')]
writeFileSync(
  program,
  `#!/bin/sh
case $1 in
-l) if [ -f ${crontab} ]; then cat ${crontab}; else echo "no crontab for me" >&2; exit 1; fi ;;
-r) rm ${crontab} ;;
-) cat > ${crontab} ;;
esac
`,
)
chmodSync(program, 0o755)
const home = testHome({ PATH: `${cron}:${process.env.PATH}` })
const state = join(home.path, '.cluster/etcd-cluster-1')
const store = join(state, 'backups')
const [schedules, notes, timer] = ['schedules.json', 'schedule/runs.json', 'schedule/timer.json'].map((name) =>
  join(state, name),
) as [string, string, string]
const others = '# mine\nMAILTO=me\n0 1 * * * /usr/bin/true # ha-etcd-etcd-cluster-1\n'
const kept = (): string[] => (existsSync(store) ? readdirSync(store) : [])
const noted = (): { runs: { backup?: Ran }; ticked: string } => JSON.parse(readFileSync(notes, 'utf8'))

/** Root's timer would be systemd's own where that runs: a test is to leave no unit there. */
const systemdTakesIt = existsSync('/run/systemd/system') && process.getuid?.() === 0
const it = systemdTakesIt ? test.skip : test

const well = async (...words: string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await home.verb('schedule', ...words)
  assert.is(exitCode, 0, stderr)
  return stdout
}
/** The verbs that a look at what is due has run. */
const look = async (): Promise<string[]> =>
  ((await done(home.verb('schedule', '--run', '--json'))).ran as { verb: string }[]).map(({ verb }) => verb)
const status = async (): Promise<string> => String((await done(home.verb('status', '--json'))).warning)
const failedMetric = async (): Promise<number | undefined> =>
  ((await done(home.verb('metrics', '--json'))).metrics as { name: string; value: number }[]).find(
    ({ name }) => name === 'ha_etcd_scheduled_failed',
  )?.value

/** As if all that is noted had been so many hours earlier. */
function earlier(hours: number): void {
  for (const path of [schedules, notes, timer]) {
    const text = readFileSync(path, 'utf8')
    writeFileSync(
      path,
      text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z(?=")/g, (at) =>
        new Date(Date.parse(at) - hours * 3_600_000).toISOString(),
      ),
    )
  }
}

/** A look while a file is where backups are to be kept. */
async function lookInVain(): Promise<Outcome> {
  renameSync(store, `${store}-aside`)
  writeFileSync(store, 'in the way')
  const outcome = await home.verb('schedule', '--run')
  rmSync(store)
  renameSync(`${store}-aside`, store)
  return outcome
}

test.before(async () => {
  writeFileSync(crontab, others)
  const { exitCode, stderr } = await home.verb('up', '--masters', '1', '--yes')
  assert.is(exitCode, 0, stderr)
})

const refused: [words: string[], sentence: string | RegExp][] = [
  [['restart', '--every', '1d'], 'restart cannot be scheduled.'],
  [['backup'], '--every is missing.'],
  [['--every', '1d'], 'VERB is missing.'],
  [['backup', '--every', '1x'], '--every must be a period'],
  [['backup', '--every', '1d', '--at', '25:00'], '--at must be a time'],
  [['backup', '--every', '1d', '--keep', '3'], 'What the verb itself takes goes after --.'],
  [['backup', '--every', '1d', '--', '--kep', '3'], 'Unknown flag --kep. Did you mean --keep?'],
  [['backup', '--every', '1d', '--', '--keep', '0'], '--keep must be a whole number of at least 1'],
  [['backup', '--every', '1d', '--', 'all'], 'Unexpected argument "all".'],
  [['verify', '--every', '1d', '--', '--timeout', 'x'], '--timeout must be a number'],
  [['backup', '--every', '1d', '--', '--cluster', 'x'], '--cluster does not go after the --'],
  [['backup', '--every', '1d', '--', '--plan'], '--plan does not go after the --'],
  [['metrics', '--every', '1d'], 'By the clock metrics needs --output with a path that begins with /.'],
  [['metrics', '--every', '1d', '--', '--output', 'own.prom'], 'a path that begins with /'],
  [['backup', '--every', '1d', '--list'], '--every and --list exclude each other.'],
  [['backup', '--remove'], 'backup is not scheduled'],
  [['--remove'], 'Nothing is scheduled'],
  [['--repair'], 'Nothing is scheduled'],
  [['backup', '--run'], 'backup is not scheduled'],
  [['--cluster', 'nowhere', '--run'], 'There is no cluster nowhere'],
]

it('what is wrong is refused in a sentence before anything is touched', async () => {
  for (const [words, sentence] of refused) {
    const { exitCode, stderr } = await home.verb('schedule', ...words)
    assert.is(exitCode, 2, `${words.join(' ')}: ${stderr}`)
    assert.match(stderr, sentence)
  }
  assert.not.ok(existsSync(schedules))
  assert.not.ok(existsSync(join(state, 'schedule')))
  assert.is(readFileSync(crontab, 'utf8'), others)
})

it('a crontab that cannot be read is a refusal; --plan touches nothing', async () => {
  const own = readFileSync(program, 'utf8')
  writeFileSync(program, '#!/bin/sh\necho "crontab: you are not allowed to use this program" >&2; exit 1\n')
  const { exitCode, stderr } = await home.verb('schedule', 'backup', '--every', '1d').finally(() => {
    writeFileSync(program, own)
  })
  assert.is(exitCode, 1)
  assert.match(stderr, /The crontab cannot be read, and nothing was changed\.\n +crontab: you are not allowed/)
  assert.match(await well('backup', '--every', '1d', '--plan', '--', '--keep', '3'), 'backup --keep 3 every 1d')
  assert.not.ok(existsSync(schedules))
  assert.is(readFileSync(crontab, 'utf8'), others)
})

it('killed while the timer is set up: status tells of it, and all of it can be removed', async () => {
  const own = readFileSync(program, 'utf8')
  writeFileSync(program, own.replace(`-) cat > ${crontab} ;;`, `-) cat > ${crontab}; kill -9 $PPID ;;`))
  const { exitCode } = await home.start('schedule', 'backup', '--every', '1d').done
  writeFileSync(program, own)
  assert.is(exitCode, null)
  assert.match(readFileSync(crontab, 'utf8'), 'tick.sh')
  assert.match(await status(), 'No timer runs here')
  await well('--remove')
  assert.is(readFileSync(crontab, 'utf8'), others)
  assert.not.ok(existsSync(join(state, 'schedule')))
})

it('one line comes into the crontab, and no other is touched; the same once more changes nothing', async () => {
  assert.match(await well('backup', '--every', '6h', '--', '--keep', '50'), 'Scheduled: backup --keep 50 every 6h')
  const first = readFileSync(crontab, 'utf8')
  assert.match(
    first,
    new RegExp(`^${others.replace(/[*/]/g, '\\$&')}\\*/5 .*tick\\.sh.* # ha-etcd-etcd-cluster-1-[0-9a-f]{8}\n$`),
  )
  const before = readFileSync(schedules, 'utf8')
  assert.match(await well('backup', '--every', '6h', '--', '--keep', '50'), 'The next run begins within 5 minutes.')
  assert.equal([readFileSync(schedules, 'utf8'), readFileSync(crontab, 'utf8')], [before, first])
})

it('what is due is done in the bare environment of cron, silently, and noted; then it is not due', async () => {
  const command = readFileSync(crontab, 'utf8').split('\n').at(-2)?.split(' ').slice(5).join(' ') ?? ''
  const {
    status: exitCode,
    stdout,
    stderr,
  } = spawnSync('/bin/sh', ['-c', command], {
    env: { HOME: '/root', PATH: '/usr/bin:/bin', SHELL: '/bin/sh', LOGNAME: 'root' },
    encoding: 'utf8',
  })
  assert.equal([exitCode, stdout, stderr], [0, '', ''])
  assert.is(kept().length, 1)
  const { backup } = noted().runs
  assert.equal([backup?.exitCode, backup?.fails], [0, 0])
  assert.match(backup?.sentence ?? '', 'restored once')
  assert.equal(await look(), [])
  assert.match(await well('backup', '--every', '6h', '--', '--keep', '50'), /The next run begins at 2/)
  assert.match(await well('--list'), /backup --keep 50 +6h .* Kept in (.|\n)*By a line in the user's crontab; it last/)
})

it('what was missed many times is made up for once', async () => {
  earlier(1000)
  assert.equal([await look(), await look()], [['backup'], []])
  assert.is(kept().length, 2)
})

it('two looks at once run it once', async () => {
  earlier(10)
  const outcomes = await Promise.all([0, 1].map(() => home.start('schedule', '--run').done))
  assert.equal(
    outcomes.map(({ exitCode, stdout, stderr }) => [exitCode, stdout, stderr]),
    [
      [0, '', ''],
      [0, '', ''],
    ],
  )
  assert.is(kept().length, 3)
})

it('a verb at work on the cluster is waited for: nothing is noted, and the next look does it', async () => {
  earlier(10)
  const release = await takeLock(state, 'upgrade')
  const before = noted().runs
  const { exitCode, stderr } = await home.start('schedule', '--run').done
  const byHand = await home.start('schedule', 'backup', '--run').done
  release()
  assert.equal([exitCode, stderr], [0, ''])
  assert.is(byHand.exitCode, 1)
  assert.match(byHand.stderr, 'Another run is at work on this cluster: upgrade')
  assert.equal(noted().runs, before)
  assert.equal(await look(), ['backup'])
})

it('a failure is told by the timer, status, metrics and the list; it waits, and what goes well ends it', async () => {
  earlier(10)
  const failed = await lookInVain()
  assert.is(failed.exitCode, 1)
  assert.match(failed.stderr, /What is scheduled for etcd-cluster-1 failed: backup\.(.|\n)*schedule\.ts backup --run/)
  assert.match(
    await status(),
    /The scheduled backup failed on \d{4}-\d\d-\d\d \d\d:\d\d UTC: .*backups(.|\n)*backup --run/,
  )
  assert.is(await failedMetric(), 1)
  assert.equal(await look(), [])
  earlier(0.3)
  assert.is((await lookInVain()).exitCode, 1)
  assert.is(noted().runs.backup?.fails, 2)
  earlier(0.3)
  assert.equal(await look(), [])
  assert.match(await well('backup', '--run'), 'Kept in')
  assert.equal([await failedMetric(), noted().runs.backup?.fails], [0, 0])
  assert.not.match(await status(), 'scheduled')
})

it('a run that was killed has failed; its notes are whole, and it is tried again', async () => {
  earlier(10)
  const count = kept().length
  const run = home.start('schedule', 'backup', '--run')
  await saidBy(run, 'STARTED')
  await until('the backup is at work', () => noted().runs.backup?.ended === undefined)
  run.child.kill('SIGKILL')
  await run.done
  assert.equal(await look(), [])
  assert.match(await status(), 'The scheduled backup failed on')
  assert.match(await status(), 'It was cut short')
  earlier(1)
  assert.equal(await look(), ['backup'])
  assert.is(kept().length, count + 1)
})

it('a timer that calls nobody any more is told of; --repair sets it up', async () => {
  earlier(2)
  const line = readFileSync(crontab, 'utf8')
  writeFileSync(crontab, others)
  assert.match(
    await status(),
    /No timer runs here, so what is scheduled is not done \(backup\)\. .*schedule\.ts --repair/,
  )
  await well('--repair')
  assert.is(readFileSync(crontab, 'utf8'), line)
  assert.not.match(await status(), 'timer')
})

it('the pack takes what is scheduled, and nothing of this machine', async () => {
  const { plan } = await done(home.verb('pack', join(home.path, 'x.age'), '--plan', '--json'))
  const scheduled = (plan as string[]).filter((one) => one.includes('schedule'))
  assert.equal(scheduled, ['put in .cluster/etcd-cluster-1/schedules.json'])
})

it('metrics are written by the clock into the file that is named', async () => {
  const file = join(home.path, 'own.prom')
  await well('metrics', '--every', '10m', '--', '--output', file)
  rmSync(file)
  assert.equal(await look(), ['metrics'])
  assert.match(readFileSync(file, 'utf8'), /^ha_etcd_scheduled_failed{.*verb="metrics"} 0$/m)
  assert.match(await well('--list'), `Written to ${file}.`)
  await well('metrics', '--remove')
})

it('the last schedule that is removed takes the timer along', async () => {
  await well('verify', '--every', '1d', '--at', '06:15')
  assert.match(await well('backup', '--remove'), 'backup is no longer scheduled.')
  assert.match(readFileSync(crontab, 'utf8'), 'tick.sh')
  assert.match(await well('--remove'), 'verify is no longer scheduled. The timer is removed.')
  assert.is(readFileSync(crontab, 'utf8'), others)
  assert.equal([existsSync(schedules), existsSync(join(state, 'schedule'))], [false, false])
  assert.match(await well('--list'), 'Nothing is scheduled')
})

it('a timer whose cluster is gone removes itself; down leaves no line behind', async () => {
  await well('verify', '--every', '1d', '--at', '06:15')
  const record = join(state, 'cluster.json')
  renameSync(record, `${record}-aside`)
  assert.match(await well('--run'), 'There is no cluster etcd-cluster-1 any more. Its timer is removed.')
  assert.is(readFileSync(crontab, 'utf8'), others)
  renameSync(`${record}-aside`, record)
  await well('--repair')
  const line = readFileSync(crontab, 'utf8').split('\n').at(-2)?.split(' ').slice(5).join(' ') ?? ''
  const { exitCode, stderr } = await home.verb('down', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.is(readFileSync(crontab, 'utf8'), others)
  assert.equal(readdirSync(state), ['backups'])
  assert.is(spawnSync('/bin/sh', ['-c', line], { encoding: 'utf8' }).stderr, '')
})

test.after(() => home.downAll())
test.run()
